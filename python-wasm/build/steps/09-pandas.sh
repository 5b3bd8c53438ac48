#!/bin/bash
# pandas for wasm.
. "$(dirname "$0")/../env.sh"
export PATH=$VENV/bin:$PATH
rm -rf "$W/pandas" "$SITE/pandas"

pandas() {
    cd "$W/src/pandas"
    meson setup "$W/pandas" --cross-file "$W/wasi.cross" --buildtype=release -Db_ndebug=if-release --prefix=/usr/local \
        -Dpython.platlibdir=/usr/local/lib/site-packages -Dpython.purelibdir=/usr/local/lib/site-packages \
        -Dpython.bytecompile=-1
    ninja -C "$W/pandas" -j"$J"
    meson install -C "$W/pandas" --no-rebuild --destdir "$W/install"
}
logged pandas.log pandas
