#!/bin/bash
# install.sh FOLDER NATIVE: the peers, from their registries, by exact version.
set -euo pipefail
mkdir -p "$1"
if [ ! -e "$1/eryx" ]; then
    python3 -m pip install -q --no-deps --only-binary :all: --python-version 3.13 --target "$1/eryx" pyeryx==0.11.0
fi
if [ ! -e "$1/node_modules/pyodide" ]; then
    npm install --silent --prefix "$1" pyodide@314.0.7
fi
