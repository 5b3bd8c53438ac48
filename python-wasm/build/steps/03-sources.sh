#!/bin/bash
# Unpacks the sources and applies the patches. Always starts from the fetched archives.
. "$(dirname "$0")/../env.sh"
D=$W/download
rm -rf "$W/src" "$W/sysroot"
mkdir -p "$W/src" "$W/sysroot"
cd "$W/src"

# The sysroot: C and C++ libraries for wasm32-wasip1.
for deb in "$D"/debian/*.deb; do dpkg -x "$deb" "$W/src/debs"; done
cp -a debs/usr/include debs/usr/lib "$W/sysroot/"

unpack() { # folder, archive
    mkdir "$1"
    tar xf "$2" -C "$1" --strip-components=1 --no-same-owner
}
unpack zlib "$D"/debian/zlib_*.orig.tar.gz
unpack bzip2 "$D"/debian/bzip2_*.orig.tar.gz
unpack xz "$D"/debian/xz-utils_*.orig.tar.xz
unpack freetype "$D"/debian/freetype_*.orig.tar.xz
unpack jpeg "$D"/debian/libjpeg-turbo_*.orig.tar.gz
unpack qhull "$D"/debian/qhull_*.orig.tar.gz
for name in numpy pandas matplotlib contourpy kiwisolver pillow; do cp -r "$D/sdist/$name" .; done
cp -r "$W/crate/vendor/libsqlite3-sys/sqlite3" sqlite
unzip -q "$D"/llvm/ziglang-*.whl 'ziglang/lib/libcxxabi/*' 'ziglang/lib/libunwind/*' 'ziglang/lib/libcxx/*' -d llvm

# CPython with Debian's security fixes, which is what the native build is made from.
unpack cpython-native "$D"/debian/python3.13_*.orig.tar.xz
unpack debian "$D"/debian/python3.13_*.debian.tar.xz
unlisted=$(grep -v '^#' debian/patches/series | grep -vxFf <(awk '/^(apply|skip)/ {print $2}' "$RECIPE/patches/cpython/debian-series.txt") || true)
[ -z "$unlisted" ] || { echo "debian-series.txt does not say what to do with: $unlisted" >&2; exit 1; }
awk '/^apply/ {print $2}' "$RECIPE/patches/cpython/debian-series.txt" | while read -r name; do
    patch -d cpython-native -p1 -s -f --no-backup-if-mismatch <"debian/patches/$name"
done

# Ours.
cp -r cpython-native cpython
debian_fix() { # folder, Debian's name of the source, its patch; the others are of Debian's packaging
    unpack "$1-debian" "$D"/debian/"$2"_*.debian.tar.xz
    patch -d "$1" -p1 -s -f --no-backup-if-mismatch <"$1-debian/patches/$3"
}
debian_fix xz xz-utils 0001-liblzma-Fix-a-buffer-overflow-in-lzma_index_append.patch
debian_fix freetype freetype CVE-2026-23865.patch
mkdir pybind11
cp -r "$("$VENV/bin/python3" -c 'import pybind11; print(pybind11.get_include())')" pybind11/include
for tree in cpython numpy pandas pybind11 kiwisolver pillow matplotlib; do
    for change in "$RECIPE"/patches/$tree/*.patch; do
        patch -d $tree -p1 -s -f --no-backup-if-mismatch <"$change"
    done
done
