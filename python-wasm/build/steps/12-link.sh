#!/bin/bash
# The guest, python.wasm, and for the test suites an ordinary command, python-command.wasm.
. "$(dirname "$0")/../env.sh"
rm -rf "$W/objects/reactor" "$W/objects/command"
python3 "$RECIPE/tools/link.py" reactor "$W/python.wasm" "$SITE" "$PLOTTING" "$W/modules"
python3 "$RECIPE/tools/link.py" command "$W/python-command.wasm" "$SITE" "$PLOTTING" "$W/modules"
