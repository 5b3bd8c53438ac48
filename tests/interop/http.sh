#!/bin/sh
# Runs the scripts of tests/http natively, against the same web server as in the sandbox: what they print must be what is
# recorded beside them, which `cargo test` holds the sandbox against. With --record, it is recorded anew.
set -eu
cd "$(dirname "$0")/../.."
venv="${VENV:-target/http-venv}"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# The versions in the sandbox.
"$venv/bin/pip" install --quiet httpx==0.28.1 requests==2.34.2 urllib3==2.8.0
EXUVIA_NATIVE_PYTHON="$PWD/$venv/bin/python"
case "$venv" in /*) EXUVIA_NATIVE_PYTHON="$venv/bin/python" ;; esac
export EXUVIA_NATIVE_PYTHON
[ "${1:-}" = "--record" ] && export EXUVIA_RECORD=1
exec cargo test --workspace --test http the_same_scripts
