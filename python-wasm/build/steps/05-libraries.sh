#!/bin/bash
# zlib, bzip2, xz, and for plots FreeType, libjpeg-turbo and Qhull, for wasm, into $W/prefix.
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
# What the last three have instead of a configure script: their sources, compiled side by side into one archive.
archive() { # name, folder of the sources, compiler arguments...; the sources are read from standard input
    local objects=$W/objects/$1
    rm -rf "$objects"
    mkdir -p "$objects"
    cd "$2"
    tr -s ' \n' '\n' | xargs -P "$J" -I SOURCE sh -c '"$@" -c SOURCE -o "$0/$(basename SOURCE .c).o"' \
        "$objects" $CC $CFLAGS_WASM $SETJMP "${@:3}"
    rm -f "$W/prefix/lib/lib$1.a"
    $AR rcsD "$W/prefix/lib/lib$1.a" "$objects"/*.o
}
freetype() {
    # Outline fonts and what hints and draws them; no bitmap fonts, compressed fonts, SVG glyphs.
    archive freetype "$W/src/freetype/src" -DFT2_BUILD_LIBRARY -I../include -I"$RECIPE/modules/freetype" \
        '-DFT_CONFIG_MODULES_H=<exuvia_ftmodule.h>' '-DFT_CONFIG_OPTIONS_H=<exuvia_ftoption.h>' <<<"
        base/ftbase.c base/ftbbox.c base/ftbitmap.c base/ftdebug.c base/ftfstype.c base/ftgasp.c base/ftglyph.c base/ftinit.c
        base/ftmm.c base/ftstroke.c base/ftsynth.c base/ftsystem.c base/fttype1.c autofit/autofit.c cff/cff.c psaux/psaux.c
        pshinter/pshinter.c psnames/psnames.c raster/raster.c sfnt/sfnt.c smooth/smooth.c truetype/truetype.c type1/type1.c"
    cp -r ../include/. "$W/prefix/include"
}
jpeg() {
    cp "$RECIPE"/modules/jpeg/*.h "$W/src/jpeg"
    sed 's/@COPYRIGHT_YEAR@/2023/' "$W/src/jpeg/jversion.h.in" >"$W/src/jpeg/jversion.h"
    archive jpeg "$W/src/jpeg" <<<"
        jaricom.c jcapimin.c jcapistd.c jcarith.c jccoefct.c jccolor.c jcdctmgr.c jchuff.c jcicc.c jcinit.c jcmainct.c
        jcmarker.c jcmaster.c jcomapi.c jcparam.c jcphuff.c jcprepct.c jcsample.c jctrans.c jdapimin.c jdapistd.c jdarith.c
        jdatadst.c jdatasrc.c jdcoefct.c jdcolor.c jddctmgr.c jdhuff.c jdicc.c jdinput.c jdmainct.c jdmarker.c jdmaster.c
        jdmerge.c jdphuff.c jdpostct.c jdsample.c jdtrans.c jerror.c jfdctflt.c jfdctfst.c jfdctint.c jidctflt.c jidctfst.c
        jidctint.c jidctred.c jmemmgr.c jmemnobs.c jquant1.c jquant2.c jsimd_none.c jutils.c"
    cp jpeglib.h jerror.h jmorecfg.h jconfig.h "$W/prefix/include"
}
qhull() {
    archive qhull_r "$W/src/qhull/src/libqhull_r" <<<"
        geom2_r.c geom_r.c global_r.c io_r.c libqhull_r.c mem_r.c merge_r.c poly2_r.c poly_r.c qset_r.c random_r.c rboxlib_r.c
        stat_r.c usermem_r.c userprintf_r.c userprintf_rbox_r.c user_r.c"
    mkdir -p "$W/prefix/include/libqhull_r"
    cp ./*.h "$W/prefix/include/libqhull_r"
}
logged zlib.log zlib
logged bzip2.log bzip2
logged xz.log xz
logged freetype.log freetype
logged jpeg.log jpeg
logged qhull.log qhull
