# The project's commands. `just` alone lists them.

_default:
    @just --list

# Run the tests, as README says.
test:
    cargo test --workspace

# All that CI runs.
ci:
    .ci/run

# Formatting and lints.
lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- --deny warnings

# Print the table of docs/performance.md with this machine's figures beside the targets.
bench:
    bench/run

# Run CPython's, NumPy's and pandas' own tests in the sandbox and natively, for an hour; writes docs/fidelity.md.
fidelity:
    fidelity/run

# Build CPython, NumPy and pandas for WASI from registry sources, into python-wasm/dist.
python-wasm:
    python-wasm/build/build.sh
