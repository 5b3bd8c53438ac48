//! The file of a policy, and what the audit says of decisions.

use super::*;

#[test]
fn a_policy_that_cannot_be_used_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.json");
    let name = path.display().to_string();
    let large = "x".repeat(50 << 20);
    let nested = format!("{{\"version\": \"1\", \"default\": \"allow\", \"hide\": {}", "[".repeat(1 << 20));
    for (text, expected) in [
        (None, format!("could not read the policy `{name}`: No such file or directory (os error 2)")),
        (Some(large.as_str()), format!("the policy `{name}` has more than 4194304 bytes")),
        (Some(nested.as_str()), format!("the policy `{name}` is wrong:\n/hide/0")),
        (
            Some(r#"{"version": "1", "default": "deny", "default": "allow"}"#),
            format!("the policy `{name}` is wrong:\n/default: the key `default` is there twice"),
        ),
        (
            Some(r#"{"version": "1", "default": "deny", "tools": {"t": {"denyif": []}}}"#),
            format!("the policy `{name}` is wrong:\n/tools/t/denyif: unknown field `denyif`, did you mean `deny_if`?"),
        ),
    ] {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let output = server::command(&folder.path().join("data")).arg("--policy").arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(&format!("exuvia: {expected}")), "{said}");
    }
    // What cannot be read, whoever runs the test: a folder in the place of the file.
    let output = server::command(&folder.path().join("data")).arg("--policy").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, format!("exuvia: the policy `{}` is not a file\n", folder.path().display()));
}

/// Seen to fail with a reload that takes what it cannot read for a policy which allows all.
#[test]
fn an_edit_counts_at_once_and_a_wrong_one_not_at_all() {
    let deny = json!({ "version": "1", "default": "allow", "tools": { "mcp_Math_add": { "deny_if": [{ "conditions": [] }] } } });
    let place = Place::new(&deny);
    let passes = || place.run("mcp_Math_add(1, 2)['sum']")["result"] == 3;
    assert!(!passes());
    let twice = r#"{"version": "1", "default": "allow", "default": "allow"}"#;
    let large = format!(r#"{{"version": "1", "default": "allow"}}{}"#, " ".repeat(50 << 20));
    for wrong in ["", "{", twice, &"[".repeat(1 << 20), &large] {
        fs::write(place.file(), wrong).unwrap();
        assert!(!passes());
    }
    fs::remove_file(place.file()).unwrap();
    assert!(!passes());
    fs::create_dir(place.file()).unwrap();
    assert!(!passes());
    fs::remove_dir(place.file()).unwrap();
    place.change(&allow_all());
    assert!(passes());
    place.change(&deny);
    assert!(!passes());
    // A link that is swapped while it is read: always the one policy or the other, never none.
    let at = |name: &str| place.folder.path().join(name);
    write(&at("allow.json"), &allow_all());
    write(&at("deny.json"), &deny);
    for to in ["allow.json", "deny.json", "allow.json", "nowhere.json", "deny.json"] {
        std::os::unix::fs::symlink(at(to), at("new")).unwrap();
        fs::rename(at("new"), place.file()).unwrap();
        assert_eq!(passes(), !to.starts_with("deny"), "{to}");
    }
}

#[test]
fn the_audit_has_one_line_for_each_decision_and_no_values() {
    let place = Place::new(&limited("mcp_Math_add", "day", 1));
    let given = place.run("secret = 'hunter2'\nmcp_Math_add(1, 2)\nmcp_Math_add(3, 4)");
    let query = |arguments: &[&str]| -> Vec<Value> {
        let output = place.audit(&[&["query"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("hunter2"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let lines = query(&[]);
    let decided: Vec<_> =
        lines.iter().map(|line| (line["tool"].as_str().unwrap(), line["decision"].as_str().unwrap())).collect();
    assert_eq!(decided, [("executeCode", "allow"), ("mcp_Math_add", "allow"), ("mcp_Math_add", "deny")]);
    assert_eq!((&lines[0]["arguments"], &lines[0]["parent"]), (&json!(["script"]), &Value::Null));
    assert_eq!(lines[2]["parent"], given["execution_uuid"]);
    assert_eq!(query(&["--decision", "deny"]), &lines[2..]);
    let verified = |place: &Place| {
        let output = place.audit(&["verify"]);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    assert_eq!(verified(&place), (Some(0), "3 lines, all as they were written\n".to_owned()));
    let path = place.server.data.join("audit/audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"deny\"", "\"allow\"")).unwrap();
    assert_eq!(verified(&place), (Some(1), "exuvia: audit.jsonl:3: the line was changed\n".to_owned()));
    let mut lines: Vec<_> = text.lines().collect();
    lines.remove(1);
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    assert_eq!(verified(&place), (Some(1), "exuvia: audit.jsonl:2: the line 2 is missing before it\n".to_owned()));
}

/// An attempt is written down, and what was wrong with it is not: that has values.
#[test]
fn arguments_that_do_not_fit_are_in_the_audit_without_their_values() {
    let place = Place::new(&allow_all());
    place.run("try: mcp_Math_add('hunter2', 2)\nexcept ToolArgumentError: pass");
    assert!(place.server.tool("executeCode", json!({ "script": ["hunter2"] })).0);
    let output = place.audit(&["query", "--rule", "(arguments)"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decided: Vec<_> =
        lines.iter().map(|line| (line["tool"].as_str().unwrap(), line["decision"].as_str().unwrap())).collect();
    assert_eq!(decided, [("mcp_Math_add", "deny"), ("executeCode", "deny")]);
    assert!(lines[0]["parent"].is_string());
    // What fits leaves its own line, and none of these.
    assert_eq!(place.run("mcp_Math_add(1, 2)['sum']")["result"], 3);
    assert_eq!(place.audit(&["query", "--rule", "(arguments)"]).stdout, text.as_bytes());
}
