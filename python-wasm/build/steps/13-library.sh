#!/bin/bash
# The files of the guest: $W/tree is shipped, $W/tests-root has the test suites as well.
. "$(dirname "$0")/../env.sh"

lay_out() { # kind, folder
    rm -rf "$2"
    python3 "$RECIPE/tools/tree.py" "$1" "$2"
    # Loaded without a look at the source: the file system is read-only and has no times worth comparing.
    # Paths in tracebacks are those that the guest sees.
    "$NATIVE" -E -m compileall -q -j"$J" --invalidation-mode unchecked-hash -s "$2" -p / "$2/lib/python3.13" ||
        [ "$1" = tests ] # which holds files that are wrong on purpose
}
logged library.log lay_out library "$W/tree"
logged tests-root.log lay_out tests "$W/tests-root"
