//! What is seen of an execution from outside while it runs: output, calls, progress.
//!
//! A run that is replayed shows all of it again from the beginning. So what was shown before is kept, and shown, until the
//! replay has come as far: nobody sees an output shrink.

use super::record::{Given, ToolCall};
use exuvia_runtime::{Kept, Stream};
use serde::{Deserialize, Serialize};

/// Most calls of tools that one execution lists; further ones are counted.
const MOST_CALLS: usize = 200;
/// Most bytes of what a program says that it does now.
const LONGEST_STEP: usize = 200;

/// How far a program is, by its own word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// 0 to 1.
    pub(crate) fraction: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
}

/// How far a client has read of either stream, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

impl Cursor {
    /// Reads the text that a client was given.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (stdout, stderr) = text.split_once('.')?;
        Some(Self { stdout: stdout.parse().ok()?, stderr: stderr.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.stdout, self.stderr)
    }
}

/// What was printed after a [`Cursor`], and where to read on.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) next: Cursor,
}

/// What one life of an execution has shown so far.
pub(super) struct Seen {
    /// Bytes kept of each stream.
    most: usize,
    stdout: Kept,
    stderr: Kept,
    tool_calls: Vec<ToolCall>,
    calls: u64,
    /// Bytes sent and received over HTTP.
    egress: u64,
    progress: Option<Progress>,
    steps: u64,
    /// What earlier lives have shown, until this one has come as far.
    earlier: Option<Box<Given>>,
}

impl Seen {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            stdout: Kept::new(most),
            stderr: Kept::new(most),
            tool_calls: Vec::new(),
            calls: 0,
            egress: 0,
            progress: None,
            steps: 0,
            earlier: None,
        }
    }

    /// The same execution from its beginning, as a replay shows it.
    pub(super) fn again(&self) -> Self {
        Self::after(self.most, self.so_far())
    }

    /// After lives that have shown `earlier`.
    pub(super) fn after(most: usize, earlier: Given) -> Self {
        let mut seen = Self { earlier: Some(Box::new(earlier)), ..Self::new(most) };
        seen.catch_up();
        seen
    }

    pub(super) fn print(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
        }
        self.catch_up();
    }

    pub(super) fn progresses(&mut self, mut progress: Progress) {
        progress.fraction = progress.fraction.clamp(0.0, 1.0);
        if let Some(step) = &mut progress.step {
            step.truncate(step.floor_char_boundary(LONGEST_STEP));
        }
        self.progress = Some(progress);
        self.steps += 1;
        self.catch_up();
    }

    pub(super) fn called(&mut self, call: ToolCall) {
        self.calls += 1;
        if self.tool_calls.len() < MOST_CALLS {
            self.tool_calls.push(call);
        }
        self.catch_up();
    }

    /// Counts bytes that it sent or received; all of them so far.
    pub(super) fn exchanged(&mut self, bytes: u64) -> u64 {
        self.egress = self.egress.saturating_add(bytes);
        self.egress
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        self.earlier.as_ref().map_or_else(|| self.progress.clone(), |earlier| earlier.progress.clone())
    }

    /// The last line of its output.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = self.stdout.to_text();
        let line = text.trim_end().lines().next_back()?.trim_end();
        (!line.is_empty()).then(|| line.chars().take(200).collect())
    }

    pub(super) fn printed(&self, since: Cursor) -> Printed {
        if let Some(earlier) = &self.earlier {
            return earlier.printed(since);
        }
        let text = |kept: &Kept, position| String::from_utf8_lossy(&kept.since(position)).into_owned();
        Printed {
            stdout: text(&self.stdout, since.stdout),
            stderr: text(&self.stderr, since.stderr),
            next: Cursor { stdout: self.stdout.written(), stderr: self.stderr.written() },
        }
    }

    /// All of it.
    pub(super) fn so_far(&self) -> Given {
        let mut given = Given { progress: self.progress(), ..Given::default() };
        self.fill(&mut given);
        given.steps = self.earlier.as_ref().map_or(self.steps, |earlier| earlier.steps);
        given
    }

    /// Adds output and calls to `given`.
    pub(super) fn fill(&self, given: &mut Given) {
        if let Some(earlier) = &self.earlier {
            given.stdout.clone_from(&earlier.stdout);
            given.stderr.clone_from(&earlier.stderr);
            given.tool_calls.clone_from(&earlier.tool_calls);
            (given.truncated, given.written, given.calls) = (earlier.truncated, earlier.written, earlier.calls);
            given.egress_bytes = earlier.egress_bytes;
            return;
        }
        given.stdout = self.stdout.to_text();
        given.stderr = self.stderr.to_text();
        given.truncated = self.stdout.cut() + self.stderr.cut() > 0;
        given.written = [self.stdout.written(), self.stderr.written()];
        given.tool_calls.clone_from(&self.tool_calls);
        given.calls = self.calls;
        given.egress_bytes = self.egress;
    }

    /// Forgets what earlier lives have shown once this one has shown as much.
    fn catch_up(&mut self) {
        let Some(earlier) = &self.earlier else { return };
        let [stdout, stderr] = earlier.written;
        let is_there = self.stdout.written() >= stdout
            && self.stderr.written() >= stderr
            && self.calls >= earlier.calls
            && self.steps >= earlier.steps;
        if is_there {
            self.earlier = None;
        }
    }
}

impl Given {
    /// What was printed after `since`. Where something was cut, positions in the text are not those of what was printed, and all
    /// of it is given unless the client has read to the end.
    pub(super) fn printed(&self, since: Cursor) -> Printed {
        let [stdout, stderr] = self.written;
        let text = |text: &str, written: u64, since: u64| -> String {
            if since >= written {
                return String::new();
            }
            let position = usize::try_from(since).unwrap_or(usize::MAX);
            let is_whole = text.len() as u64 == written;
            text.get(position..).filter(|_| is_whole).unwrap_or(text).to_owned()
        };
        Printed {
            stdout: text(&self.stdout, stdout, since.stdout),
            stderr: text(&self.stderr, stderr, since.stderr),
            next: Cursor { stdout, stderr },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seen: &Seen) -> (String, String) {
        let printed = seen.printed(Cursor::default());
        (printed.stdout, printed.next.to_string())
    }

    /// Seen to fail without `earlier`.
    #[test]
    fn a_replay_shows_no_less_than_was_shown_before_it() {
        let mut seen = Seen::new(100);
        seen.print(Stream::Stdout, b"one\n");
        seen.progresses(Progress { fraction: 0.5, step: None });
        seen.print(Stream::Stdout, b"two\n");
        let mut again = seen.again();
        for part in [&b""[..], b"one\n", b"two\n"] {
            again.print(Stream::Stdout, part);
            assert_eq!(text(&again), ("one\ntwo\n".into(), "8.0".into()));
            assert_eq!(again.progress(), Some(Progress { fraction: 0.5, step: None }));
        }
        // Not yet as far: it has not said how far it is.
        assert!(again.earlier.is_some());
        again.progresses(Progress { fraction: 0.5, step: None });
        assert!(again.earlier.is_none());
        again.print(Stream::Stdout, b"three\n");
        assert_eq!(text(&again).0, "one\ntwo\nthree\n");
        assert!(Seen::new(1).again().earlier.is_none());
    }
}
