//! Everything of Exuvia that touches the world: the server, its upstream servers, its store, and the command line.
//!
//! A request comes in over `http` to `mcp` or `rest`; both hand it to `executions`, which runs it in the sandbox of
//! `exuvia-runtime`. What the script asks of the world goes through `calls` to `upstream`, or through `egress` to any server. Whatever has an effect is decided by
//! `gate` first, and written down by `audit`. What is kept is in `store`; `secrets` has what no program and no record may have.

mod app;
mod approvals;
mod audit;
mod calls;
mod cli;
mod config;
mod egress;
mod executions;
mod gate;
mod grants;
mod http;
mod mcp;
mod packages;
mod rest;
mod secrets;
mod sessions;
mod shelf;
mod store;
mod texts;
mod tls;
mod upstream;

pub use cli::main;
