#!/bin/bash
# A CPython of the same version for the build machine: it drives the cross build, compiles the
# library's .pyc files, and is what the guest is compared with.
. "$(dirname "$0")/../env.sh"
rm -rf "$W/native"
mkdir -p "$W/native"
cd "$W/native"
logged native.log ../src/cpython-native/configure --without-ensurepip OPT="-O3 -DNDEBUG"
logged native.log make -j"$J"
