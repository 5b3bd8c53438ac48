//! Text of others on an operator's terminal: nothing in it may hide, move or forge a line.

use std::fmt::Write;

/// Columns of a line of arguments; a longer one goes on in the next, so that a terminal does not fold it by itself.
const WIDTH: usize = 76;

/// `text` with every character that is not plainly seen as `\u....`, as JSON writes it.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_seen(character) {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a text does not fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

/// The lines of a text, each made harmless.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// JSON over several lines, each with a bar before it: a line without one is not of the text.
pub(crate) fn barred(value: &serde_json::Value) -> String {
    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut lines = String::new();
    for line in pretty.lines() {
        let line: Vec<char> = visible(line).chars().collect();
        for part in line.chunks(WIDTH) {
            lines.push_str("  | ");
            lines.extend(part);
            lines.push('\n');
        }
    }
    lines
}

/// Whether a character is seen as what it is. Letters that look like others are; what has no width or ink, or changes the
/// direction of what follows, is not.
fn is_seen(character: char) -> bool {
    let hidden = character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(
            u32::from(character),
            // Formats, by Unicode's category Cf, and fillers, joiners and selectors that show nothing.
            0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160
            | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x2800
            | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD
            | 0x13430..=0x1345F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF
            // Private use: a font may show anything.
            | 0xE000..=0xF8FF | 0xF0000..=0x10_FFFF
        );
    !hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_hides_or_turns_around() {
        assert_eq!(visible("é 漢 🦋"), "é 漢 🦋");
        assert_eq!(
            visible("a\u{202e}b\u{200b}c\u{1b}[2Jd\re\u{2028}f\u{85}g"),
            "a\\u202eb\\u200bc\\u001b[2Jd\\u000de\\u2028f\\u0085g"
        );
        assert_eq!(visible("\u{e0041}"), "\\udb40\\udc41");
    }

    #[test]
    fn a_value_cannot_forge_a_line() {
        let shown = barred(&json!({ "to": "bob\n}\ngrant: alice", "pad": " ".repeat(200) + "rule: none" }));
        assert!(shown.lines().all(|line| line.starts_with("  | ") && line.chars().count() <= WIDTH + 4), "{shown}");
        assert!(shown.contains("bob\\n}\\ngrant: alice"), "{shown}");
    }

    /// What is shown is still the same JSON.
    #[test]
    fn all_of_it_is_there() {
        let value = json!({ "long": "x\u{202e}".repeat(300), "deep": [[1, 2.5], {"a": null}] });
        let joined: String = barred(&value).lines().map(|line| line.strip_prefix("  | ").unwrap()).collect();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&joined).unwrap(), value);
    }
}
