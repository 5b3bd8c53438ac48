//! What a file is: by its first bytes, and by its name only where those say nothing. A name is the program's or the client's own
//! choice, so it never makes a file an image, nor anything else that has a mark of its own.

/// First bytes of a file that are looked at.
pub(crate) const LOOKED_AT: usize = 8 << 10;
/// Images that a browser or a model may be shown as they are: none of these can contain a program.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const TEXT: &str = "text/plain";
const BYTES: &str = "application/octet-stream";

/// The media type of a file called `name` that begins with `head`.
pub(crate) fn of(name: &str, head: &[u8]) -> String {
    if let Some(found) = infer::get(head) {
        return found.mime_type().to_owned();
    }
    let named = mime_guess::from_path(name).first();
    let is_text = is_text(head);
    match named {
        Some(kind) if is_text && is_textual(&kind) => kind.essence_str().to_owned(),
        // Formats without a mark, e.g. Parquet or NumPy's. Those that have one would have shown it.
        Some(kind) if !is_text && kind.type_() == "application" && infer_knows_not(kind.essence_str()) => {
            kind.essence_str().to_owned()
        }
        _ if is_text => TEXT.to_owned(),
        _ => BYTES.to_owned(),
    }
}

/// Whether it may be shown where it is, instead of being offered for saving.
pub(crate) fn is_picture(kind: &str) -> bool {
    PICTURES.contains(&kind)
}

/// Whether it is text, as far as a model reads it.
pub(crate) fn is_readable(kind: &str) -> bool {
    kind.parse().is_ok_and(|kind| is_textual(&kind))
}

fn is_textual(kind: &mime_guess::Mime) -> bool {
    let suffix = kind.suffix().map(|suffix| suffix.as_str());
    kind.type_() == "text"
        || matches!(suffix, Some("xml" | "json" | "yaml"))
        || matches!(
            kind.essence_str(),
            "application/json" | "application/javascript" | "application/xml" | "application/x-yaml"
        )
}

fn infer_knows_not(kind: &str) -> bool {
    !infer::is_mime_supported(kind)
}

/// Whether it can be read as text. The last character may be cut.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && head.len() == LOOKED_AT,
    };
    valid && !head.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    /// Seen to fail with names believed first.
    #[test]
    fn a_name_makes_no_picture_and_hides_none() {
        assert_eq!(of("a.txt", PNG), "image/png");
        assert_eq!(of("a.png", b"<script>alert(1)</script>"), "text/html");
        assert_eq!(of("a.png", &[0, 1, 2, 3]), "application/octet-stream");
        assert_eq!(of("a.zip", &[0, 1, 2, 3]), "application/octet-stream");
        assert_eq!(of("a.jpg", b"<!DOCTYPE html><script>"), "text/html");
        assert!(!is_picture(&of("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")));
        assert!(is_picture(&of("x", PNG)));
    }

    #[test]
    fn text_is_what_its_name_says_it_is() {
        assert_eq!(of("rows.csv", b"a,b\n1,2\n"), "text/csv");
        assert_eq!(of("rows.json", b"{}"), "application/json");
        assert_eq!(of("notes", "Grüße".as_bytes()), "text/plain");
        assert_eq!(of("rows.csv", &[0xff, 0, 1]), "application/octet-stream");
        assert_eq!(of("empty", b""), "text/plain");
        let mut cut = "a".repeat(LOOKED_AT - 1).into_bytes();
        cut.push("é".as_bytes()[0]);
        assert_eq!(of("cut", &cut), "text/plain");
        assert!(is_readable("text/csv") && is_readable("application/json") && is_readable("image/svg+xml"));
        assert!(!is_readable("image/png") && !is_readable("application/pdf"));
    }
}
