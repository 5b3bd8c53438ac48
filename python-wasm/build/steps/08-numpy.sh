#!/bin/bash
# NumPy and pandas for wasm, each extension module as one relocatable object.
. "$(dirname "$0")/../env.sh"
export PATH=$VENV/bin:$PATH
rm -rf "$W/install" "$W/numpy" "$W/pandas"

cat >"$W/wasi.cross" <<END
[binaries]
c = '$RECIPE/tools/wasi-cc'
cpp = '$RECIPE/tools/wasi-c++'
ar = 'llvm-ar-$LLVM'
strip = 'llvm-strip-$LLVM'
ranlib = 'llvm-ranlib-$LLVM'
pkg-config = 'false'
cython = '$VENV/bin/cython'
python = '$VENV/bin/python3'
[properties]
needs_exe_wrapper = true
skip_sanity_check = true
longdouble_format = 'IEEE_QUAD_LE'
[host_machine]
system = 'wasi'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'
END
options=(--cross-file "$W/wasi.cross" --buildtype=release -Db_ndebug=if-release --prefix=/usr/local
    -Dpython.platlibdir=/usr/local/lib/site-packages -Dpython.purelibdir=/usr/local/lib/site-packages
    -Dpython.bytecompile=-1)

numpy() { # with NumPy's own meson
    cd "$W/src/numpy"
    python3 vendored-meson/meson/meson.py setup "$W/numpy" "${options[@]}" -Ddisable-optimization=true \
        -Dallow-noblas=true -Dblas=none -Dlapack=none -Ddisable-highway=true -Ddisable-svml=true \
        -Ddisable-intel-sort=true -Dcpu-baseline=none -Dcpu-dispatch=none
    ninja -C "$W/numpy" -j"$J"
    python3 vendored-meson/meson/meson.py install -C "$W/numpy" --no-rebuild --destdir "$W/install"
}
logged numpy.log numpy

# pandas is compiled against the NumPy of the build environment: give that one our headers.
native_numpy=$(python3 -c 'import numpy; print(numpy.__path__[0])')
cp -r "$SITE/numpy/_core/include/." "$native_numpy/_core/include/"
cp "$SITE"/numpy/*.pxd "$native_numpy/"
