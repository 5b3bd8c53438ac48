#!/bin/bash
# Builds CPython, NumPy, pandas and matplotlib for wasm32-wasip1, and packs them into ../dist.
#
#   build.sh               every step, in order
#   build.sh 07 10 12      some of them
#
# W is the work folder (default: target/python-wasm), J the number of jobs.
. "$(dirname "$(realpath "$0")")/env.sh"
mkdir -p "$W"
started=$SECONDS
for step in "$RECIPE"/steps/*.sh; do
    name=$(basename "$step" .sh)
    if [ $# -eq 0 ] || [[ " $* " == *" ${name%%-*} "* ]]; then
        say "$name"
        bash "$step"
    fi
done
say "done in $((SECONDS - started)) s"
