//! The binary `exuvia`.

fn main() -> std::process::ExitCode {
    exuvia::main()
}
