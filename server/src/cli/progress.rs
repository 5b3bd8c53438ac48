//! Says what the first start does, and that it happens only once.

use exuvia_runtime::{Phase, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::Duration;

const WHY: &str = "Preparing Python for this machine. This is done once; later starts take milliseconds.";

/// A bar on a terminal, a line for each phase elsewhere.
pub(crate) struct Bar(RefCell<Option<ProgressBar>>);

impl Bar {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(None))
    }

    fn show(&self) -> ProgressBar {
        let mut bar = self.0.borrow_mut();
        bar.get_or_insert_with(|| {
            super::print::error(WHY);
            let bar = ProgressBar::new(Phase::ALL.len() as u64);
            let style = ProgressStyle::with_template("{spinner} [{bar:25}] {pos}/{len} {msg} ({elapsed})");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        })
        .clone()
    }
}

impl Progress for Bar {
    fn begin(&self, phase: Phase) {
        let bar = self.show();
        let text = match phase {
            Phase::Waiting => "waiting for another process that is preparing it",
            Phase::Unpacking => "unpacking the library",
            Phase::Compiling => "compiling the interpreter",
            Phase::Starting => "starting it and importing NumPy and pandas",
            Phase::Optimising => "compiling it for speed, which takes longest",
            Phase::Saving => "saving the result",
        };
        if let Some(place) = Phase::ALL.iter().position(|each| *each == phase) {
            bar.set_position(place as u64);
        }
        bar.set_message(text);
        if !std::io::stderr().is_terminal() {
            super::print::error(&format!("  {text}"));
        }
    }

    fn done(&self) {
        if let Some(bar) = self.0.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}
