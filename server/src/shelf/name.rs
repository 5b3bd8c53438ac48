//! Names of files: which a client may give, and how any is written into an address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Bytes of a whole name, and of one part of it: those of the guest's file system, less what lies before it there.
const LONGEST: usize = 1024;
const LONGEST_PART: usize = 255;
/// Folders in a name.
const DEEPEST: usize = 16;
/// What stands in an address as it is: RFC 3986's unreserved characters, and the slash between parts.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Checks a name below the working folder that a client gives.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let parts: Vec<_> = name.split('/').collect();
    let is_part = |part: &&str| !matches!(*part, "" | "." | "..") && part.len() <= LONGEST_PART;
    let fits = name.len() <= LONGEST && parts.len() <= DEEPEST && parts.iter().all(is_part);
    if fits && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "`{}` is not a name for a file in /mnt/data: give one such as `rows.csv` or `in/rows.csv`, without `..`, an empty part or control characters",
        name.escape_debug().take(200).collect::<String>()
    ))
}

/// Checks that several names can be in one folder.
pub(crate) fn check_all(names: &[&str]) -> Result<(), String> {
    for (index, name) in names.iter().enumerate() {
        check(name)?;
        for other in names.iter().take(index) {
            let is_below =
                |above: &str, below: &str| below.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
            if name == other || is_below(name, other) || is_below(other, name) {
                return Err(format!(
                    "`files` has `{other}` and `{name}`, which cannot both be: give one of them another `name`"
                ));
            }
        }
    }
    Ok(())
}

/// A name as it stands in an address.
pub(crate) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// The name that stands in an address; None when it is not text.
pub(crate) fn decoded(encoded: &str) -> Option<String> {
    percent_decode_str(encoded).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "/", "/x", "x/", "..", "../x", "a/../../b", "a//b", "./x", "a\0b", "a\nb", "\u{85}"] {
            let why = check(name).unwrap_err();
            assert!(why.contains("is not a name for a file in /mnt/data"), "{why}");
        }
        assert!(check(&"a".repeat(256)).is_err() && check(&"a/".repeat(16)).is_err());
        for name in ["x", "in/rows.csv", "...", "..a", "%2e%2e", "é ü.csv", "-rf"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert!(check_all(&["a", "b", "ab", "c/a"]).is_ok());
        for names in [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]] {
            assert!(check_all(&names).unwrap_err().contains("cannot both be"));
        }
    }

    #[test]
    fn any_name_has_an_address_and_is_read_from_it() {
        for name in ["a b/c.png", "%2e%2e/x", "line\nfeed", "e\u{301}", "?#[]@!$&'()*+,;=:", "\u{202e}"] {
            let address = encoded(name);
            assert!(address.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#&\"<>".contains(&byte)), "{address}");
            assert_eq!(decoded(&address).as_deref(), Some(name));
        }
        assert_eq!(decoded("%ff"), None);
    }
}
