use super::*;

/// The faults of a document.
fn faults(text: &str) -> Vec<String> {
    let error = read(text.as_bytes()).expect_err(text);
    error.faults().iter().map(ToString::to_string).collect()
}

/// The faults of a document with this one tool.
fn tool_faults(tool: &str) -> Vec<String> {
    faults(&format!(r#"{{"version":"1","default":"deny","tools":{{"t":{tool}}}}}"#))
}

/// The faults of a document with these extensions.
fn sandbox_faults(extensions: &str) -> Vec<String> {
    faults(&format!(r#"{{"version":"1","default":"deny","x-sandbox":{extensions}}}"#))
}

#[test]
fn version_and_default_are_required_and_have_few_values() {
    assert_eq!(
        faults("{}"),
        ["(document): the field `version` is missing", "(document): the field `default` is missing"]
    );
    let wrong = faults(r#"{"version":1,"default":"Deny"}"#);
    assert_eq!(wrong[0], "/version: expected a string, found a number");
    assert_eq!(wrong[1], "/default: unknown default `Deny`, did you mean `deny`?; known are allow, deny");
    assert_eq!(
        faults(r#"{"version":"2","default":"deny"}"#),
        ["/version: unknown version `2`, did you mean `1`?; known are 1"]
    );
    assert_eq!(faults("[]"), ["(document): expected an object, found an array"]);
}

#[test]
fn an_unknown_field_is_an_error_with_the_nearest_name() {
    let text = r#"{"version":"1","default":"deny","tool":{},"all_tools":{"limit":[]},"x_sandbox":{}}"#;
    let expected = [
        "/tool: unknown field `tool`, did you mean `tools`?",
        "/x_sandbox: unknown field `x_sandbox`, did you mean `x-sandbox`?",
        "/all_tools/limit: unknown field `limit`, did you mean `limits`?",
    ];
    assert_eq!(faults(text), expected);
    assert_eq!(tool_faults(r#"{"denyif":[]}"#), ["/tools/t/denyif: unknown field `denyif`, did you mean `deny_if`?"]);
    assert_eq!(sandbox_faults(r#"{"mod":"shadow"}"#), ["/x-sandbox/mod: unknown field `mod`, did you mean `mode`?"]);
}

#[test]
fn every_fault_is_found_in_one_reading() {
    let tool = r#"{"require":[{"conditions":[]}],"deny_if":[{"conditions":[{"path":"amount","op":"gtt","value":1}]}],
        "limits":[{"counter":"c","window":"second","max":-1,"scope":"global"}]}"#;
    let expected = [
        "/tools/t/require/0/conditions: `require` without conditions requires nothing; leave the rule out, or say what it requires",
        "/tools/t/deny_if/0/conditions/0/path: a path starts with `args.`",
        "/tools/t/deny_if/0/conditions/0/op: unknown operator `gtt`, did you mean `gt`?; known are eq, neq, lt, lte, gt, gte, in, not_in, exists, regex, contains",
        "/tools/t/limits/0/window: unknown window `second`; known are minute, hour, day",
        "/tools/t/limits/0/max: expected an integer of at least 0, found -1",
        "/tools/t/limits/0/scope: unknown scope `global`; known are grant",
    ];
    assert_eq!(tool_faults(tool), expected);
}

/// A negative one bought budget back in earlier engines, and a fraction was none. Seen to fail with numbers that are made whole.
#[test]
fn a_limit_is_a_whole_number_that_is_not_negative() {
    let limit = |max: &str| {
        tool_faults(&format!(r#"{{"limits":[{{"counter":"c","window":"hour","max":{max},"scope":"grant"}}]}}"#))
    };
    for max in ["-1", "0.9", "1.0", "1e2", "-0.0"] {
        assert!(limit(max)[0].starts_with("/tools/t/limits/0/max: expected an integer of at least 0, found"), "{max}");
    }
    assert_eq!(limit("\"10\""), ["/tools/t/limits/0/max: expected an integer of at least 0, found a string"]);
    assert_eq!(
        limit("18446744073709551616"),
        ["/tools/t/limits/0/max: the number is too large to be compared exactly"]
    );
}

#[test]
fn one_counter_is_not_counted_twice_by_one_call() {
    let limit = r#"{"counter":"c","window":"hour","max":1,"scope":"grant"}"#;
    let twice = tool_faults(&format!(r#"{{"limits":[{limit},{limit}]}}"#));
    assert_eq!(twice, ["/tools/t/limits/1/counter: the counter `c` is there twice for one hour"]);
}

#[test]
fn a_value_has_the_type_that_its_operator_needs() {
    let value = |op: &str, value: &str| {
        tool_faults(&format!(r#"{{"deny_if":[{{"conditions":[{{"path":"args.a","op":"{op}","value":{value}}}]}}]}}"#))
            .remove(0)
    };
    let at = "/tools/t/deny_if/0/conditions/0/value: ";
    assert_eq!(value("gt", "\"100\""), format!("{at}expected a number, found a string"));
    assert_eq!(value("in", "\"a\""), format!("{at}expected an array, found a string"));
    assert_eq!(value("not_in", "[]"), format!("{at}the list is empty: nothing is in it"));
    assert_eq!(value("exists", "1"), format!("{at}expected true or false, found a number"));
    assert_eq!(value("regex", "\"(\""), format!("{at}not a regular expression: unclosed group"));
    assert_eq!(value("contains", "\"\""), format!("{at}every text contains the empty one"));
    let missing = tool_faults(r#"{"deny_if":[{"conditions":[{"path":"args.a","op":"eq"}]}]}"#);
    assert_eq!(missing, ["/tools/t/deny_if/0/conditions/0: the field `value` is missing"]);
}

#[test]
fn wildcards_are_not_taken_for_names() {
    let hide = faults(r#"{"version":"1","default":"allow","hide":["delete_*"]}"#);
    assert_eq!(hide, ["/hide/0: `*` alone hides all tools; it is no wildcard within a name"]);
    let tools = faults(r#"{"version":"1","default":"deny","tools":{"*":{}}}"#);
    assert!(tools[0].starts_with("/tools/*: tools are named one by one"));
}

#[test]
fn the_faults_that_are_reported_are_bounded() {
    let limits = vec!["1"; 5000].join(",");
    assert_eq!(tool_faults(&format!(r#"{{"limits":[{limits}]}}"#)).len(), MAX_FAULTS);
    let many = vec!["1"; MAX_ITEMS + 1].join(",");
    assert_eq!(
        tool_faults(&format!(r#"{{"limits":[{many}]}}"#)),
        ["/tools/t/limits: there may be at most 10000 items"]
    );
}

#[test]
fn the_patterns_of_a_document_are_bounded() {
    let condition = r#"{"path":"args.a","op":"regex","value":"a"}"#;
    let rule = format!(r#"{{"conditions":[{condition}]}}"#);
    let rules = vec![rule; MAX_PATTERNS + 1].join(",");
    let faults = tool_faults(&format!(r#"{{"deny_if":[{rules}]}}"#));
    assert_eq!(faults, ["/tools/t/deny_if/512/conditions/0/value: there may be at most 512 patterns in a document"]);
}

/// Extensions with a fault, and what is said of it.
const EXTENSIONS: [(&str, &str); 21] = [
    (
        r#"{"egress":{"allow":[{"host":"a.example","paths":["/a/../b"]}]}}"#,
        "/x-sandbox/egress/allow/0/paths/0: a path has no `.`, `..` or empty segments, and no `;`, `\\`, or encoded `/`, \
         `\\`, `.` or `%`",
    ),
    (
        r#"{"egress":{"allow":[{"host":"a.example","paths":["v1"]}]}}"#,
        "/x-sandbox/egress/allow/0/paths/0: a path begins with `/`, as in `/v1/files`, and stands for all that is below it",
    ),
    (
        r#"{"egress":{"allow":[{"host":"*"}]}}"#,
        "/x-sandbox/egress/allow/0/host: `*` may only be the first label, as in `*.example.com`",
    ),
    (
        r#"{"egress":{"allow":[{"host":"a.example","ports":[0]}]}}"#,
        "/x-sandbox/egress/allow/0/ports/0: expected a port between 1 and 65535, found 0",
    ),
    (
        r#"{"egress":{"allow":[{"host":"a.example","ports":[65536]}]}}"#,
        "/x-sandbox/egress/allow/0/ports/0: expected a port between 1 and 65535, found 65536",
    ),
    (
        r#"{"egress":{"allow":[{"host":"a.example","methods":[]}]}}"#,
        "/x-sandbox/egress/allow/0/methods: the list is empty; leave it out, or say which",
    ),
    (
        r#"{"egress":{"allow":[{"host":"a.example","methods":["get"]}]}}"#,
        "/x-sandbox/egress/allow/0/methods/0: a method is in upper case, as in `GET`",
    ),
    (
        r#"{"secrets":{"K":{"from":"hunter2","hosts":[]}}}"#,
        "/x-sandbox/secrets/K/from: a secret comes from `env:NAME`, `file:/PATH` or `vault:NAME`",
    ),
    (
        r#"{"secrets":{"K":{"from":"file:keys/k","hosts":[]}}}"#,
        "/x-sandbox/secrets/K/from: a file is named by its whole path, as in `file:/run/secrets/api_key`",
    ),
    (
        r#"{"secrets":{"K":{"from":"vault:a-b","hosts":[]}}}"#,
        "/x-sandbox/secrets/K/from: a variable's name has letters, digits and `_`, and no digit first",
    ),
    (r#"{"secrets":{"K":{}}}"#, "/x-sandbox/secrets/K: the field `hosts` is missing"),
    (
        r#"{"secrets":{"K":{"hosts":[],"in":["host"]}}}"#,
        "/x-sandbox/secrets/K/in/0: unknown part of a request `host`; known are header, query, body, path",
    ),
    (
        r#"{"secrets":{"K-1":{"from":"env:K","hosts":[]}}}"#,
        "/x-sandbox/secrets/K-1: a secret is a variable in the program: letters, digits and `_`, and no digit first",
    ),
    (
        r#"{"packages":{"allow":["a[b]"]}}"#,
        "/x-sandbox/packages/allow/0: a package is a name, and bounds as in `pydantic>=2,<3`",
    ),
    (r#"{"caps":{"wall_s":0}}"#, "/x-sandbox/caps/wall_s: expected an integer of at least 1, found 0"),
    (
        r#"{"breaker":{"cooldown_s":1}}"#,
        "/x-sandbox/breaker: a breaker needs `consecutive_failures` or `identical_calls`",
    ),
    (
        r#"{"redact":{"patterns":["a*"]}}"#,
        "/x-sandbox/redact/patterns/0: the pattern matches nothing at all, so everywhere",
    ),
    (r#"{"pins":{"t":"md5:1"}}"#, "/x-sandbox/pins/t: a pin is `sha256:` and 64 hexadecimal digits in lower case"),
    (
        r#"{"approve_if":{"t":[{"conditions":[],"timeout":"soon"}]}}"#,
        "/x-sandbox/approve_if/t/0/timeout: a time is a whole number of `s`, `m` or `h`, as in `15m`, above 0 and up to `24h`",
    ),
    (r#"{"mode":"audit"}"#, "/x-sandbox/mode: unknown mode `audit`; known are enforce, shadow"),
    (
        r#"{"tests":[{"name":"n","call":{"tool":"t","args":[]},"expect":"deny"}]}"#,
        "/x-sandbox/tests/0/call/args: arguments are an object",
    ),
];

#[test]
fn extensions_are_read_as_strictly() {
    for (extensions, expected) in EXTENSIONS {
        assert_eq!(sandbox_faults(extensions), [expected]);
    }
}

#[test]
fn rules_with_the_same_conditions_have_different_ids() {
    let rule = r#"{"conditions":[{"path":"args.a","op":"gt","value":1},{"path":"args.b/c","op":"exists"}]}"#;
    let text = format!(
        r#"{{"version":"1","default":"deny","tools":{{"t/u":{{"deny_if":[{rule},{rule},{{"conditions":[]}}]}}}}}}"#
    );
    let document = read(text.as_bytes()).unwrap();
    let ids: Vec<_> = document.tools["t/u"].deny_if.iter().map(|rule| rule.id.to_string()).collect();
    let base = "/tools/t~1u/deny_if/args.a-gt+args.b~1c-exists";
    assert_eq!(ids, [base.to_owned(), format!("{base}-2"), "/tools/t~1u/deny_if/always".to_owned()]);
}
