//! What a program asks for, in words for a terminal.

use super::super::shown::visible;
use exuvia_runtime::{Effect, Stream};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::io::{IsTerminal, Write};

/// Most characters of what one effect asks for.
const LONGEST: usize = 400;

/// A line that is longer is broken: it is in memory until its end.
const LONGEST_LINE: usize = 64 << 10;

/// A call of a tool.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    op: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) positional: Vec<Value>,
    #[serde(default)]
    pub(super) args: Map<String, Value>,
}

impl Call {
    /// The call that an effect is, if it is one.
    pub(super) fn of(effect: &Effect) -> Option<Self> {
        let Effect::Request(message) = effect else { return None };
        serde_json::from_str(message.get()).ok().filter(|call: &Self| call.op == "call")
    }
}

/// As its author would write it.
pub(super) fn asks(effect: &Effect) -> String {
    let text = match (effect, Call::of(effect)) {
        (Effect::Sleep(time), _) => format!("time.sleep({})", time.as_secs_f64()),
        (_, Some(call)) => {
            let positional = call.positional.iter().map(Value::to_string);
            let named = call.args.iter().map(|(name, value)| format!("{name}={value}"));
            let all: Vec<_> = positional.chain(named).collect();
            format!("{}({})", call.name, all.join(", "))
        }
        (Effect::Request(message), None) => message.get().to_owned(),
    };
    let mut shown = visible(&text.chars().take(LONGEST).collect::<String>());
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Prints what a program prints, as it comes. To a terminal only what is plainly seen, line by line: the program may be
/// another's.
pub(super) struct Printer {
    rests: [Vec<u8>; 2],
    are_terminals: [bool; 2],
}

impl Printer {
    pub(super) fn new() -> Self {
        let are_terminals = [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        Self { rests: [Vec::new(), Vec::new()], are_terminals }
    }

    pub(super) fn print(&mut self, stream: Stream, bytes: &[u8]) {
        let [of_stdout, of_stderr] = &mut self.rests;
        let [is_stdout, is_stderr] = self.are_terminals;
        let (rest, is_terminal) = match stream {
            Stream::Stdout => (of_stdout, is_stdout),
            Stream::Stderr => (of_stderr, is_stderr),
        };
        if !is_terminal {
            return write(stream, bytes);
        }
        rest.extend_from_slice(bytes);
        while let Some(end) =
            rest.iter().position(|byte| *byte == b'\n').or((rest.len() > LONGEST_LINE).then_some(LONGEST_LINE))
        {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned();
            write(stream, format!("{}\n", visible_with_tabs(&line)).as_bytes());
        }
    }

    /// What does not end in a line's end.
    pub(super) fn finish(&mut self) {
        for (rest, stream) in self.rests.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            if !rest.is_empty() {
                let line = String::from_utf8_lossy(&std::mem::take(rest)).into_owned();
                write(stream, format!("{}\n", visible_with_tabs(&line)).as_bytes());
            }
        }
    }
}

fn visible_with_tabs(line: &str) -> String {
    line.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

fn write(stream: Stream, bytes: &[u8]) {
    // A reader that went away is no error.
    let _ = match stream {
        Stream::Stdout => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        Stream::Stderr => std::io::stderr().write_all(bytes),
    };
}
