#!/bin/bash
# Extension modules that CPython's configure leaves out on WASI: _ctypes, mmap, _sqlite3; and our _kdf.
. "$(dirname "$0")/../env.sh"
rm -rf "$W/modules" "$W/objects/modules"
mkdir -p "$W/modules"
cc=$RECIPE/tools/wasi-cc
internal="-DNDEBUG -DPy_BUILD_CORE_MODULE -I$CPYTHON/Include/internal -I$CPYTHON/Include/internal/mimalloc"

compile() { # module, compiler arguments...
    local module=$1 source=${*: -1}
    mkdir -p "$W/objects/modules/$module"
    "$cc" -O3 -c "${@:2}" -o "$W/objects/modules/$module/$(basename "$source" .c).o"
}
finish() { "$cc" -shared -o "$W/modules/$1.cpython-313.so" "$W/objects/modules/$1"/*.o; }

ctypes() {
    local flags="$internal -I$RECIPE/modules/ffi -DHAVE_FFI_PREP_CIF_VAR=1 -DHAVE_FFI_PREP_CLOSURE_LOC=1 -DHAVE_FFI_CLOSURE_ALLOC=1"
    for name in _ctypes callbacks callproc stgdict cfield; do
        compile _ctypes $flags "$CPYTHON/Modules/_ctypes/$name.c"
    done
    compile _ctypes $flags "$RECIPE/modules/ffi/ffi.c"
    finish _ctypes
}
mmap() {
    compile mmap $internal -DHAVE_MMAP=1 -I"$CPYTHON/Modules" "$RECIPE/modules/mmap.c"
    finish mmap
}
sqlite() {
    # No threads, no shared libraries, no shared memory; files through the VFS of the same crate.
    compile _sqlite3 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OS_OTHER -DSQLITE_OMIT_WAL \
        -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_TEMP_STORE=3 -DLONGDOUBLE_TYPE=double -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_MATH_FUNCTIONS \
        "$W/src/sqlite/sqlite3.c"
    compile _sqlite3 -I"$W/src/sqlite" "$W/src/sqlite/wasm32-wasi-vfs.c"
    for name in blob connection cursor microprotocols module prepare_protocol row statement util; do
        compile _sqlite3 $internal '-DMODULE_NAME="sqlite3"' -DSQLITE_OMIT_LOAD_EXTENSION -I"$W/src/sqlite" \
            -I"$CPYTHON/Modules/_sqlite" "$CPYTHON/Modules/_sqlite/$name.c"
    done
    finish _sqlite3
}
kdf() {
    compile _kdf -w -I"$CPYTHON/Modules/_hacl" -I"$CPYTHON/Modules/_hacl/include" "$RECIPE/modules/kdf.c"
    finish _kdf
}
logged ctypes.log ctypes
logged mmap.log mmap
logged sqlite.log sqlite
logged kdf.log kdf
