#!/bin/bash
# zlib, bzip2 and xz for wasm, into $W/prefix.
. "$(dirname "$0")/../env.sh"
rm -rf "$W/prefix"
mkdir -p "$W/prefix/lib" "$W/prefix/include"
export CC="clang-$LLVM $TARGET" AR="llvm-ar-$LLVM" RANLIB="llvm-ranlib-$LLVM" NM="llvm-nm-$LLVM"

zlib() {
    cd "$W/src/zlib"
    CHOST=wasm32 CFLAGS="$CFLAGS_WASM" ./configure --static
    make -j"$J" libz.a
    cp libz.a "$W/prefix/lib"
    cp zlib.h zconf.h "$W/prefix/include"
}
bzip2() {
    cd "$W/src/bzip2"
    make -j"$J" libbz2.a CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="$CFLAGS_WASM -D_FILE_OFFSET_BITS=64"
    cp libbz2.a "$W/prefix/lib"
    cp bzlib.h "$W/prefix/include"
}
xz() {
    cd "$W/src/xz"
    ./configure --host=wasm32-wasi --prefix="$W/prefix" CFLAGS="$CFLAGS_WASM" --disable-threads --disable-shared \
        --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo --disable-scripts --disable-doc
    make -j"$J" install
}
logged zlib.log zlib
logged bzip2.log bzip2
logged xz.log xz
