# The project's commands. `just` alone lists them.

_default:
    @just --list

# Run the tests, as README says.
test:
    cargo test --workspace

# All that CI runs.
ci:
    .ci/run

# Real clients against the server, and the server against real upstream servers: `just interop sdk` runs one suite.
interop *suites:
    tests/interop/run {{suites}}

# Kill the server so often, at random moments, over a mix of jobs, and see that nothing is lost or repeated.
kill-test kills="1000":
    EXUVIA_KILLS={{kills}} cargo test --workspace --test kills -- --nocapture

# Formatting and lints.
lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets --features exuvia/conformance -- --deny warnings

# Print the table of docs/performance.md with this machine's figures beside the targets.
bench:
    bench/run

# Run CPython's, NumPy's and pandas' own tests in the sandbox and natively, for an hour; writes docs/fidelity.md.
fidelity:
    fidelity/run

# Build CPython, NumPy and pandas for WASI from registry sources, into python-wasm/dist.
python-wasm:
    python-wasm/build/build.sh
