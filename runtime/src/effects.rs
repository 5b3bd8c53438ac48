//! The imports of module `exuvia`: effects under way, and the guest's waiting for them.

use crate::guest::{Guest, State as Store, split};
use crate::host::{Effect, Message, Pending, Rest};
use crate::stop::{Limit, Stop};
use crate::watch::after;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{Caller, Linker};

/// Most effects under way in one run: each is host memory.
const MOST_UNDER_WAY: usize = 4096;
/// Largest message of one effect, copied to host memory.
const LARGEST_MESSAGE: usize = 16 << 20;
/// Most bytes of the messages under way and of the answers not yet taken, in one run. Both are host memory.
const MOST_HELD: usize = 64 << 20;
/// Largest outcome message.
const LARGEST_OUTCOME: usize = 64 << 20;
/// Most handles in one wait.
const MOST_HANDLES: u32 = 1024;

const TOO_MANY: i32 = -1;
const TOO_LARGE: i32 = -2;
const UNKNOWN: i32 = -1;

/// An effect that is over: its handle, the size of its message, and the answer unless it was dropped.
type Done = (i32, usize, Option<Vec<u8>>);
type Running = Pin<Box<dyn Future<Output = Done> + Send>>;

enum State {
    Running(AbortHandle),
    /// `order` counts the answers of this run: the first that came is the first that a wait finds.
    Ready {
        order: u64,
        answer: Vec<u8>,
    },
}

/// One run's effects.
#[derive(Default)]
pub(crate) struct Effects {
    table: BTreeMap<i32, State>,
    /// Dropped effects are here, too, until the next wait.
    running: FuturesUnordered<Running>,
    /// Bytes that [`MOST_HELD`] bounds.
    held: usize,
    started: i32,
    answered: u64,
}

impl Effects {
    /// Effects begun so far.
    pub(crate) fn started(&self) -> i32 {
        self.started
    }

    /// Counts on from an earlier call of the session, so that no handle of that means another effect now.
    pub(crate) fn count_from(&mut self, started: i32) {
        self.started = started;
    }

    /// Whether one more effect, with a message of `size` bytes, may begin.
    fn has_room(&self, size: usize) -> bool {
        let count = self.table.len().max(self.running.len());
        count < MOST_UNDER_WAY && self.started < i32::MAX && self.held.saturating_add(size) <= MOST_HELD
    }

    /// Follows an effect that [`Self::has_room`] let begin.
    fn start(&mut self, size: usize, pending: Pending) -> i32 {
        let handle = self.started;
        self.started = self.started.saturating_add(1);
        self.held += size;
        let (abort, registration) = AbortHandle::new_pair();
        self.running.push(Box::pin(async move {
            let answer = Abortable::new(pending, registration).await;
            (handle, size, answer.ok())
        }));
        self.table.insert(handle, State::Running(abort));
        handle
    }

    /// The place in `handles` of the answer that came first.
    fn first_ready(&self, handles: &[i32]) -> Option<usize> {
        let ready = handles.iter().enumerate().filter_map(|(place, handle)| match self.table.get(handle) {
            Some(State::Ready { order, .. }) => Some((*order, place)),
            _ => None,
        });
        ready.min().map(|(_, place)| place)
    }

    /// Waits until one more effect is done.
    async fn next(&mut self) {
        let Some((handle, size, answer)) = self.running.next().await else { return };
        self.held -= size;
        if let (Some(answer), Some(state)) = (answer, self.table.get_mut(&handle)) {
            self.held += answer.len();
            *state = State::Ready { order: self.answered, answer };
            self.answered += 1;
        }
    }

    fn drop_handle(&mut self, handle: i32) {
        match self.table.remove(&handle) {
            Some(State::Running(abort)) => abort.abort(),
            Some(State::Ready { answer, .. }) => self.held -= answer.len(),
            None => {}
        }
    }
}

/// What the runtime reads of an effect message.
#[derive(Deserialize)]
struct Head<'a> {
    op: &'a str,
    #[serde(default)]
    ns: u64,
}

/// An effect from the guest's message, or why there is none.
fn effect(message: &[u8]) -> Result<Effect, String> {
    let message = Message::read(message).map_err(|error| error.to_string())?;
    let head: Head = serde_json::from_str(message.get()).map_err(|error| error.to_string())?;
    if head.op == "sleep" {
        return Ok(Effect::Sleep(Duration::from_nanos(head.ns)));
    }
    Ok(Effect::Request(message))
}

fn refusal(why: &str) -> Vec<u8> {
    serde_json::json!({"error": {"type": "ValueError", "message": format!("not an effect: {why}")}})
        .to_string()
        .into_bytes()
}

