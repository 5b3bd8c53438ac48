#!/bin/bash
# Fetches every source through apt, pip and cargo. Each is checked against its recorded sha256.
. "$(dirname "$0")/../env.sh"
D=$W/download
mkdir -p "$D"/{debian,sdist,wheels,stripped,test,llvm}

# --- Debian 13, through an apt configuration of our own that leaves the system's alone. The
# mirrors are those that this machine's apt uses.
A=$W/apt
mkdir -p "$A"/etc/apt/{sources.list.d,preferences.d,apt.conf.d} "$A"/var/lib/apt/lists/partial \
    "$A"/var/cache/apt/archives/partial "$A"/var/lib/dpkg
touch "$A/var/lib/dpkg/status"
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror_of() { apt-get indextargets --format '$(REPO_URI)|$(CODENAME)' 'Created-By: Packages' | sed -n "s/|$1\$//p" | head -1; }
cat >"$A/etc/apt/sources.list.d/trixie.sources" <<END
Types: deb deb-src
URIs: $(mirror_of "$codename")
Suites: trixie trixie-updates
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: $(mirror_of "$codename-security")
Suites: trixie-security
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
cat >"$A/apt.conf" <<END
Dir "$A/"; Dir::Etc "$A/etc/apt/"; Dir::State "$A/var/lib/apt"; Dir::State::status "$A/var/lib/dpkg/status";
Dir::Cache "$A/var/cache/apt"; APT::Sandbox::User "root";
END
(
    export APT_CONFIG=$A/apt.conf
    logged apt-update.log apt-get update
    cd "$D/debian"
    while read -r kind package; do
        case $kind in
        binary) logged "apt-${package%%=*}.log" apt-get download "$package" ;;
        source) logged "apt-${package%%=*}.log" apt-get source --download-only "$package" ;;
        tarball) logged "apt-${package%%=*}.log" apt-get source --download-only --tar-only "$package" ;;
        esac
    done <"$RECIPE/sources/debian.txt"
    sha256sum --quiet -c "$RECIPE/sources/debian.sha256"
)

# --- Python's registry. pip checks the hashes itself.
pip() { "$VENV/bin/pip" "$@"; }
fetch() { logged "pip-$1.log" pip download --no-deps --require-hashes -r "$RECIPE/sources/$2" -d "$D/$1" "${@:3}"; }
fetch wheels pip-library.txt --only-binary :all:
fetch stripped pip-library-stripped.txt --only-binary :all: --python-version 3.13 --platform manylinux2014_x86_64
fetch test pip-test.txt --only-binary :all: --python-version 3.13
fetch llvm pip-llvm.txt --only-binary :all:
# pip would run a source distribution's build backend to learn its name, which takes compilers
# we do not have here. In an environment without that backend it stops after unpacking, and
# --no-clean leaves the (checked) tree behind. What a package asks of the Python that runs it does not
# matter here: ours runs it, not the build machine's.
rm -rf "$W/bare" "$D/sdist"
mkdir -p "$D/sdist"
python3 -m venv "$W/bare"
while read -r pin; do
    [[ $pin == \#* ]] && continue
    echo "$pin" >"$D/sdist/pin.txt"
    TMPDIR=$D/sdist "$W/bare/bin/pip" download --no-clean --no-deps --no-build-isolation --no-binary :all: \
        --ignore-requires-python --require-hashes -r "$D/sdist/pin.txt" -d "$D/sdist" >"$W/log/pip-sdist.log" 2>&1 || true
    name=${pin%%==*}
    found=("$D"/sdist/pip-download-*/"$name"_*)
    [ -d "${found[0]}" ] || { cat "$W/log/pip-sdist.log" >&2; exit 1; }
    mv "${found[0]}" "$D/sdist/$name"
done <"$RECIPE/sources/pip-sdist.txt"

# --- Rust's registry. The vendored crate carries the sha256 it was checked against.
read -r crate version sum < <(grep -v '^#' "$RECIPE/sources/crate.txt")
mkdir -p "$W/crate/src"
touch "$W/crate/src/lib.rs"
printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' \
    "$crate" "$version" >"$W/crate/Cargo.toml"
(cd "$W/crate" && logged cargo.log cargo vendor vendor)
grep -q "\"package\":\"$sum\"" "$W/crate/vendor/$crate/.cargo-checksum.json" ||
    { echo "$crate $version does not have the recorded sha256" >&2; exit 1; }
