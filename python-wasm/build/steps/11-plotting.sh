#!/bin/bash
# matplotlib, and what it needs, for wasm: each extension module as one relocatable object beside the Python files of
# its package, in $PLOTTING. Compiled without the packages' own build systems: none of them knows this machine.
. "$(dirname "$0")/../env.sh"
rm -rf "$PLOTTING" "$W/objects/plotting"
# -Wno-c++11-narrowing: numbers of 32 bits for a Py_ssize_t, which has more elsewhere.
headers="-I$W/src/pybind11/include -I$("$VENV/bin/python3" -c 'import cppy; print(cppy.get_include())')"
cc="$RECIPE/tools/wasi-cc -O3 -DNDEBUG $SETJMP -I$W/prefix/include"
cxx="$RECIPE/tools/wasi-c++ -O3 -DNDEBUG -std=c++17 -Wno-c++11-narrowing -fvisibility=hidden -I$W/prefix/include -I$SITE/numpy/_core/include $headers"

# The module's name in Python, the folder of its sources, the compiler with its arguments. The sources, one or several
# to a line, are read from standard input.
module() {
    local name=$1 folder=$2 objects=$W/objects/plotting/$1
    mkdir -p "$objects" "$PLOTTING/$(dirname "${name//.//}")"
    cd "$folder"
    tr -s ' \n' '\n' | xargs -P "$J" -I SOURCE bash -c '"$@" -c SOURCE -o "$0/$(basename SOURCE).o"' "$objects" "${@:3}"
    "$RECIPE/tools/wasi-cc" -shared -o "$PLOTTING/${name//.//}.cpython-313.so" "$objects"/*.o
}

kiwisolver() {
    module kiwisolver._cext "$W/src/kiwisolver" $cxx -I. <<<"
        py/src/kiwisolver.cpp py/src/constraint.cpp py/src/expression.cpp py/src/solver.cpp py/src/strength.cpp
        py/src/term.cpp py/src/variable.cpp"
    cp py/kiwisolver/*.py "$PLOTTING/kiwisolver"
}

contourpy() {
    local version
    version=$(sed -n 's/^Version: //p' "$W/src/contourpy/PKG-INFO")
    module contourpy._contourpy "$W/src/contourpy/src" $cxx "-DCONTOURPY_VERSION=$version" <<<"
        chunk_local.cpp contour_generator.cpp converter.cpp fill_type.cpp line_type.cpp mpl2005_original.cpp mpl2005.cpp
        mpl2014.cpp outer_or_hole.cpp serial.cpp threaded.cpp util.cpp wrap.cpp z_interp.cpp"
    cp ../lib/contourpy/*.py "$PLOTTING/contourpy" # contourpy.util draws with other libraries
}

pillow() {
    local version source=$W/src/pillow
    version=$(sed -n 's/^Version: //p' "$source/PKG-INFO")
    local flags="$cc -I$source/src/libImaging -I$source/src/thirdparty"
    module PIL._imaging "$source/src" $flags -DHAVE_LIBJPEG -DHAVE_LIBZ "-DPILLOW_VERSION=\"$version\"" <<<"
        _imaging.c decode.c encode.c map.c display.c outline.c path.c $(cd "$source/src" && LC_ALL=C ls libImaging/*.c)"
    module PIL._imagingft "$source/src" $flags "-DPILLOW_VERSION=\"$version\"" <<<"_imagingft.c libImaging/Mode.c"
    module PIL._imagingmath "$source/src" $flags <<<_imagingmath.c
    module PIL._imagingmorph "$source/src" $flags <<<_imagingmorph.c
    cp PIL/*.py "$PLOTTING/PIL"
}

matplotlib() {
    local source=$W/src/matplotlib version
    version=$(sed -n 's/^Version: //p' "$source/PKG-INFO")
    local agg="../extern/agg24-svn/src/agg_bezier_arc.cpp ../extern/agg24-svn/src/agg_curves.cpp
        ../extern/agg24-svn/src/agg_image_filters.cpp ../extern/agg24-svn/src/agg_trans_affine.cpp
        ../extern/agg24-svn/src/agg_vcgen_contour.cpp ../extern/agg24-svn/src/agg_vcgen_dash.cpp
        ../extern/agg24-svn/src/agg_vcgen_stroke.cpp ../extern/agg24-svn/src/agg_vpgen_segmentator.cpp"
    local flags="$cxx -I../extern/agg24-svn/include"
    module matplotlib.backends._backend_agg "$source/src" $flags <<<"_backend_agg.cpp _backend_agg_wrapper.cpp $agg"
    module matplotlib._c_internal_utils "$source/src" $flags <<<_c_internal_utils.cpp
    module matplotlib.ft2font "$source/src" $flags '-DFREETYPE_BUILD_TYPE="system"' <<<"ft2font.cpp ft2font_wrapper.cpp"
    module matplotlib._image "$source/src" $flags <<<"_image_wrapper.cpp py_converters.cpp $agg"
    module matplotlib._path "$source/src" $flags <<<"_path_wrapper.cpp $agg"
    module matplotlib._qhull "$source/src" $flags -DMPL_DEVNULL=/dev/null <<<_qhull_wrapper.cpp
    module matplotlib._tri "$source/src" $flags <<<"tri/_tri.cpp tri/_tri_wrapper.cpp"
    cp -r ../lib/. "$PLOTTING"
    sed "s/@VCS_TAG@/'$version'/" ../lib/matplotlib/_version.py.in >"$PLOTTING/matplotlib/_version.py"
    "$VENV/bin/python3" ../tools/generate_matplotlibrc.py ../lib/matplotlib/mpl-data/matplotlibrc \
        "$PLOTTING/matplotlib/mpl-data/matplotlibrc" Agg
}
logged kiwisolver.log kiwisolver
logged contourpy.log contourpy
logged pillow.log pillow
logged matplotlib.log matplotlib
