#!/bin/bash
# CPython for wasm: a static library, as ThinLTO bitcode.
. "$(dirname "$0")/../env.sh"
rm -rf "$W/python"
mkdir -p "$W/python"

# The patch of the interpreter's instructions is to their source; this makes the C from it.
(cd "$CPYTHON" && "$NATIVE" Tools/cases_generator/tier1_generator.py -o Python/generated_cases.c.h Python/bytecodes.c)

export CC="clang-$LLVM $TARGET" CPP="clang-cpp-$LLVM $TARGET" AR="llvm-ar-$LLVM" LLVM_AR="llvm-ar-$LLVM" \
    RANLIB="llvm-ranlib-$LLVM" NM="llvm-nm-$LLVM"
export CONFIG_SITE=$CPYTHON/Tools/wasm/config.site-wasm32-wasi HOSTRUNNER=/bin/true PKG_CONFIG_LIBDIR=$W/none
export CFLAGS="$CFLAGS_WASM" CPPFLAGS="-I$W/prefix/include" LDFLAGS="-L$W/prefix/lib"
export ZLIB_CFLAGS="-I$W/prefix/include" ZLIB_LIBS=-lz BZIP2_CFLAGS="-I$W/prefix/include" BZIP2_LIBS=-lbz2 \
    LIBLZMA_CFLAGS="-I$W/prefix/include" LIBLZMA_LIBS=-llzma
cd "$W/python"
# ac_cv_func_mmap: the emulation in wasi-libc is for the module mmap alone (steps/10-modules.sh).
logged python-configure.log ../src/cpython/configure --host=wasm32-wasip1 --build=x86_64-pc-linux-gnu \
    --with-build-python="$NATIVE" --prefix=/usr/local --disable-test-modules --with-pymalloc --without-ensurepip \
    ac_cv_func_mmap=no
# -fno-wrapv-pointer: configure's -fno-strict-overflow keeps field offsets out of loads and stores.
flags="-fno-wrapv-pointer -flto=thin"
# The profile is of profile.sh; modules that its programs do not use have none, which is no mistake. ceval.c is compiled
# without it: with it, LLVM inlines so much into the interpreter's loop that programs take 1.43 times as long as natively instead of
# 1.31 times, and the link takes gigabytes. (Without any profile it is 1.48 times: docs/performance.md.)
zstd -q -d -f "$RECIPE/profile/python.profdata.zst" -o "$W/python.profdata"
profile="-fprofile-use=$W/python.profdata -Wno-profile-instr-unprofiled"
logged ceval.log make EXTRA_CFLAGS="$flags" Python/ceval.o
logged python.log make -j"$J" EXTRA_CFLAGS="$flags $profile" libpython3.13.a pybuilddir.txt
