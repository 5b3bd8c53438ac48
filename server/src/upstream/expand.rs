//! `${VAR}`, `${VAR:-default}` and `${env:VAR}` in the strings of `mcp.json`, and files of variables.

use super::secret::Secret;

/// Where variables come from: the process's environment, or a table in tests.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the variables of `text`. What they stood for is added to `secrets`: it may be anything, so nothing shows it.
pub(super) fn expand(text: &str, variables: Variables<'_>, secrets: &mut Vec<Secret>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        expanded.push_str(before);
        let Some((inside, next)) = after.split_once('}') else {
            return Err(format!("`${{{after}` has no closing brace"));
        };
        let value = one(inside, variables)?;
        secrets.push(Secret::new(value.clone()));
        expanded.push_str(&value);
        rest = next;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn one(inside: &str, variables: Variables<'_>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let name = name.strip_prefix("env:").unwrap_or(name);
    if name.starts_with("input:") {
        return Err(format!(
            "`${{{inside}}}` asks an editor for a value, and there is none here: use `${{NAME}}` and set NAME in the \
             environment"
        ));
    }
    match (variables(name), default) {
        // As in a shell, a variable that is set to nothing takes the default.
        (Some(value), _) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (Some(empty), None) => Ok(empty),
        (None, None) => {
            Err(format!("the environment variable `{name}` is not set: set it, or write `${{{name}:-DEFAULT}}`"))
        }
    }
}

/// The variables of a file with lines `NAME=VALUE`. Comments, `export` and quotes are understood; nothing is expanded.
pub(super) fn variables_of_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {} has no `=`", number + 1));
        };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        variables.push((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let variables = |name: &str| match name {
            "HOME" => Some("/home/me".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &variables, &mut Vec::new())
    }

    #[test]
    fn all_three_forms() {
        assert_eq!(expanded("a ${HOME} b ${env:HOME}").unwrap(), "a /home/me b /home/me");
        assert_eq!(expanded("${NONE:-x:y}${EMPTY:-z}${EMPTY}").unwrap(), "x:yz");
        assert_eq!(expanded("$HOME $5").unwrap(), "$HOME $5");
    }

    #[test]
    fn what_cannot_be_expanded_says_what_to_do() {
        assert_eq!(
            expanded("${NONE}").unwrap_err(),
            "the environment variable `NONE` is not set: set it, or write `${NONE:-DEFAULT}`"
        );
        assert_eq!(expanded("${NONE").unwrap_err(), "`${NONE` has no closing brace");
        assert!(expanded("${input:token}").unwrap_err().contains("asks an editor"));
    }

    #[test]
    fn variables_of_a_file() {
        let text = "# c\nA=1\nexport B=\"two words\"\n\nC='x=y'\nD=";
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables_of_file(text).unwrap(), expected);
        assert_eq!(variables_of_file("A").unwrap_err(), "line 1 has no `=`");
    }
}