pub(crate) fn add_to_linker(linker: &mut Linker<Store>) -> wasmtime::Result<()> {
    linker.func_wrap("exuvia", "start", |mut caller: Caller<'_, Store>, message: u32, length: u32| {
        let (bytes, guest) = split(&mut caller)?;
        let message = slice(bytes, message, length)?;
        if message.len() > LARGEST_MESSAGE {
            return Ok(TOO_LARGE);
        }
        // Before the host hears of it: what is refused must not happen.
        let size = message.len();
        if !guest.effects.has_room(size) {
            return Ok(TOO_MANY);
        }
        let pending = match effect(message) {
            Ok(effect) => guest.wasi.host.start(effect),
            Err(why) => Box::pin(std::future::ready(refusal(&why))),
        };
        wasmtime::Result::Ok(guest.effects.start(size, pending))
    })?;
    linker.func_wrap_async("exuvia", "wait", |mut caller: Caller<'_, Store>, (handles, count): (u32, u32)| {
        Box::new(async move {
            let handles = read_handles(&mut caller, handles, count)?;
            wait(caller.data_mut().guest()?, &handles).await
        })
    })?;
    linker.func_wrap(
        "exuvia",
        "answer",
        |mut caller: Caller<'_, Store>, handle: i32, buffer: u32, capacity: u32| {
            let (bytes, guest) = split(&mut caller)?;
            let Some(State::Ready { answer, .. }) = guest.effects.table.get(&handle) else { return Ok(UNKNOWN) };
            let length = u32::try_from(answer.len()).ok().filter(|length| i32::try_from(*length).is_ok());
            let Some(length) = length else { return Ok(UNKNOWN) };
            if length <= capacity {
                slice_mut(bytes, buffer, length)?.copy_from_slice(answer);
                guest.effects.drop_handle(handle);
            }
            wasmtime::Result::Ok(length.cast_signed())
        },
    )?;
    linker.func_wrap("exuvia", "drop", |mut caller: Caller<'_, Store>, handle: i32| {
        caller.data_mut().guest()?.effects.drop_handle(handle);
        wasmtime::Result::Ok(())
    })?;
    linker.func_wrap("exuvia", "finish", |mut caller: Caller<'_, Store>, message: u32, length: u32| {
        let (bytes, guest) = split(&mut caller)?;
        let message = slice(bytes, message, length)?;
        if message.len() > LARGEST_OUTCOME {
            return Err(wasmtime::Error::msg("the outcome is too large"));
        }
        guest.outcome = message.to_vec();
        Ok(())
    })?;
    Ok(())
}

async fn wait(guest: &mut Guest, handles: &[i32]) -> wasmtime::Result<i32> {
    if handles.is_empty() || handles.iter().any(|handle| !guest.effects.table.contains_key(handle)) {
        return Ok(UNKNOWN);
    }
    let began = Instant::now();
    // When the host is asked whether the run stays: first as soon as nothing is ready.
    let mut ask = Some(began);
    loop {
        if let Some(place) = guest.effects.first_ready(handles) {
            return Ok(i32::try_from(place)?);
        }
        let look = guest.watch.next_look();
        let look = ask.map_or(look, |ask| ask.min(look));
        tokio::select! {
            biased;
            () = guest.watch.cancel.cancelled() => return Err(Stop(Limit::Cancelled).into()),
            () = guest.effects.next() => ask = ask.map(|_| began),
            () = until(look) => {
                let now = Instant::now();
                if let Some(limit) = guest.watch.over(now) {
                    return Err(Stop(limit).into());
                }
                if ask.is_some_and(|ask| ask <= now) {
                    ask = rests(guest, now.duration_since(began))?.map(|again| after(now, again));
                }
            }
        }
    }
}

/// Waits, but for nothing that is past: a timer would cost more than the wait of many an effect.
async fn until(moment: Instant) {
    if moment > Instant::now() {
        tokio::time::sleep_until(moment.into()).await;
    }
}

/// Asks the host whether the run stays, and gives when to ask again, if ever.
fn rests(guest: &mut Guest, waited: Duration) -> wasmtime::Result<Option<Duration>> {
    let watch = Arc::clone(&guest.watch);
    match guest.wasi.host.rests(waited, &|| watch.meter.now()) {
        Rest::Stay => Ok(None),
        Rest::Ask(again) => Ok(Some(again)),
        Rest::Leave => Err(Stop(Limit::Suspended).into()),
    }
}

fn read_handles(caller: &mut Caller<'_, Store>, handles: u32, count: u32) -> wasmtime::Result<Vec<i32>> {
    if count > MOST_HANDLES {
        return Ok(Vec::new());
    }
    let (bytes, _) = split(caller)?;
    let bytes = slice(bytes, handles, count * 4)?;
    Ok(bytes.as_chunks().0.iter().map(|handle| i32::from_le_bytes(*handle)).collect())
}

fn slice(memory: &[u8], at: u32, length: u32) -> wasmtime::Result<&[u8]> {
    let end = (at as usize).saturating_add(length as usize);
    memory.get(at as usize..end).ok_or_else(|| wasmtime::Trap::MemoryOutOfBounds.into())
}

fn slice_mut(memory: &mut [u8], at: u32, length: u32) -> wasmtime::Result<&mut [u8]> {
    let end = (at as usize).saturating_add(length as usize);
    memory.get_mut(at as usize..end).ok_or_else(|| wasmtime::Trap::MemoryOutOfBounds.into())
}
