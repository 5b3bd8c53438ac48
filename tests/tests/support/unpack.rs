//! What is in a file, also where it is packed: whoever gets the file can unpack it.

use flate2::read::{GzDecoder, ZlibDecoder};
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// How a stream of zlib begins, as PNG and PDF have them.
const ZLIB: [[u8; 2]; 4] = [[0x78, 0x01], [0x78, 0x5e], [0x78, 0x9c], [0x78, 0xda]];

/// The bytes themselves; the files of an archive; what gzip has packed; and each stream of zlib, wherever it begins.
pub(crate) fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![bytes.to_vec()];
    if let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) {
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).unwrap();
            let mut contents = file.name().as_bytes().to_vec();
            // What was changed in it ends it early.
            let _ = file.read_to_end(&mut contents);
            all.push(contents);
        }
    }
    all.extend(read(GzDecoder::new(bytes)));
    let starts = bytes.windows(2).enumerate().filter(|(_, window)| ZLIB.iter().any(|start| start == window));
    all.extend(starts.filter_map(|(at, _)| read(ZlibDecoder::new(&bytes[at..]))));
    all
}

/// What can be read, up to whatever ends it.
fn read(mut packed: impl Read) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    let _ = packed.read_to_end(&mut contents);
    (!contents.is_empty()).then_some(contents)
}
