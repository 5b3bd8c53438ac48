//! Patterns of Go, which Intercept is written in, as Rust's engine reads them: there `\d`, `\w`, `\s` and `\b` are of ASCII,
//! `\<` and `\>` are characters, and a class has no classes and no operators in it. A pattern that matches more here would let
//! more pass.

use std::iter::Peekable;
use std::str::Chars;

use crate::pattern::MAX_PATTERN;

/// The same pattern, in Rust's syntax. What only Go has stays as it is, and is an error to the reader of policies, as is one that
/// is too long.
pub(super) fn translated(pattern: &str) -> String {
    if pattern.len() > MAX_PATTERN {
        return pattern.to_owned();
    }
    let mut written = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => escaped(&mut characters, &mut written),
            '[' => class(&mut characters, &mut written),
            other => written.push(other),
        }
    }
    written
}

/// What follows a backslash outside a class.
fn escaped(characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    match characters.next() {
        Some('b') => written.push_str(r"(?-u:\b)"),
        Some('B') => written.push_str(r"(?-u:\B)"),
        // The beginning and the end of a word, in Rust.
        Some(character @ ('<' | '>')) => written.push(character),
        Some(character) => match shorthand(character) {
            Some(class) => written.push_str(class),
            None => written.extend(['\\', character]),
        },
        None => written.push('\\'),
    }
}

/// The class that a letter after a backslash stands for.
fn shorthand(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        _ => return None,
    })
}

/// What follows the bracket of a class, to its end.
fn class(characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    written.push('[');
    written.extend(characters.next_if_eq(&'^'));
    let mut is_first = true;
    while let Some(character) = characters.next() {
        let short = characters.peek().copied().filter(|_| character == '\\');
        match (character, short) {
            (']', _) if !is_first => return written.push(']'),
            ('[', _) if is_named(characters) => named(characters, written),
            (_, Some('p' | 'P')) => script(characters, written),
            (_, Some(letter)) if shorthand(letter).is_some() => {
                characters.next();
                written.extend(shorthand(letter));
            }
            _ => range(character, characters, written),
        }
        is_first = false;
    }
}

/// One character of a class, or two with all between them.
fn range(first: char, characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    member(first, characters, written);
    let mut ahead = characters.clone();
    if ahead.next() == Some('-')
        && let Some(last) = ahead.next().filter(|last| *last != ']')
    {
        *characters = ahead;
        written.push('-');
        member(last, characters, written);
    }
}

/// A character of a class, so that it is nothing else.
fn member(character: char, characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    let escape = if character == '\\' { characters.next() } else { None };
    match (character, escape) {
        (_, Some('x')) => {
            written.push_str(r"\x");
            digits(characters, written);
        }
        (_, Some(escaped @ ('<' | '>'))) => written.push(escaped),
        (_, Some(escaped)) => written.extend(['\\', escaped]),
        ('[' | ']' | '^' | '-' | '&' | '~', None) => written.extend(['\\', character]),
        (_, None) => written.push(character),
    }
}

/// The digits of `\x41` or `\x{41}`.
fn digits(characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    if characters.peek() == Some(&'{') {
        return braced(characters, written);
    }
    written.extend(characters.next_if(char::is_ascii_hexdigit));
    written.extend(characters.next_if(char::is_ascii_hexdigit));
}

/// The rest of `\pL` or `\p{Greek}`.
fn script(characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    written.push('\\');
    written.extend(characters.next());
    if characters.peek() == Some(&'{') {
        braced(characters, written);
    } else {
        written.extend(characters.next());
    }
}

fn braced(characters: &mut Peekable<Chars<'_>>, written: &mut String) {
    for character in characters {
        written.push(character);
        if character == '}' {
            return;
        }
    }
}

/// Whether what follows a bracket in a class is the rest of `[:alpha:]`.
fn is_named(characters: &Peekable<Chars<'_>>) -> bool {
    let mut ahead = characters.clone();
    let mut before = '[';
    ahead.next() == Some(':')
        && ahead.any(|character| std::mem::replace(&mut before, character) == ':' && character == ']')
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

    /// Seen to fail with patterns that are left as they are, and with `\<`, ranges, and a `[:` that is no name, left as they are.
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
            (r"^\<[a-z]+\>$", "<abc>", "abc"),
            (r"^[\<\>]$", "<", "a"),
            (r"^[\d--z]$", "a", "!"),
            ("^[^--z]$", "!", "a"),
            (r"^[\x41-\x{43}\p{Greek}\pN]$", "B", "D"),
            ("^[[:a]b]$", "[b]", "b"),
            (r"^[a\-c]$", "-", "b"),
            ("^[a-]$", "-", "b"),
            (r"^\x3c\.\_$", "<._", "<a_"),
        ] {
            let translated = Pattern::new(&translated(pattern)).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert!(translated.regex().is_match(matched), "{pattern} {matched}");
            assert!(!translated.regex().is_match(not), "{pattern} {not}");
        }
        // A word's beginning in Rust, and characters in Go; a number of times in other engines, and characters in Go.
        for cut in ["[", "[^", "[[:", r"\", r"[\", "[a", r"\b{start}a", "^a{,5}$", r"[\x{4"] {
            assert!(Pattern::new(&translated(cut)).is_err(), "{cut}");
        }
    }
}
