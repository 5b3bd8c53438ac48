//! What a program is given on the command line.

use super::Failure;
use exuvia_runtime::Program;
use indexmap::IndexMap;
use serde_json::value::RawValue;
use std::fs;
use std::io::Read;
use std::path::Path;

type Inputs = IndexMap<String, Box<RawValue>>;

/// The program in `file`, or on standard input when that is `-`.
pub(crate) fn program(file: &Path) -> Result<Program, Failure> {
    let from_stdin = file == Path::new("-");
    let bytes = if from_stdin {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|source| Failure::System { doing: "read standard input", source })?;
        bytes
    } else {
        fs::read(file).map_err(|error| Failure::Usage(format!("could not read `{}`: {error}", file.display())))?
    };
    let source = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let file = file.display();
        Failure::Usage(format!("`{file}` is not a Python source in UTF-8: byte {place} is not text; save it as UTF-8"))
    })?;
    let name = if from_stdin {
        "<stdin>".to_owned()
    } else {
        file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    Ok(Program { source, name, ..Program::default() })
}

/// All inputs: those of `--inputs FILE`, then those of `--input NAME=JSON`, which win.
pub(crate) fn inputs(file: Option<&Path>, single: &[String]) -> Result<Inputs, Failure> {
    let mut inputs = match file {
        Some(file) => from_file(file)?,
        None => Inputs::new(),
    };
    for input in single {
        let Some((name, json)) = input.split_once('=') else {
            return Err(Failure::Usage(format!("`--input {input}` has no `=`: write `--input NAME=JSON`")));
        };
        let value: Box<RawValue> = serde_json::from_str(json).map_err(|error| {
            Failure::Usage(format!(
                "`--input {name}={json}` is not JSON ({error}); a string needs quotes: `--input '{name}=\"{json}\"'`"
            ))
        })?;
        inputs.insert(name.to_owned(), value);
    }
    for name in inputs.keys() {
        check_name("input", name)?;
    }
    Ok(inputs)
}

/// Refuses what no Python program could use as a variable.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    if starts && characters.all(|character| character.is_alphanumeric() || character == '_') {
        return Ok(());
    }
    Err(Failure::Usage(format!("the {what} name `{name}` is not a Python variable name")))
}

fn from_file(file: &Path) -> Result<Inputs, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("could not read `{}`: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!("`{}` is not a JSON object of names and values: {error}", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(inputs: Result<Inputs, Failure>) -> String {
        inputs.unwrap_err().to_string()
    }

    #[test]
    fn a_single_input_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, r#"{"a": 1, "b": 2}"#).unwrap();
        let inputs = inputs(Some(file.path()), &["a=[3]".into()]).unwrap();
        let texts: Vec<_> = inputs.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        assert_eq!(texts, [("a", "[3]"), ("b", "2")]);
    }

    #[test]
    fn what_is_no_json_is_named_with_the_remedy() {
        assert_eq!(
            failure(inputs(None, &["city=Bern".into()])),
            "`--input city=Bern` is not JSON (expected value at line 1 column 1); \
             a string needs quotes: `--input 'city=\"Bern\"'`"
        );
        assert_eq!(failure(inputs(None, &["x".into()])), "`--input x` has no `=`: write `--input NAME=JSON`");
        assert_eq!(failure(inputs(None, &["2x=1".into()])), "the input name `2x` is not a Python variable name");
    }
}
