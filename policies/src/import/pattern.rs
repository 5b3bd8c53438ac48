//! Patterns of Go, which Intercept is written in, as Rust's engine reads them: there `\d`, `\w`, `\s` and `\b` are of ASCII,
//! and a class has no classes and no operators in it. A pattern that matches more here would let more pass.

use std::iter::Peekable;
use std::str::Chars;

/// The same pattern, in Rust's syntax. What only Go has stays as it is, and is an error to the reader of policies.
pub(super) fn translated(pattern: &str) -> String {
    let mut written = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => escaped(&mut characters, &mut written, false),
            '[' => class(&mut characters, &mut written),
            other => written.push(other),
        }
    }
    written
}

/// What follows a backslash.
fn escaped(characters: &mut Peekable<Chars<'_>>, written: &mut String, in_class: bool) {
    match characters.next() {
        Some('d') => written.push_str("[0-9]"),
        Some('D') => written.push_str("[^0-9]"),
        Some('w') => written.push_str("[0-9A-Za-z_]"),
        Some('W') => written.push_str("[^0-9A-Za-z_]"),
        Some('s') => written.push_str(r"[\t\n\f\r ]"),
        Some('S') => written.push_str(r"[^\t\n\f\r ]"),
        Some('b') if !in_class => written.push_str(r"(?-u:\b)"),
        Some('B') if !in_class => written.push_str(r"(?-u:\B)"),
        other => {
            written.push('\\');
            written.extend(other);
        }
    }
}

/// What follows the bracket of a class, to its end.
fn class(characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    written.push('[');
    written.extend(characters.next_if_eq(&'^'));
    if characters.next_if_eq(&']').is_some() {
        written.push_str(r"\]");
    }
    let mut before = None;
    while let Some(character) = characters.next() {
        match character {
            ']' => return written.push(']'),
            '\\' => escaped(characters, written, true),
            '[' if characters.peek() == Some(&':') => named(characters, written),
            '[' => written.push_str(r"\["),
            '&' | '-' | '~' if before == Some(character) => written.extend(['\\', character]),
            other => written.push(other),
        }
        before = Some(character);
    }
}

/// The rest of `[:alpha:]`.
fn named(characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    written.push('[');
    for character in characters {
        written.push(character);
        if character == ']' {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    /// Seen to fail with patterns that are left as they are.
    #[test]
    fn a_pattern_matches_what_it_matches_in_go() {
        for (pattern, matched, not) in [
            (r"^\w+$", "abc_1", "é"),
            (r"^\d$", "1", "\u{663}"),
            (r"^a\sb$", "a b", "a\u{a0}b"),
            (r"^[\w.-]+$", "a.b-c", "é.b"),
            (r"^[^\W_]$", "a", "_"),
            (r"^\D\S\W$", "éé\u{e9}", "1é\u{e9}"),
            (r"^a\b", "aé", "ab"),
            ("^[a[]$", "[", "b"),
            ("^[[]$", "[", "a"),
            ("^[]a]$", "]", "b"),
            ("^[^]a]$", "b", "]"),
            ("^[a&&b]$", "&", "c"),
            ("^[+--]$", ",", "."),
            ("^[[:alpha:]_]$", "_", "1"),
            (r"^\\d$", r"\d", "1"),
        ] {
            let translated = Pattern::new(&translated(pattern)).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert!(translated.regex().is_match(matched), "{pattern} {matched}");
            assert!(!translated.regex().is_match(not), "{pattern} {not}");
        }
        for cut in ["[", "[^", "[[:", r"\", r"[\", "[a"] {
            assert!(Pattern::new(&translated(cut)).is_err(), "{cut}");
        }
    }
}
