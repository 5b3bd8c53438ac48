//! An execution that waits without an instance. Its journal has all of it, so it goes on in a new life when what it waits for
//! is there.
//!
//! What it has called goes on meanwhile on the server's threads, and with it a few kilobytes of memory stay: the calls and what
//! the execution has shown. One that only sleeps leaves nothing but the time at which it is to be woken (`sleepers`).

use super::journals::Pen;
use super::record::now;
use super::run::{Next, Run};
use super::sleepers::{Bed, Woken};
use super::state::Ending;
use exuvia_runtime::{Limit, Suspended};
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info};

/// Longest wait between two looks at the clock: it may be set.
const LOOK: Duration = Duration::from_secs(60);
/// Between two looks at whether a sleeper is still watched by somebody, at first and at most.
const SHORTLY: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_secs(1);
/// Shortest wait for a time limit that moves on with the clock, as the execution waits for a person.
const LEAST: Duration = Duration::from_millis(10);

pub(super) struct Rest {
    /// When the first of its sleeps ends, in milliseconds since 1970.
    due: Option<u64>,
    /// Of one that has more under way than sleeps.
    journal: Option<Suspended>,
    /// Of one that has nothing under way but sleeps.
    bed: Option<Bed>,
    /// Since it was woken, or watched, it takes one of the places of those.
    woken: Option<Woken>,
    is_new: bool,
}

impl Rest {
    /// Of an execution whose run was just suspended.
    pub(super) fn of_run(journal: Suspended) -> Self {
        let due = journal.outstanding().due;
        Self { due, journal: Some(journal), bed: None, woken: None, is_new: true }
    }

    /// Of one that slept, and is due or watched.
    pub(super) fn of_sleeper(bed: Bed, woken: Woken) -> Self {
        Self { due: Some(bed.due), journal: None, bed: Some(bed), woken: Some(woken), is_new: false }
    }
}

/// Waits, and gives what is next.
pub(super) async fn rest(run: &mut Run, mut rest: Rest) -> Next {
    run.has_rested = true;
    if rest.is_new
        && let Err(next) = begins(run, &mut rest).await
    {
        return next;
    }
    let mut pause = SHORTLY;
    loop {
        let left = left(run);
        if left.is_zero() {
            return Next::stopped(&Limit::Wall, Ending::TimedOut);
        }
        let until_due = rest.due.map_or(Duration::MAX, |due| Duration::from_millis(due.saturating_sub(now())));
        if until_due.is_zero() {
            break;
        }
        // It is in nobody's way until it is due.
        rest.woken = None;
        if let Some(bed) = &rest.bed
            && falls_asleep(run, bed)
        {
            return Next::Asleep;
        }
        let look = if rest.bed.is_some() { pause } else { LOOK };
        pause = (pause * 2).min(LATER);
        tokio::select! {
            biased;
            () = run.live.leave.cancelled() => return stops(run, &rest),
            () = run.underway.ready() => break,
            () = tokio::time::sleep(look.min(until_due).min(left.max(LEAST))) => {}
        }
    }
    Next::Life(rest.journal, rest.woken)
}

/// How much of its time limit is left.
fn left(run: &Run) -> Duration {
    run.wall(&run.inner.gate.caps(run.live.grant())).saturating_sub(run.time.counted(&run.live))
}

/// One that sleeps is in the store as it should be when the server stops.
fn stops(run: &Run, rest: &Rest) -> Next {
    if rest.bed.is_some() && !run.live.cancel.is_cancelled() {
        return Next::Left;
    }
    run.stops()
}

/// Writes that it rests.
async fn begins(run: &mut Run, rest: &mut Rest) -> Result<(), Next> {
    let only_sleeps = rest.journal.as_ref().is_some_and(|journal| journal.outstanding().requests == 0);
    if only_sleeps && let Some(journal) = rest.journal.take() {
        journal.seal();
    }
    let Some(pen) = run.pen.clone() else { return Ok(()) };
    // What is not written cannot be replayed. While the disk takes nothing, it is tried again and again.
    tokio::select! {
        biased;
        () = run.live.leave.cancelled() => return Err(run.stops()),
        () = written(&pen) => {}
    }
    drop(pen);
    let mut record = run.live.record();
    record.suspended = true;
    run.live.suspends();
    info!(execution = %record.id, sleeps = only_sleeps, "suspended");
    let stored = match rest.due.filter(|_| only_sleeps) {
        Some(due) => {
            // The next life opens the journal anew.
            run.pen = None;
            let bed = bed(run, &record, due);
            let stored = run.inner.keep.sleeps(&record, &run.live.so_far(), &bed);
            rest.bed = stored.is_ok().then_some(bed);
            stored
        }
        None => run.inner.keep.update(&record),
    };
    match stored {
        Ok(()) => run.inner.soon.notify_one(),
        // It rests nevertheless, here; and a death of the server counts for it.
        Err(error) => error!(execution = %record.id, %error, "could not write that an execution is suspended"),
    }
    Ok(())
}

async fn written(pen: &Pen) {
    while let Err(why) = pen.written().await {
        error!(why, "the journal of a suspended execution could not be written; trying again");
    }
}

fn bed(run: &Run, record: &super::record::Record, due: u64) -> Bed {
    let since = now();
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let left = left(run);
    Bed {
        grant: record.grant.clone(),
        image: record.image.clone(),
        since,
        due,
        deadline: (left < Duration::from_secs(u64::from(u32::MAX))).then(|| since.saturating_add(milliseconds(left))),
        took: milliseconds(run.time.took()),
        counted: milliseconds(run.time.counted(&run.live)),
    }
}

/// Leaves memory, unless somebody watches it.
fn falls_asleep(run: &mut Run, bed: &Bed) -> bool {
    let id = run.live.id();
    let mut live = run.inner.lock();
    // The table's own, and this one; nobody can take another while it is locked.
    if Arc::strong_count(&run.live) > 2 {
        return false;
    }
    live.remove(&id);
    run.inner.sleepers.put(id, &bed.grant, bed.wakes());
    run.held.place.leave();
    true
}
