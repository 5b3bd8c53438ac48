#!/bin/bash
# Packs ../dist: python.wasm.zst, library.tar.zst, their licences, and manifest.json that says what they are.
. "$(dirname "$0")/../env.sh"
DIST=${DIST:-$PYTHON_WASM/dist}

for file in "$W/python.wasm" "$W/tree"; do
    if grep -rqaF -e "$W" -e "$PYTHON_WASM" "$file"; then
        grep -rlaF -e "$W" -e "$PYTHON_WASM" "$file" >&2
        echo "a path of this machine is in what would be shipped" >&2
        exit 1
    fi
done

mkdir -p "$DIST"
rm -rf "${DIST:?}"/{python.wasm.zst,library.tar.zst,manifest.json,licences}
python3 "$RECIPE/tools/pack.py" "$W/tree/lib" "$W/library.tar" # paths relative to the guest's /lib
# --single-thread: the bytes do not depend on the number of processors.
zstd -q -f --ultra -22 --long=27 --single-thread "$W/python.wasm" -o "$DIST/python.wasm.zst"
zstd -q -f --ultra -22 --long=27 --single-thread "$W/library.tar" -o "$DIST/library.tar.zst"
chmod 644 "$DIST"/*.zst
"$VENV/bin/python3" "$RECIPE/tools/licences.py" "$DIST/licences"
"$VENV/bin/python3" "$RECIPE/tools/manifest.py" "$DIST"
