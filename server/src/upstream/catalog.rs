//! All tools of all servers at one moment, under their aliases.

use super::names;
use super::tool::{Definition, Tool};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How much of a description a search reads, in bytes: ten thousand descriptions are searched at once.
const SEARCHED: usize = 2 << 10;
/// Longest query or name that is compared, in characters.
const LONGEST_COMPARED: usize = 200;
/// Below this likeness, two names have nothing to do with each other.
const LEAST_LIKENESS: f64 = 0.5;

/// A snapshot. It never changes; a changed list of tools makes another one.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// Sorted by alias.
    tools: Vec<Arc<Tool>>,
    /// Tools whose plain alias another tool has: server, tool, alias it got instead.
    renamed: Vec<Arc<Tool>>,
}

impl Catalog {
    /// Gives aliases to `definitions`. The outcome depends on their set alone, not on their order.
    pub(super) fn new(mut definitions: Vec<Arc<Definition>>, before: &Self) -> Self {
        definitions.sort_by(|one, other| (&one.server, &one.name).cmp(&(&other.server, &other.name)));
        definitions.dedup_by(|one, other| (&one.server, &one.name) == (&other.server, &other.name));
        let plain: BTreeSet<String> = definitions.iter().map(|tool| names::alias(&tool.server, &tool.name)).collect();
        let mut taken = BTreeSet::new();
        let mut catalog = Self::default();
        for definition in definitions {
            let (server, name) = (&definition.server, &definition.name);
            let mut alias = names::alias(server, name);
            let mut length = 4;
            let collides = taken.contains(&alias);
            // A suffixed alias must not be the plain one of a tool that comes later, either.
            while taken.contains(&alias) || (collides && plain.contains(&alias)) {
                alias = names::suffixed(server, name, length);
                length += 1;
            }
            taken.insert(alias.clone());
            let same = before.find(&alias).filter(|tool| Arc::ptr_eq(&tool.definition, &definition));
            let tool = same.cloned().unwrap_or_else(|| Arc::new(Tool { alias, definition }));
            if collides {
                catalog.renamed.push(Arc::clone(&tool));
            }
            catalog.tools.push(tool);
        }
        catalog.tools.sort_by(|one, other| one.alias.cmp(&other.alias));
        catalog
    }

    pub(crate) fn find(&self, alias: &str) -> Option<&Arc<Tool>> {
        let place = self.tools.binary_search_by(|tool| tool.alias.as_str().cmp(alias)).ok()?;
        self.tools.get(place)
    }

    /// All tools, sorted by alias.
    pub(crate) fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// The tools that have a suffix because another one has their plain alias.
    pub(crate) fn renamed(&self) -> &[Arc<Tool>] {
        &self.renamed
    }

    pub(crate) fn of_server(&self, name: &str) -> Vec<&Arc<Tool>> {
        self.tools.iter().filter(|tool| tool.server == name).collect()
    }

    /// Up to `most` aliases that look like `alias`, the likest first.
    pub(crate) fn nearest(&self, alias: &str, most: usize) -> Vec<&str> {
        let wanted: String = alias.to_lowercase().chars().take(LONGEST_COMPARED).collect();
        let likeness = |tool: &Arc<Tool>| {
            let to_alias = strsim::normalized_damerau_levenshtein(&wanted, &tool.alias.to_lowercase());
            let to_name = strsim::normalized_damerau_levenshtein(&wanted, &tool.name.to_lowercase());
            to_alias.max(to_name)
        };
        let mut near: Vec<_> = self.tools.iter().map(|tool| (likeness(tool), tool.alias.as_str())).collect();
        near.retain(|(likeness, _)| *likeness >= LEAST_LIKENESS);
        near.sort_by(|(one, first), (other, second)| other.total_cmp(one).then_with(|| first.cmp(second)));
        near.into_iter().take(most).map(|(_, alias)| alias).collect()
    }

    /// Up to `most` tools that have the words of `query`, the best first.
    pub(crate) fn search(&self, query: &str, most: usize) -> Vec<&Arc<Tool>> {
        let query: String = query.chars().take(LONGEST_COMPARED).collect();
        let wanted = words(&query);
        let mut found: Vec<_> = self.tools.iter().map(|tool| (score(tool, &wanted, &query), tool)).collect();
        found.retain(|(score, _)| *score > 0);
        found.sort_by(|(one, first), (other, second)| other.cmp(one).then_with(|| first.alias.cmp(&second.alias)));
        found.into_iter().take(most).map(|(_, tool)| tool).collect()
    }
}

