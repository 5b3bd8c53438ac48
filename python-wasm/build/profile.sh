#!/bin/bash
# Remakes profile/python.profdata.zst, which step 06 compiles CPython with: how often each of its branches is taken by the
# programs of profile/training. To be run when CPython, one of its patches or the compiler changes, after steps 01 to 06 of build.sh, with
# the same W; then 06, 12 and 14 again. A profile of other sources is not wrong, but the functions that changed have none.
. "$(dirname "$(realpath "$0")")/env.sh"
GENERATE=$W/python-generate # beside $W/python: names of static functions hold the path to their file
libraries=(-L"$W/prefix/lib" -lz -lbz2 -llzma -ldl -lwasi-emulated-signal -lwasi-emulated-getpid
    -lwasi-emulated-process-clocks -lc-printscan-long-double -lm)

compile() {
    rm -rf "$GENERATE"
    cp -a "$W/python" "$GENERATE"
    cd "$GENERATE"
    make clean
    make -j"$J" EXTRA_CFLAGS="-fno-wrapv-pointer -fprofile-generate" libpython3.13.a
}
link() {
    local objects=$W/objects/generate
    mkdir -p "$objects"
    clang-$LLVM $TARGET -O3 -Wall -Wextra -c "$RECIPE/profile/runtime.c" -o "$objects/runtime.o"
    clang-$LLVM $TARGET -O3 -I"$CPYTHON/Include" -I"$GENERATE" -c "$CPYTHON/Programs/python.c" -o "$objects/python.o"
    clang-$LLVM $TARGET -o "$W/python-generate.wasm" -z stack-size=8388608 -Wl,--stack-first "$objects"/{python,runtime}.o \
        "$GENERATE/libpython3.13.a" "$GENERATE/Modules/_decimal/libmpdec/libmpdec.a" "$GENERATE/Modules/expat/libexpat.a" \
        "$GENERATE"/Modules/_hacl/*.a "${libraries[@]}"
}
run() {
    rm -rf "$W/profile"
    mkdir -p "$W/profile"
    "$VENV/bin/python3" "$RECIPE/tools/wasirun.py" --dir "$CPYTHON/Lib::/lib/python3.13" --dir "$RECIPE/profile::/training" \
        --dir "$W/profile::/profile" --env PYTHONHOME=/ --env PYTHONDONTWRITEBYTECODE=1 --env PYTHONHASHSEED=0 \
        --env EXUVIA_PROFILE=/profile/raw "$W/python-generate.wasm" /training/train.py /training/training
    llvm-profdata-$LLVM merge -o "$W/profile/python.profdata" "$W/profile/raw"
    zstd -q -f --ultra -22 --single-thread "$W/profile/python.profdata" -o "$RECIPE/profile/python.profdata.zst"
}
logged generate.log compile
logged generate.log link
logged generate.log run
