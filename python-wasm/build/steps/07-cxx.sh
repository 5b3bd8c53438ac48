#!/bin/bash
# libc++abi and libunwind with wasm exceptions, which Debian's packages are built without.
. "$(dirname "$0")/../env.sh"
rm -rf "$W/cxx"
mkdir -p "$W/cxx"
cd "$W/cxx"
L=../src/llvm/ziglang/lib
flags="$TARGET -O2 $PREFIX_MAP -fwasm-exceptions -mllvm -wasm-use-legacy-eh=false -DNDEBUG -w"

cxxabi() {
    for name in abort_message cxa_aux_runtime cxa_default_handlers cxa_demangle cxa_exception cxa_exception_storage \
        cxa_guard cxa_handlers cxa_personality cxa_vector cxa_virtual fallback_malloc private_typeinfo \
        stdlib_exception stdlib_new_delete stdlib_stdexcept stdlib_typeinfo; do
        clang++-$LLVM $flags -std=c++23 -D_LIBCPP_BUILDING_LIBRARY -D_LIBCXXABI_BUILDING_LIBRARY \
            -D_LIBCXXABI_HAS_NO_THREADS -I$L/libcxxabi/include -I$L/libcxx/src -I$L/libunwind/include \
            -c "$L/libcxxabi/src/$name.cpp" -o "$name.o"
    done
    clang-$LLVM $flags -D_LIBUNWIND_HIDE_SYMBOLS -D_LIBUNWIND_HAS_NO_THREADS -I$L/libunwind/include \
        -c $L/libunwind/src/Unwind-wasm.c -o unwind.o
    clang-$LLVM $TARGET -mexception-handling -c "$RECIPE/cxx/exception_tag.s" -o exception_tag.o
    llvm-ar-$LLVM rcsD libcxxabi.a ./*.o
}
logged cxx.log cxxabi