/// How well `tool` fits: a word of its name counts more than one of its server, and that more than one of its description;
/// whole words more than beginnings; and each further word of the query that is there more than all of that.
fn score(tool: &Tool, wanted: &[String], query: &str) -> u32 {
    if tool.alias == query || tool.name == query {
        return u32::MAX;
    }
    let end = (0..=SEARCHED).rev().find(|end| tool.description.is_char_boundary(*end)).unwrap_or(0);
    let name = words(&format!("{} {}", tool.name, tool.title.as_deref().unwrap_or_default()));
    let server = words(&tool.server);
    let description = words(tool.description.get(..end).unwrap_or(&tool.description));
    let mut score = 0;
    for word in wanted {
        let fits = |all: &[String], whole: u32| {
            let one = |other: &String| {
                if other == word {
                    whole
                } else if word.len() >= 3
                    && (other.starts_with(word.as_str()) || word.starts_with(other.as_str()) && other.len() >= 3)
                {
                    whole / 2
                } else {
                    0
                }
            };
            all.iter().map(one).max().unwrap_or(0)
        };
        let best = fits(&name, 12).max(fits(&server, 8)).max(fits(&description, 4));
        if best > 0 {
            score += 20 + best;
        }
    }
    score
}

/// The lower-case words of a text; `camelCase` has two.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in text.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = character.is_lowercase();
        if let Some(word) = words.last_mut()
            && character.is_alphanumeric()
        {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(server: &str, name: &str, description: &str) -> Arc<Definition> {
        let tool = json!({"name": name, "description": description, "inputSchema": {}});
        Arc::new(Definition::new(server, serde_json::from_value(tool).unwrap()).unwrap())
    }

    fn catalog(tools: &[(&str, &str, &str)]) -> Catalog {
        let all = tools.iter().map(|(server, name, description)| definition(server, name, description)).collect();
        Catalog::new(all, &Catalog::default())
    }

    fn aliases(catalog: &Catalog) -> Vec<&str> {
        catalog.tools().iter().map(|tool| tool.alias.as_str()).collect()
    }

    #[test]
    fn colliding_aliases_are_stable_whatever_the_order() {
        let tools = [("a", "b_c", ""), ("a_b", "c", ""), ("a", "b-c", ""), ("a", "b-c", "again")];
        let first = catalog(&tools);
        let mut reversed = tools;
        reversed.reverse();
        assert_eq!(aliases(&first), aliases(&catalog(&reversed)));
        assert_eq!(first.tools().len(), 3);
        // The first by server and tool keeps the name.
        let kept = first.find("mcp_a_b_c").unwrap();
        assert_eq!((kept.server.as_str(), kept.name.as_str()), ("a", "b-c"));
        let renamed: Vec<_> = first.renamed().iter().map(|tool| (tool.server.as_str(), tool.name.as_str())).collect();
        assert_eq!(renamed, [("a", "b_c"), ("a_b", "c")]);
        let alone = catalog(&[("a", "b-c", ""), ("a_b", "c", "")]);
        assert_eq!(alone.renamed()[0].alias, first.renamed()[1].alias);
    }

    #[test]
    fn a_tool_that_did_not_change_is_the_same_tool() {
        let all = vec![definition("s", "one", ""), definition("s", "two", "")];
        let first = Catalog::new(all.clone(), &Catalog::default());
        let second = Catalog::new(vec![all[0].clone(), definition("s", "two", "changed")], &first);
        assert!(Arc::ptr_eq(first.find("mcp_s_one").unwrap(), second.find("mcp_s_one").unwrap()));
        assert!(!Arc::ptr_eq(first.find("mcp_s_two").unwrap(), second.find("mcp_s_two").unwrap()));
    }

    #[test]
    fn searching() {
        let catalog = catalog(&[
            ("GitHub", "listIssues", "All issues of a repository."),
            ("GitHub", "create_issue", "Opens an issue."),
            ("Time", "convert_time", "Converts between time zones."),
            ("Files", "read_file", "Reads a file. It has no issue."),
        ]);
        let found = |query: &str| catalog.search(query, 9).iter().map(|tool| tool.alias.as_str()).collect::<Vec<_>>();
        assert_eq!(found("list issues"), ["mcp_GitHub_listIssues", "mcp_GitHub_create_issue", "mcp_Files_read_file"]);
        assert_eq!(found("github create"), ["mcp_GitHub_create_issue", "mcp_GitHub_listIssues"]);
        assert_eq!(found("time zone"), ["mcp_Time_convert_time"]);
        assert_eq!(found("mcp_Time_convert_time"), ["mcp_Time_convert_time"]);
        assert!(found("zebra").is_empty());
        assert!(found("").is_empty());
        assert_eq!(catalog.search("issue", 1).len(), 1);
    }

    #[test]
    fn nearest_names() {
        let catalog = catalog(&[("Time", "convert_time", ""), ("Time", "get_current_time", ""), ("Files", "read", "")]);
        assert_eq!(catalog.nearest("mcp_time_convert_tme", 1), ["mcp_Time_convert_time"]);
        assert_eq!(catalog.nearest("convert_time", 1), ["mcp_Time_convert_time"]);
        assert!(catalog.nearest("qqqqqqqqqqqqqqqqqqqqqqqqqq", 3).is_empty());
    }
}
