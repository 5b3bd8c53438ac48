//! How often the server died while an execution ran: it may be the cause, and is not begun for ever.
//!
//! Only the last deaths in a row count. One in a life in which the execution got on, for a while, is forgotten: a job of
//! weeks meets some that are not its fault.

use super::Inner;
use super::journals::Pen;
use super::live::Live;
use super::record::Failure;
use exuvia_runtime::{Ledger, lived};
use std::sync::Arc;

/// How many times the pause before a recovery that while is. A program that kills the server at its first chance after each
/// sleep gets on, but not for long.
const A_WHILE: u32 = 60;

/// Forgets the deaths before the last one if the execution has got on since. Once there were too many, it fails.
pub(super) async fn count(inner: &Arc<Inner>, live: &Live) -> Result<(), Failure> {
    let mut record = live.record();
    let bound = inner.settings.recoveries;
    if record.recoveries > 1 && got_on(inner, live).await {
        record.recoveries = 1;
        live.set(record.clone(), None);
    }
    if record.recoveries <= bound {
        return Ok(());
    }
    let times = record.recoveries;
    let why = format!(
        "the server crashed {times} times while this was running, and it is not begun again: it may be the cause"
    );
    Err(Failure::new("Crashed", why))
}

/// Whether the last life ended effects of its own, and went on for a while.
async fn got_on(inner: &Arc<Inner>, live: &Live) -> bool {
    // Only read here.
    let ledger: Arc<dyn Ledger> = Arc::new(Pen(inner.journals.book(live.id())));
    let lived = inner.server.spawn_blocking(move || lived(&ledger)).await;
    // What cannot be read is said when it is replayed.
    let lived = lived.ok().and_then(Result::ok).flatten();
    lived.is_some_and(|lived| lived >= inner.settings.recovery_pause.saturating_mul(A_WHILE))
}
