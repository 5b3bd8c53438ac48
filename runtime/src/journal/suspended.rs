//! A run that was suspended: when that is worth its while, and how its journal goes on.

use super::ledger::Ledger;
use super::reader::Found;
use super::replay::Replay;
use super::{Bounds, Journal, Newest, Shared};
use crate::host::Outstanding;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a run has to wait before it is suspended.
///
/// A suspended run is replayed when it goes on, which takes about the time that it had computed until then. So it has to
/// wait for a multiple of that, too: of the time from one replay to the next, at most one part in `factor` is replay, also
/// in a program that polls for ever.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// At least so long.
    pub after: Duration,
    /// And so many times as long as it has computed.
    pub factor: u32,
}

impl Patience {
    pub(super) fn least(&self, cpu: Duration) -> Duration {
        self.after.max(cpu.saturating_mul(self.factor))
    }
}

/// A suspended run's journal. Its effects may still be under way, and write to it.
pub struct Suspended {
    pub(super) shared: Shared,
    pub(super) outstanding: Outstanding,
}

impl Suspended {
    /// What it waits for.
    pub fn outstanding(&self) -> Outstanding {
        self.outstanding
    }

    /// Writes nothing from now on. For a run that has no request under way: whoever goes on with it opens its journal anew.
    pub fn seal(&self) {
        self.shared.recorder.seal();
    }

    /// The journal for the next life of the run, in this process: what is under way goes on writing to it. All that was
    /// written has to be in the ledger's parts.
    ///
    /// # Errors
    /// When what is there cannot be read; the text is for people.
    pub fn again(&self, bounds: Bounds, cancel: CancellationToken) -> Result<Journal, String> {
        let ledger: Arc<dyn Ledger> = Arc::clone(&self.shared.ledger);
        let found = Found::read(&ledger)?;
        let newest = Newest::of(&found);
        self.shared.recorder.again(cancel);
        let shared = Shared {
            recorder: Arc::clone(&self.shared.recorder),
            replay: Arc::new(Mutex::new(Replay::new(&ledger, found))),
            ledger,
            table: Arc::default(),
            left: Arc::default(),
        };
        Ok(Journal { shared, found: newest, patience: bounds.patience })
    }
}
