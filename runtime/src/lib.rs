//! Runs one Python program in a fresh interpreter, within limits.
//!
//! A [`Sandbox`] holds a snapshot of a warmed-up CPython. [`Sandbox::run`] starts a [`Program`] from exactly that
//! snapshot and gives an [`Outcome`]. The program can do nothing to the world by itself: every effect goes through
//! the [`Host`] that the caller supplies.
//!
//! The shape of a run, from outside in:
//!
//! - `sandbox`, `slots`, `slot`, `pages`, `keeper`: an instance to run in, as good as new;
//! - `saved`: what one call of a session leaves to the next;
//! - `run`, `stop`: the call into it, and why it ended;
//! - `watch`, `watchdog`, `fence`: its limits, and how it is stopped;
//! - `wasi`, `files`, `effects`, `output`: what the guest can reach;
//! - `spill`: what of that lies on the disk;
//! - `journal`: the record of what a run was told, and the run from its record;
//! - `layer`, `extension`: packages beside those of the image;
//! - `cache`, `sealed`, `snapshot`, `engine`, `verify`: how the snapshot came to be on this machine.

mod cache;
mod clock;
mod effects;
mod engine;
mod error;
mod extension;
mod fence;
mod files;
mod guest;
mod host;
mod journal;
mod keeper;
mod layer;
mod limits;
mod outcome;
mod output;
mod pages;
mod program;
mod progress;
mod run;
mod sandbox;
mod saved;
mod sealed;
mod slot;
mod slots;
mod snapshot;
mod spill;
mod stop;
mod thread_clock;
mod usage;
mod verify;
mod wasi;
mod watch;
mod watchdog;

pub use cache::{Cache, Entry};
pub use clock::{Clock, RealClock, SteppedClock};
pub use error::Error;
pub use extension::Extension;
pub use files::{Artifact, Artifacts, Input, LeftOut};
pub use host::{Effect, Host, Isolated, Message, Outstanding, Pending, Rest, Stream, Uncounted};
pub use journal::{
    Begun, Bounds, Durable, Fact, Facts, Halt, Journal, Journaled, Ledger, Memory, Patience, Said, Stay, Suspended,
    Verdict, Witness, lived,
};
pub use layer::{Layer, Layers, Making, Tree};
pub use limits::Limits;
pub use outcome::{Outcome, Output, Traceback};
pub use output::Kept;
pub use pages::Recycling;
pub use program::Program;
pub use progress::{Phase, Progress, Silent};
pub use sandbox::{Config, Sandbox, Session};
pub use saved::{Left, Saved};
pub use sealed::Damage;
pub use spill::{Spill, Spilled};
pub use stop::Limit;
pub use usage::Usage;
