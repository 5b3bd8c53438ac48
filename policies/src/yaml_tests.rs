use super::*;
use proptest::prelude::*;
use serde_json::json;

fn taken(text: &str) -> Value {
    read(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn fault(text: &str) -> String {
    read(text.as_bytes()).unwrap_err().to_string()
}

/// What other readers take for a boolean, a number or a date is what the core schema of YAML 1.2 says.
#[test]
fn scalars_are_those_of_the_core_schema() {
    for (text, value) in [
        ("no", json!("no")),
        ("NO", json!("NO")),
        ("yes", json!("yes")),
        ("on", json!("on")),
        ("off", json!("off")),
        ("y", json!("y")),
        ("true", json!(true)),
        ("False", json!(false)),
        ("TRUE", json!(true)),
        ("\"true\"", json!("true")),
        ("~", json!(null)),
        ("null", json!(null)),
        ("Null", json!(null)),
        ("", json!(null)),
        ("12", json!(12)),
        ("+12", json!(12)),
        ("-12", json!(-12)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("1.5", json!(1.5)),
        ("-.5", json!(-0.5)),
        ("1e3", json!(1000.0)),
        ("18446744073709551615", json!(u64::MAX)),
        ("'12'", json!("12")),
        ("!!str 12", json!("12")),
        ("2024-01-31", json!("2024-01-31")),
        ("2024-01-31T10:00:00Z", json!("2024-01-31T10:00:00Z")),
        ("12:30:45", json!("12:30:45")),
        ("0X1F", json!("0X1F")),
        ("1__0", json!("1__0")),
    ] {
        assert_eq!(taken(&format!("a: {text}")), json!({ "a": value }), "{text}");
    }
    assert_eq!(taken("no: [on, off]"), json!({ "no": ["on", "off"] }));
    assert_eq!(taken("a: |\n  b\n  c\nd: >\n  e\n  f\n"), json!({ "a": "b\nc\n", "d": "e f\n" }));
    assert_eq!(taken("\u{feff}a: 1"), json!({ "a": 1 }));
}

/// Ten in one reader is eight in another: texts, which nothing that needs a number takes.
#[test]
fn a_number_that_readers_differ_on_is_none() {
    for text in ["010", "0777", "-010", "1_000", "0x_F"] {
        assert_eq!(taken(&format!("a: {text}")), json!({ "a": text }));
    }
}

#[test]
fn what_is_no_plain_document_is_refused_with_its_place() {
    for (text, why) in [
        ("a: 1\na: 2", "/a: the key `a` is there twice"),
        ("a:\n  b: 1\n  \"b\": 2", "/a/b: the key `b` is there twice"),
        ("a: 18446744073709551616", "/a: the number is too large to be compared exactly"),
        ("a: 9007199254740993.0", "/a: the number is too large to be compared exactly"),
        ("a: *b", "/a: not YAML that is taken: "),
        ("a: 1\n---\nb: 2", "(document): not YAML that is taken: there is more than one document at line "),
        ("a: 1\n...\nb", "(document): not YAML that is taken: "),
        ("b: &b {c: 1}\na:\n  <<: *b\n  d: 1", "/a: not YAML that is taken: "),
        ("1: a", "(document): not YAML that is taken: "),
        ("true: a", "(document): not YAML that is taken: "),
        ("~: a", "(document): not YAML that is taken: "),
        ("? [a]\n: b", "(document): not YAML that is taken: "),
        ("? {a: 1}\n: b", "(document): not YAML that is taken: "),
        ("a: !thing 1", "/a: not YAML that is taken: "),
        ("a: !!python/object:os.system {}", "/a: not YAML that is taken: "),
        ("a: !!int x", "/a: not YAML that is taken: "),
        ("a: .inf", "/a: not YAML that is taken: "),
        ("a: .nan", "/a: not YAML that is taken: "),
        ("a: 1e999", "/a: not YAML that is taken: "),
        ("a: &a [*a]", "/a/0: not YAML that is taken: "),
        ("a: [1", "/a/0: not YAML that is taken: "),
        ("a: \"\\q\"", "/a: not YAML that is taken: "),
    ] {
        let fault = fault(text);
        assert!(fault.starts_with(why), "{text:?}: {fault}");
        if why.ends_with("taken: ") {
            assert!(fault.contains(" at line ") && !fault.ends_with("column 0"), "{text:?}: {fault}");
        }
    }
    assert_eq!(read(&[0xff]).unwrap_err().to_string(), "(document): the document is not UTF-8");
}

/// Seen to fail with the depth, and the room for what aliases stand for, left unchecked.
#[test]
fn what_is_small_to_write_is_not_large_to_hold() {
    let deepest = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(read(deepest.as_bytes()).is_ok());
    assert!(fault(&format!("[{deepest}]")).ends_with("nested deeper than 32 levels"));
    let blocks: Vec<_> = (0..100).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(fault(&blocks.concat()).ends_with("nested deeper than 32 levels"));
    for opening in ["[", "{a: ", "- ", "? "] {
        assert!(read(opening.repeat(1 << 18).as_bytes()).is_err());
    }
    // Nine of nine of nine …
    let mut laughs = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned()];
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        laughs.push(format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", ")));
    }
    assert!(read(laughs.concat().as_bytes()).is_err());
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), ["*a"; 5].join(", "));
    assert_eq!(fault(&long), "/b/2: with its aliases written out the document has more than 4194304 bytes");
    let few = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 10), ["*a"; 5].join(", "));
    assert_eq!(taken(&few)["b"][4], taken(&few)["a"]);
    assert!(read("- *a\n".repeat(1 << 19).as_bytes()).is_err());
    assert!(read(format!("- &a 1\n{}", "- *a\n".repeat(2000)).as_bytes()).is_err());
    let large = vec![b' '; 50 << 20];
    let fault = read(&large).unwrap_err().to_string();
    assert_eq!(fault, "(document): the document has 52428800 bytes, and may have 4194304");
}

/// Pieces that YAML's readers have stumbled over.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("- "),
        Just(": "),
        Just("? "),
        Just("\n"),
        Just("  "),
        Just("&a "),
        Just("*a"),
        Just("<<: "),
        Just("!!str "),
        Just("!x "),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(", "),
        Just("|\n"),
        Just(">-\n"),
        Just("\""),
        Just("'"),
        Just("#"),
        Just("---\n"),
        Just("...\n"),
        Just("%YAML 1.1\n"),
        Just("\t"),
        Just("a"),
        Just("é"),
        Just("\u{feff}"),
        Just("\0"),
        Just("\r"),
        Just("0x"),
        Just("-"),
        Just("1"),
        Just("e9"),
        Just(".inf"),
        Just("tools"),
        Just("rules"),
        Just("\u{2028}"),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn json_value() -> impl Strategy<Value = Value> {
    let text = "[ -~é\n\t]{0,8}";
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000_i32..1000).prop_map(|number| Value::from(f64::from(number) / 8.0)),
        text.prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_makes_it_panic(text in prop_oneof![pieces(), any::<String>()]) {
        let _ = crate::Policy::import(text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = crate::Policy::import(bytes);
    }

    /// JSON is YAML: what both readers take is the same.
    #[test]
    fn what_json_says_yaml_says(document in json_value()) {
        prop_assert_eq!(read(document.to_string().as_bytes()).unwrap(), document);
    }
}
