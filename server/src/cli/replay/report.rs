//! What a replay came to, in lines for a terminal, and its exit status.

use super::super::kept::Kept;
use super::super::shown::{lines, visible};
use super::super::{Status, print, report};
use super::Arguments;
use super::seen::{Seen, Stopped, Why};
use crate::executions::{Difference, Verdict};
use exuvia_runtime::{Halt, Limit, Outcome};
use std::time::Duration;

/// Most characters of each side of a difference that are shown.
const LONGEST: usize = 200;

pub(super) struct Report<'a> {
    pub(super) kept: &'a Kept,
    pub(super) seen: &'a Seen,
    pub(super) arguments: &'a Arguments,
    pub(super) verdict: Option<exuvia_runtime::Verdict>,
    /// How long it was allowed to take.
    pub(super) took: Duration,
}

impl Report<'_> {
    pub(super) fn of(&self, outcome: Outcome) -> Status {
        let stopped = self.seen.lock().stopped.take();
        let status = match (&stopped, &outcome) {
            (None, Outcome::Stopped(_, limit)) => self.limited(limit),
            (None, _) => {
                gave(&outcome);
                report::status(&outcome)
            }
            (Some(stopped), _) => self.stops(stopped),
        };
        let status = self.compared(status, stopped.as_ref(), outcome);
        self.judged(status)
    }

    fn limited(&self, limit: &Limit) -> Status {
        let halted = self.verdict.as_ref().and_then(exuvia_runtime::Verdict::halted);
        match (limit, halted) {
            // `compared` says what that is.
            (Limit::Cancelled, Some(_)) => {}
            (Limit::Wall | Limit::Cpu, _) => {
                let took = humantime::format_duration(self.took);
                print::error(&format!("exuvia: the replay was stopped after {took}: `--timeout` gives it longer"));
            }
            (limit, _) => print::error(&format!("exuvia: {}", visible(&limit.to_string()))),
        }
        Status::Stopped
    }

    /// Says where it was stopped, and where the program stands.
    fn stops(&self, stopped: &Stopped) -> Status {
        let place = stopped.effect.map_or_else(String::new, |effect| format!(" at effect #{effect}"));
        let (why, status) = match stopped.why {
            Why::Until => ("stopped", Status::Finished),
            Why::RecordEnds => ("the record ends", Status::Stopped),
            Why::NotRecorded => ("stopped, as this is not in the record", Status::Stopped),
        };
        print::error(&format!("exuvia: {why}{place}: {}", stopped.asks));
        let stack = std::mem::take(&mut self.seen.lock().stack);
        if !stack.is_empty() {
            print::error(&format!("The program stands here:\n{}", lines(stack.trim_end())));
        }
        status
    }

    /// Holds it against the record, where it is a run of the record.
    fn compared(&self, status: Status, stopped: Option<&Stopped>, outcome: Outcome) -> Status {
        let Some(verdict) = &self.verdict else { return self.reached(status, stopped) };
        let ended = !matches!(outcome, Outcome::Stopped(..));
        let halt = if ended { verdict.ended() } else { verdict.halted() };
        if let Some(halt) = halt.filter(|_| stopped.is_none()) {
            print::error(&format!("exuvia: DIFFERS from what was recorded: {}", visible(&said(&halt))));
            return Status::OurError;
        }
        if stopped.is_some_and(|stopped| stopped.why == Why::Until) {
            return status;
        }
        let (stdout, stderr) = {
            let seen = self.seen.lock();
            (seen.stdout.to_text(), seen.stderr.to_text())
        };
        let is_cut_short =
            stopped.is_none() && matches!(outcome, Outcome::Stopped(_, Limit::Wall | Limit::Cpu | Limit::Cancelled));
        match self.kept.recorded.compare(outcome, [&stdout, &stderr], is_cut_short) {
            Verdict::Same => print::error("exuvia: the same as recorded"),
            Verdict::SameSoFar => print::error("exuvia: the same as recorded, as far as it went"),
            Verdict::Differs(all) => {
                print::error("exuvia: DIFFERS from what was recorded:");
                for one in &all {
                    print::error(&difference(one));
                }
                return Status::OurError;
            }
        }
        self.reached(status, stopped)
    }

    fn reached(&self, status: Status, stopped: Option<&Stopped>) -> Status {
        let Some(until) = self.arguments.until.filter(|_| stopped.is_none()) else { return status };
        let effects = self.seen.lock().effects;
        print::error(&format!("exuvia: effect #{until} was not reached: there are {effects}"));
        Status::Raised
    }

    fn judged(&self, status: Status) -> Status {
        let seen = self.seen.lock();
        let Some(judge) = &seen.judge else { return status };
        print::error(&format!("exuvia: {} of {} decisions differ", judge.differing, judge.decided));
        if judge.differing > 0 && status == Status::Finished { Status::Raised } else { status }
    }
}

/// Prints what the program did not print itself.
fn gave(outcome: &Outcome) {
    let output = outcome.output();
    if let Some(result) = &output.result {
        print::out(&visible(result.get()));
    }
    for (name, value) in &output.outputs {
        print::out(&format!("{} = {}", visible(name), visible(value.get())));
    }
    if let Outcome::Raised(_, traceback) = outcome {
        print::error(&lines(traceback.traceback.trim_end()));
    }
}

fn said(halt: &Halt) -> String {
    match halt {
        Halt::Diverged { step, recorded, asked } => {
            format!("at step {step}, recorded was {recorded}, now it is {asked}")
        }
        other => other.to_string(),
    }
}

/// Where two texts differ first.
fn difference(difference: &Difference) -> String {
    let Difference { what, recorded, replayed } = difference;
    let (mut before, mut now) = (recorded.lines(), replayed.lines());
    let mut line = 1;
    let (before, now) = loop {
        match (before.next(), now.next()) {
            (Some(before), Some(now)) if before == now => line += 1,
            (None, None) => break ("the end", "the end"),
            (before, now) => break (before.unwrap_or("the end"), now.unwrap_or("the end")),
        }
    };
    let [before, now] = [before, now].map(|text| visible(&text.chars().take(LONGEST).collect::<String>()));
    format!("  {} from line {line} on: recorded `{before}`, replayed `{now}`", visible(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_where_it_begins() {
        let between = |recorded: &str, replayed: &str| {
            difference(&Difference { what: "stdout".into(), recorded: recorded.into(), replayed: replayed.into() })
        };
        assert_eq!(between("a\nb\n", "a\nc\n"), "  stdout from line 2 on: recorded `b`, replayed `c`");
        assert_eq!(between("a\n", "a\nb\u{1b}"), "  stdout from line 2 on: recorded `the end`, replayed `b\\u001b`");
    }
}
