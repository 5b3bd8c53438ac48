//! Everything of Exuvia that touches the world. Today that is the command line; `runtime` does the work.

mod cli;
#[allow(dead_code, unused_imports, reason = "the server, which uses the rest, comes next")]
mod upstream;

pub use cli::main;
