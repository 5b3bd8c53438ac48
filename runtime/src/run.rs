//! One call into the guest, from the message in to the outcome out.

use crate::guest::Guest;
use crate::outcome::{Message, Outcome, Output, Traceback};
use crate::output::Kept;
use crate::slot::Slot;
use crate::stop::{Ending, Limit, Stop, ending};
use crate::usage::Usage;
use crate::watch::Watch;
use crate::watchdog::Watchdog;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use wasmtime::Trap;

/// What `exuvia_run` answers.
const RAN: i32 = 0;
const OUT_OF_MEMORY: i32 = 2;

/// How the call came back.
pub(crate) enum Returned {
    /// With a status; the instance may be restored.
    Status(i32),
    /// With a trap; the instance must be dropped.
    Not(Ending),
}

/// Writes `message` into the guest and calls it. The guest's state says how it ended.
///
/// Each poll computes until the program waits or ends; `watchdog` stops it when `watch` says that it is over.
pub(crate) async fn call(slot: &mut Slot, message: &[u8], watchdog: &Watchdog, watch: &Arc<Watch>) -> Returned {
    let fence = Arc::clone(&slot.fence);
    let returned = {
        let mut entered = pin!(enter(slot, message));
        poll_fn(|context| {
            let inside = watchdog.enter(watch, &fence);
            let polled = entered.as_mut().poll(context);
            settle(polled, inside.leave(), watch)
        })
        .await
    };
    if let Err(source) = slot.open() {
        tracing::error!(error = %source, "could not open a guest's memory again");
    }
    match returned {
        Ok(status) => Returned::Status(status),
        Err(error) => Returned::Not(ending(&error)),
    }
}

async fn enter(slot: &mut Slot, message: &[u8]) -> wasmtime::Result<i32> {
    let length = u32::try_from(message.len())?;
    let address = slot.buffer.call_async(&mut slot.store, length).await?;
    let memory = slot.memory.data_mut(&mut slot.store);
    let Some(buffer) = memory.get_mut(address as usize..address as usize + message.len()) else {
        return Err(wasmtime::Error::msg("the guest's buffer lies outside its memory"));
    };
    if address == 0 {
        return Ok(OUT_OF_MEMORY);
    }
    buffer.copy_from_slice(message);
    slot.run.call_async(&mut slot.store, length).await
}

/// What a poll came to, after which the memory was closed because of `over`, if it was.
fn settle(polled: Poll<wasmtime::Result<i32>>, over: Option<Limit>, watch: &Watch) -> Poll<wasmtime::Result<i32>> {
    match (polled, over) {
        // It ran into the closed memory. Whatever else ended it had ended it before.
        (Poll::Ready(Err(error)), Some(limit)) if matches!(error.downcast_ref(), Some(Trap::MemoryOutOfBounds)) => {
            Poll::Ready(Err(Stop(limit).into()))
        }
        (Poll::Ready(returned), _) => Poll::Ready(returned),
        (Poll::Pending, Some(limit)) => Poll::Ready(Err(Stop(limit).into())),
        // Many short bursts between waits may all go unseen; their sum does not.
        (Poll::Pending, None) => match watch.exhausted(watch.meter.total()) {
            Some(limit) => Poll::Ready(Err(Stop(limit).into())),
            None => Poll::Pending,
        },
    }
}

impl Returned {
    /// Whether the guest package came to its end, whatever the program did.
    pub(crate) fn ran(&self) -> bool {
        matches!(self, Self::Status(RAN))
    }
}

/// The outcome of a call, from what the guest left behind.
pub(crate) fn outcome(mut guest: Guest, returned: &Returned, usage: Usage, artifacts: usize) -> Outcome {
    let artifacts = guest.wasi.files.take_artifacts(artifacts);
    let output = Output { stdout: guest.wasi.stdout, stderr: guest.wasi.stderr, artifacts, usage, ..Output::default() };
    match returned {
        Returned::Status(RAN) => finished(output, &guest.outcome),
        Returned::Status(OUT_OF_MEMORY) => Outcome::Stopped(output, Limit::Memory),
        Returned::Status(_) => {
            // The guest package shares the interpreter with the program, which can break it at will.
            let why = format!("the guest package failed: {}", last_words(&output.stderr));
            Outcome::Stopped(output, Limit::Crashed(why))
        }
        // `os._exit`: nothing after it ran, so there is no outcome message to read.
        Returned::Not(Ending::Exited(status)) => exited(output, i64::from(*status)),
        Returned::Not(Ending::Stopped(limit)) => Outcome::Stopped(output, limit.clone()),
    }
}

fn finished(mut output: Output, message: &[u8]) -> Outcome {
    if message.is_empty() {
        return Outcome::Finished(output);
    }
    let message: Message = match serde_json::from_slice(message) {
        Ok(message) => message,
        Err(error) => {
            let why = format!("the outcome is not readable: {error}");
            return Outcome::Stopped(output, Limit::Crashed(why));
        }
    };
    output.result = message.result;
    output.html = message.html;
    output.outputs = message.outputs;
    output.missing = message.missing;
    output.names = message.names;
    output.reprs = message.reprs;
    match (message.error, message.exit) {
        (Some(error), _) => Outcome::Raised(output, error),
        (None, Some(status)) => exited(output, status),
        (None, None) => Outcome::Finished(output),
    }
}

fn exited(output: Output, status: i64) -> Outcome {
    if status == 0 {
        return Outcome::Finished(output);
    }
    let message = status.to_string();
    let traceback = format!("SystemExit: {message}\n");
    Outcome::Raised(output, Traceback { kind: "SystemExit".into(), message, traceback, line: None })
}

fn last_words(stderr: &Kept) -> String {
    let text = stderr.to_text();
    text.trim().lines().last().unwrap_or("it said nothing").to_owned()
}
