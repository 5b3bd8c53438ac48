# What every step shares: folders, versions, compiler flags. Sourced, never run.
set -euo pipefail
umask 022

RECIPE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHON_WASM=$(dirname "$RECIPE")

# The work folder: everything is made below it. It may be removed at any time.
export W=${W:-$(dirname "$PYTHON_WASM")/target/python-wasm}
J=${J:-$(nproc)}

# The same bytes from every build: time, locale, hash order.
export SOURCE_DATE_EPOCH=1767225600 TZ=UTC LC_ALL=C.UTF-8 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1

LLVM=22
TARGET="--target=wasm32-wasip1 --sysroot=$W/sysroot"
# No path of this machine in the artefact.
PREFIX_MAP="-ffile-prefix-map=$W=/build -ffile-prefix-map=$PYTHON_WASM=/recipe"
CFLAGS_WASM="-O3 -msimd128 $PREFIX_MAP"
# setjmp and longjmp stand on wasm exceptions: for the C libraries that end an error so.
SETJMP="-mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false"

VENV=$W/venv
NATIVE=$W/native/python
CPYTHON=$W/src/cpython
SITE=$W/install/usr/local/lib/site-packages
# What steps/11-plotting.sh makes, laid out alike.
PLOTTING=$W/plotting

say() { echo "[$(date +%T)] $*"; }
# Runs a command or function with its output in log/$1; shows the log's end when it fails. The
# subshell is what keeps `set -e` in force inside a function: not so where the caller tests its status.
logged() {
    local log=$W/log/$1 status=0
    shift
    mkdir -p "$W/log"
    set +e
    (set -e; "$@") </dev/null >"$log" 2>&1
    status=$?
    set -e
    if [ $status -ne 0 ]; then
        tail -n 30 "$log" >&2
        echo "failed; the whole log is $log" >&2
    fi
    return $status
}
