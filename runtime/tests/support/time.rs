//! A host whose time passes only while a run waits: then it jumps to the end of the first sleep. Programs that measure
//! how their waits overlap so get the same answer on every machine.

use exuvia_runtime::{Clock, Effect, Host, Isolated, Pending, Stream};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Tools `echo`, `slow` and `fail`, as `runtime/cases/README.md` has them, and such a clock.
#[derive(Clone, Default)]
pub(crate) struct Timeless(Arc<Mutex<Time>>);

#[derive(Default)]
struct Time {
    now: u64,
    begun: u64,
    /// Sleeps by their end and number, with what wakes them.
    sleeps: BTreeMap<(u64, u64), Option<Waker>>,
}

impl Timeless {
    fn sleep(&self, time: Duration) -> Sleep {
        let mut state = self.0.lock().unwrap();
        let end = state.now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        state.begun += 1;
        let place = (end, state.begun);
        state.sleeps.insert(place, None);
        Sleep { time: Arc::clone(&self.0), place }
    }
}

#[derive(Deserialize)]
struct Call<'a> {
    name: &'a str,
    #[serde(borrow)]
    args: &'a RawValue,
}

#[derive(Deserialize)]
struct Wait {
    seconds: f64,
}

struct Sleep {
    time: Arc<Mutex<Time>>,
    place: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut time = self.time.lock().unwrap();
        if time.sleeps.first_key_value().is_some_and(|(first, _)| *first == self.place) {
            time.now = time.now.max(self.place.0);
            return Poll::Ready(());
        }
        time.sleeps.insert(self.place, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut time = self.time.lock().unwrap();
        time.sleeps.remove(&self.place);
        if let Some(mut next) = time.sleeps.first_entry()
            && let Some(waker) = next.get_mut().take()
        {
            waker.wake();
        }
    }
}

impl Host for Timeless {
    fn clock(&mut self, clock: Clock) -> u64 {
        let mut time = self.0.lock().unwrap();
        time.now += 1000;
        match clock {
            Clock::Wall => 1_800_000_000_000_000_000 + time.now,
            Clock::Monotonic => time.now,
        }
    }

    fn output(&mut self, _: Stream, _: &[u8]) {}

    fn start(&mut self, effect: Effect) -> Pending {
        let request: Call = match &effect {
            Effect::Sleep(time) => {
                let sleep = self.sleep(*time);
                return Box::pin(async move {
                    sleep.await;
                    Vec::new()
                });
            }
            Effect::Request(request) => serde_json::from_str(request.get()).unwrap(),
        };
        let answer = match request.name {
            // As it came: its keys keep their order.
            "echo" | "slow" => format!("{{\"ok\":{}}}", request.args),
            "fail" => json!({"error": {"type": "ToolError", "message": "no luck"}}).to_string(),
            _ => return Isolated::default().start(effect),
        };
        let sleep = (request.name == "slow").then(|| {
            let Wait { seconds } = serde_json::from_str(request.args.get()).unwrap();
            self.sleep(Duration::from_secs_f64(seconds))
        });
        Box::pin(async move {
            if let Some(sleep) = sleep {
                sleep.await;
            }
            answer.into_bytes()
        })
    }
}
