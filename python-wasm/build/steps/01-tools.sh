#!/bin/bash
# The compiler from Debian, and a Python environment with meson and Cython.
. "$(dirname "$0")/../env.sh"

missing=()
while read -r package version; do
    [[ $package == \#* ]] && continue
    installed=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null || true)
    if [ "$version" = - ]; then
        [ -n "$installed" ] || missing+=("$package")
    else
        [ "$installed" = "$version" ] || missing+=("$package=$version")
    fi
done <"$RECIPE/sources/debian-tools.txt"
if [ ${#missing[@]} -gt 0 ]; then
    logged apt-install.log apt-get install -y --no-install-recommends --allow-downgrades "${missing[@]}"
fi

rm -rf "$VENV"
python3 -m venv "$VENV"
logged venv.log "$VENV/bin/pip" install --no-deps --require-hashes -r "$RECIPE/sources/pip-build.txt"
