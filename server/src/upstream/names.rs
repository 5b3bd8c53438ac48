//! Python names for servers, tools and arguments. An alias is looked up in a table and never taken apart.

use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;

/// The words that no Python parameter may be called.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// `text` with `_` for every character that is not legal in a Python identifier. Python normalises identifiers (NFKC), so
/// they are normalised here: otherwise a program could not name what the table has.
fn legal(text: &str) -> String {
    text.nfkc().map(|character| if unicode_ident::is_xid_continue(character) { character } else { '_' }).collect()
}

/// The Python name of a parameter: legal, no keyword, not starting with a digit.
pub(super) fn parameter(property: &str) -> String {
    let mut name = legal(property);
    if KEYWORDS.contains(&name.as_str()) {
        name.push('_');
    }
    if !name.chars().next().is_some_and(|first| first == '_' || unicode_ident::is_xid_start(first)) {
        name.insert(0, '_');
    }
    name
}

/// `name`, or `name` with the first suffix that is not in `taken`; the result is then taken. Parameters only: theirs is the
/// order of the schema.
pub(super) fn distinct(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut number = 2_u32;
    let mut distinct = name.to_owned();
    while !taken.insert(distinct.clone()) {
        distinct = format!("{name}_{number}");
        number += 1;
    }
    distinct
}

/// What a server's aliases start with.
pub(super) fn prefix(server: &str) -> String {
    format!("mcp_{}_", legal(server))
}

/// The alias of a tool, when no other tool has it.
pub(crate) fn alias(server: &str, tool: &str) -> String {
    format!("{}{}", prefix(server), legal(tool))
}

/// The alias of a tool whose plain alias another one has. The suffix depends on nothing but the two names, so that it stays
/// the same whichever other servers are there; `length` grows only when even that is taken.
pub(super) fn suffixed(server: &str, tool: &str, length: usize) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(server.as_bytes()).update(&[0]).update(tool.as_bytes());
    let digits: String = hash.finalize().to_hex().chars().take(length).collect();
    format!("{}_{digits}", alias(server, tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases() {
        assert_eq!(alias("Supabase", "list_projects"), "mcp_Supabase_list_projects");
        assert_eq!(alias("server-everything", "get-sum"), "mcp_server_everything_get_sum");
        assert_eq!(alias("Größe 查", "a.b/c"), "mcp_Größe_查_a_b_c");
        // Python reads the ligature as two letters.
        assert_eq!(alias("s", "\u{fb01}le"), "mcp_s_file");
        assert_eq!(suffixed("s", "get-sum", 4), suffixed("s", "get-sum", 4));
        assert_ne!(suffixed("s", "get-sum", 4), suffixed("s", "get.sum", 4));
    }

    #[test]
    fn parameters() {
        assert_eq!(parameter("from"), "from_");
        assert_eq!(parameter("max-results"), "max_results");
        assert_eq!(parameter("2d"), "_2d");
        assert_eq!(parameter(""), "_");
        let mut taken = BTreeSet::new();
        let all: Vec<_> = ["a-b", "a.b", "a_b"].iter().map(|name| distinct(&parameter(name), &mut taken)).collect();
        assert_eq!(all, ["a_b", "a_b_2", "a_b_3"]);
    }
}
