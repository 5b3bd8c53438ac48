//! `docs/policy.md` is true: its documents load, their tests pass, and the error that it shows is the one that comes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_policies::{ExampleResult, Policy};

const MANUAL: &str = include_str!("../../docs/policy.md");

#[test]
fn the_documents_of_the_manual_do_what_it_says() {
    let documents: Vec<_> = MANUAL.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(documents.len(), 5);
    for document in documents {
        let policy = support::policy(document);
        let results = policy.run_tests();
        assert!(results.iter().all(ExampleResult::passed), "{results:?}");
        let failing: Vec<_> =
            exuvia_policies::lint(&policy).into_iter().filter(|it| it.code == "deny-if-fails-open").collect();
        assert_eq!(failing, []);
    }
}

#[test]
fn the_error_of_the_manual_is_the_one_that_comes() {
    let error = Policy::parse(r#"{"version":"1","default":"deny","tools":{"t":{"denyif":[]}}}"#).unwrap_err();
    assert!(MANUAL.contains(&format!("```text\n{error}\n```")), "{error}");
}
