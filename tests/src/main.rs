//! The binary `exuvia`, built beside the tests that drive it.

fn main() -> std::process::ExitCode {
    exuvia::main()
}
