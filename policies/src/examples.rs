//! Runs a document's own `tests`.

use serde::Serialize;

use crate::arguments::Arguments;
use crate::call::{Call, Grant};
use crate::denial::Refusal;
use crate::extensions::{Example, Expectation};
use crate::memory::MemoryCounters;
use crate::policy::Policy;
use crate::window::Timestamp;

/// What became of one of a document's tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExampleResult {
    pub name: String,
    pub expected: Expectation,
    /// What became of the last call.
    pub got: Expectation,
    /// The rule that decided the last call.
    pub rule: String,
}

impl ExampleResult {
    pub fn passed(&self) -> bool {
        self.expected == self.got
    }
}

impl Policy {
    /// Runs each of the document's tests by itself: its call, as often as it says, within one window, and with fresh
    /// counters. In shadow mode, what would have been decided is compared. Tools' schemas and definitions are not known
    /// here: defaults are not filled in, and a pinned tool counts as unchanged.
    pub fn run_tests(&self) -> Vec<ExampleResult> {
        self.extensions().tests.iter().map(|example| self.run_test(example)).collect()
    }

    fn run_test(&self, example: &Example) -> ExampleResult {
        let counters = MemoryCounters::new();
        let grant = Grant::new("test");
        let mut result = ExampleResult {
            name: example.name.to_string(),
            expected: example.expect,
            got: Expectation::Deny,
            rule: String::new(),
        };
        // The reader has checked them.
        let Ok(arguments) = Arguments::new(example.call.args.clone()) else { return result };
        let definition = self.extensions().pins.get(&example.call.tool);
        let call = Call { grant: &grant, tool: &example.call.tool, arguments: &arguments, definition };
        for _ in 0..example.repeat.get() {
            let decided = self.decide(&call, Timestamp::from_millis(0), &counters);
            (result.got, result.rule) = match &decided {
                Ok(permit) => match permit.shadowed() {
                    None => (Expectation::Allow, permit.rule().to_owned()),
                    Some(refusal) => (expectation(refusal), refusal.rule().to_owned()),
                },
                Err(refusal) => (expectation(refusal), refusal.rule().to_owned()),
            };
        }
        result
    }
}

fn expectation(refusal: &Refusal) -> Expectation {
    match refusal {
        Refusal::Denied(_) => Expectation::Deny,
        Refusal::NeedsApproval(_) => Expectation::Approve,
    }
}
