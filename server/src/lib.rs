//! Everything of Exuvia that touches the world. Today that is the command line; `runtime` does the work.

mod cli;

pub use cli::main;
