//! An effect whose beginning is recorded: told from the record in its turn, or done where the record ends.

use super::entry::{Entry, Kept};
use super::recorder::now;
use super::replay::Turn;
use super::{Began, Shared};
use crate::host::{Effect, Pending};
use std::future::{pending, poll_fn};
use std::time::Duration;

pub(super) struct Told {
    began: Began,
    effect: Effect,
    /// When it began, in milliseconds since 1970.
    at: u64,
    /// The effect itself, when it went on while the run was suspended.
    underway: Option<Pending>,
    waits: Waits,
}

/// Says that nobody waits for an effect any more, unless its turn has come.
struct Waits {
    shared: Shared,
    number: Option<u64>,
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.replay().drop_effect(number);
        }
    }
}

impl Told {
    pub(super) fn new(began: Began, effect: Effect, at: u64, underway: Option<Pending>) -> Self {
        let waits = Waits { shared: began.shared.clone(), number: Some(began.number) };
        Self { began, effect, at, underway, waits }
    }

    pub(super) fn pending(self) -> Pending {
        Box::pin(async move {
            let Self { began, effect, at, underway, mut waits } = self;
            let number = began.number;
            let turn = poll_fn(|context| began.shared.replay().turn(number, context)).await;
            waits.number = None;
            let told = match (turn, underway) {
                (Ok(Turn::Untold(_) | Turn::InDoubt), Some(underway)) => {
                    // Its answer is in the record when it comes, but the replay may have read no further than before it.
                    let answer = underway.await;
                    began.shared.recorder.happened(&Entry::Delivered { effect: number });
                    Ok(answer)
                }
                (Ok(turn), _) => of_turn(began, effect, at, turn).await,
                (Err(why), _) => Err((began.shared, why)),
            };
            match told {
                Ok(answer) => answer,
                Err((shared, why)) => {
                    shared.unreadable(why);
                    pending().await
                }
            }
        })
    }
}

async fn of_turn(began: Began, effect: Effect, at: u64, turn: Turn) -> Result<Vec<u8>, (Shared, String)> {
    let effect_number = began.number;
    match (turn, effect) {
        (Turn::Told(None), Effect::Sleep(_)) => Ok(Vec::new()),
        // It goes on while nobody runs it.
        (Turn::Untold(None), Effect::Sleep(time)) => {
            let passed = Duration::from_millis(now().saturating_sub(at));
            Ok(began.live(Effect::Sleep(time.saturating_sub(passed))).await)
        }
        (Turn::Told(Some((came, kept))), Effect::Request(request)) => {
            let answer = large(&began, kept)?;
            let took = Duration::from_millis(came.saturating_sub(at));
            began.host().replayed(&Effect::Request(request), &answer, took);
            Ok(answer)
        }
        (Turn::Untold(Some((came, kept))), Effect::Request(request)) => {
            let answer = large(&began, kept)?;
            let took = Duration::from_millis(came.saturating_sub(at));
            began.host().replayed(&Effect::Request(request), &answer, took);
            began.shared.recorder.happened(&Entry::Delivered { effect: effect_number });
            Ok(answer)
        }
        (Turn::Untold(None), request) => Ok(began.live(request).await),
        (Turn::InDoubt, request) => {
            let answer = began.host().in_doubt(&request);
            began.shared.recorder.answered(effect_number, &answer);
            began.shared.recorder.happened(&Entry::Delivered { effect: effect_number });
            Ok(answer)
        }
        (Turn::Told(None), Effect::Request(_)) | (Turn::Told(Some(_)) | Turn::Untold(Some(_)), Effect::Sleep(_)) => {
            Err((began.shared, format!("what it says of effect {effect_number} makes no sense")))
        }
    }
}

fn large(began: &Began, kept: Kept) -> Result<Vec<u8>, (Shared, String)> {
    match kept {
        Kept::Inline(answer) => Ok(answer),
        Kept::Large(name) => began.shared.ledger.large(&name).map_err(|why| (began.shared.clone(), why)),
    }
}
