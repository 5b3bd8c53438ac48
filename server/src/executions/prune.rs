//! What goes on in the background: making records durable, and removing those that are too old or too many.

use super::meanwhile::write_meanwhile;
use super::wake::wake;
use super::{Inner, now};
use crate::shelf::Owner;
use crate::store::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tracing::{error, info};

/// Between the answer to a sync client and its record on the disk, at most twice this.
const SOON: Duration = Duration::from_millis(50);
/// Most finished executions that wait for room on the disk: they are in memory until then.
const MOST_UNWRITTEN: usize = 1000;
/// Between two looks at what is too old.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

pub(super) fn start(inner: &Arc<Inner>) {
    inner.server.spawn(write_soon(Arc::downgrade(inner)));
    inner.server.spawn(write_meanwhile(Arc::downgrade(inner)));
    inner.server.spawn(wake(Arc::downgrade(inner)));
    inner.server.spawn(prune(Arc::downgrade(inner)));
}

async fn write_soon(inner: Weak<Inner>) {
    while let Some(inner) = inner.upgrade() {
        let asked = tokio::time::timeout(PRUNE_EVERY, inner.soon.notified()).await.is_ok();
        if asked || !inner.finished().is_empty() {
            tokio::time::sleep(SOON).await;
            write(&inner).await;
        }
    }
}

/// Writes what is finished and not written, and makes all that was written durable.
pub(super) async fn write(inner: &Arc<Inner>) {
    let _one = inner.writing.lock().await;
    let finished = std::mem::take(&mut *inner.finished());
    let keeping = Arc::clone(inner);
    let written = tokio::task::spawn_blocking(move || (keeping.keep.ended(&finished), finished)).await;
    match written {
        Ok((Ok(()), finished)) => {
            let mut live = inner.lock();
            for one in &finished {
                live.remove(&one.record.id);
            }
        }
        Ok((Err(error), finished)) => {
            error!(%error, "could not write finished executions; trying again");
            let mut waiting = inner.finished();
            waiting.extend(finished);
            let surplus = waiting.len().saturating_sub(MOST_UNWRITTEN);
            for lost in waiting.drain(..surplus) {
                error!(execution = %lost.record.id, "gave up writing a finished execution");
                inner.lock().remove(&lost.record.id);
            }
        }
        Err(error) => error!(%error, "writing finished executions failed"),
    }
    if let Err(error) = inner.keep.durable().await {
        error!(%error, "could not make records durable");
    }
}

async fn prune(inner: Weak<Inner>) {
    while let Some(strong) = inner.upgrade() {
        let pruned = tokio::task::spawn_blocking(move || pruned(&strong)).await;
        match pruned {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => info!(count, "removed old executions"),
            Ok(Err(error)) => error!(%error, "could not remove old executions"),
            Err(error) => error!(%error, "the removal of old executions failed"),
        }
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}

/// Removes what is too old or too much, the oldest first; nothing that has not ended.
fn pruned(inner: &Inner) -> Result<usize, Error> {
    let all = inner.keep.all()?;
    let keep_for = u64::try_from(inner.settings.keep_for.as_millis()).unwrap_or(u64::MAX);
    let oldest = now().saturating_sub(keep_for);
    let mut surplus = all.len().saturating_sub(inner.settings.keep_most);
    let mut removed = 0;
    for id in all {
        let Some(record) = inner.keep.record(id)? else { continue };
        let too_old = record.submitted < oldest;
        if !too_old && surplus == 0 {
            break;
        }
        surplus = surplus.saturating_sub(1);
        if record.state.is_final() {
            inner.keep.remove(&record)?;
            inner.shelf.remove(Owner { grant: &record.grant, id: record.id.uuid() });
            removed += 1;
        }
    }
    Ok(removed)
}
