//! One build of CPython, NumPy and pandas for WASI, as bytes.
//!
//! The bytes are made by `build/` and committed under `dist/`; the build script has checked them against
//! `dist/manifest.json`. What is done with them is `exuvia-runtime`'s.

/// One build of Python.
#[derive(Debug, Clone, Copy)]
pub struct Image {
    /// `python.wasm`, a WASI reactor (`guest/ABI.md`), compressed with zstd.
    pub wasm: &'static [u8],
    /// Python's library, as a tar compressed with zstd; its paths are relative to `/lib`.
    pub library: &'static [u8],
    /// The guest package: paths relative to `/lib/exuvia`, and contents.
    pub guest: &'static [(&'static str, &'static [u8])],
    /// The packages of the library, and their versions: names in lower case, with `-` between words.
    pub packages: &'static [(&'static str, &'static str)],
    /// SHA-256 over all of these, in hexadecimal: two images with one digest run programs alike.
    pub digest: &'static str,
    /// The version of CPython inside.
    pub python: &'static str,
    /// The version of NumPy inside.
    pub numpy: &'static str,
    /// The version of pandas inside.
    pub pandas: &'static str,
}

/// The image that this crate was built with.
pub const IMAGE: Image = Image {
    wasm: include_bytes!("../dist/python.wasm.zst"),
    library: include_bytes!("../dist/library.tar.zst"),
    guest: &include!(concat!(env!("OUT_DIR"), "/guest.rs")),
    packages: &include!(concat!(env!("OUT_DIR"), "/packages.rs")),
    digest: env!("EXUVIA_IMAGE_DIGEST"),
    python: env!("EXUVIA_PYTHON_VERSION"),
    numpy: env!("EXUVIA_NUMPY_VERSION"),
    pandas: env!("EXUVIA_PANDAS_VERSION"),
};
