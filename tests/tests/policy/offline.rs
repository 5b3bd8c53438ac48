//! Policies without a server: imported, made from what is connected, checked.

use super::*;

/// A policy of others, in our form.
#[test]
fn a_policy_is_imported_and_nothing_is_lost_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| -> support::Ran {
        let mut command = Command::new(binary());
        command.args(["policy", "import"]).args(arguments).current_dir(folder.path()).output().unwrap().into()
    };
    let theirs = json!({ "version": "1", "default": "deny", "description": "ours", "tools": {
        "good": { "rules": [{ "rate_limit": "5/hour" }] },
        "odd": { "denyif": [] },
    } });
    write(&folder.path().join("theirs.json"), &theirs);
    let ran = run(&["theirs.json"]);
    assert_eq!(ran.status, Some(0));
    let stranger = |name| {
        format!(
            "exuvia: no tool is called `{name}` here, so what it says of it binds nothing: `--server NAME` takes its tools for \
             those of a server\n"
        )
    };
    assert_eq!(
        ran.stderr,
        "exuvia: /description: a remark, which is not kept\n\
         exuvia: /tools/good: its rules are written in this form: see that they say the same\n\
         exuvia: /tools/odd: `denyif` is not understood; every call of this tool is denied until its rules are written anew\n"
            .to_owned()
            + &stranger("good")
            + &stranger("odd")
    );
    assert!(ran.stdout.starts_with("wrote `policy.json`, version sha256:"), "{}", ran.stdout);
    let read = |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap() };
    let ours = read("policy.json");
    assert_eq!(ours["tools"]["good"]["limits"][0]["max"], 5);
    assert_eq!(ours["tools"]["odd"]["deny_if"][0]["conditions"], json!([]));
    // What was imported is not imported differently.
    let again = run(&["policy.json", "--output", "again.json"]);
    assert_eq!((again.stderr, read("again.json")), (stranger("good") + &stranger("odd"), ours));
    // Not over what is there, unless that is asked for.
    let datagen = include_str!("../../../policies/documents/executeCode.json");
    fs::write(folder.path().join("datagen.json"), datagen).unwrap();
    let refused = run(&["datagen.json"]);
    assert_eq!(
        (refused.status, refused.stderr.as_str()),
        (Some(64), "exuvia: `policy.json` is there already: `--force` writes over it\n")
    );
    assert_eq!(run(&["datagen.json", "--force"]).status, Some(0));
    assert!(read("policy.json")["tools"]["executeCode"].is_object());
    let printed = run(&["datagen.json", "-o", "-"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), read("policy.json"));
    fs::write(folder.path().join("wrong.json"), "{\"version\": \"2\"}").unwrap();
    let wrong = run(&["wrong.json", "--force"]);
    assert_eq!(wrong.status, Some(64));
    assert!(wrong.stderr.contains("the policy `wrong.json` cannot be taken in:\n/version: "), "{}", wrong.stderr);
}

/// A policy of Intercept, in YAML, for the tools of one server; and files that are made to do harm.
#[test]
fn a_policy_in_yaml_is_imported_for_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let import = |text: &str, arguments: &[&str]| -> support::Ran {
        fs::write(folder.path().join("theirs.yaml"), text).unwrap();
        let mut command = Command::new(binary());
        command.args(["policy", "import", "theirs.yaml", "-o", "-"]).args(arguments).current_dir(folder.path());
        command.output().unwrap().into()
    };
    let theirs = include_str!("intercept.yaml");
    let ran = import(theirs, &["--server", "git-hub"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(
        ran.stderr,
        "exuvia: /description: a remark, which is not kept\n\
         exuvia: /tools/get_me: its rules are written in this form: see that they say the same\n\
         exuvia: /tools/create_issue/rules/0/name: a remark, which is not kept\n\
         exuvia: /tools/create_issue/rules/0/on_deny: limits have words of their own: not kept\n\
         exuvia: /tools/delete_repository/rules/0/name: a remark, which is not kept\n\
         exuvia: /tools/*/rules/0/name: a remark, which is not kept\n\
         exuvia: /tools/*: its limits are in `all_tools`\n"
    );
    let ours: Value = serde_json::from_str(&ran.stdout).unwrap();
    let limit = |counter: &str, window: &str, max: u32| json!([{ "counter": counter, "window": window, "max": max, "scope": "grant" }]);
    let expected = json!({
        "version": "1",
        "default": "deny",
        "hide": ["mcp_git_hub_transfer_repository"],
        "all_tools": { "limits": limit("all_rate_1", "minute", 60) },
        "tools": {
            "mcp_git_hub_create_issue": { "limits": limit("mcp_git_hub_create_issue_rate_1", "hour", 5) },
            "mcp_git_hub_delete_repository": {
                "deny_if": [{ "conditions": [], "on_deny": "Repository deletion is not permitted via AI agents" }],
            },
            "mcp_git_hub_get_me": {},
        },
    });
    assert_eq!(ours, expected);
    // Without the server's name, what it says is of no tool here, and that is said.
    let without = import(theirs, &[]);
    assert!(without.stderr.contains("exuvia: no tool is called `delete_repository` here"), "{}", without.stderr);
    let deep = "[".repeat(1 << 20);
    let bomb = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 100].join(", "));
    for (text, why) in [
        (deep.as_str(), "recursion limit exceeded at line 1, column 34"),
        (&bomb, "/b/2: with its aliases written out the document has more than 4194304 bytes"),
        ("tools: {}\ntools: {}", "/tools: the key `tools` is there twice"),
        ("version: '1'\n---\nversion: '1'", "there is more than one document at line "),
        ("tools: {a: !exec {}}", "unsupported tag `!exec` at line 1, column 18"),
        ("", "(document): expected an object, found null"),
    ] {
        let ran = import(text, &[]);
        assert_eq!(ran.status, Some(64), "{text:.40}");
        assert!(ran.stderr.contains(why) && ran.stderr.len() < 1000, "{}", ran.stderr);
    }
    // A policy in force is JSON.
    fs::write(folder.path().join("policy.yaml"), "version: '1'\ndefault: allow\n").unwrap();
    let check: support::Ran = Command::new(binary())
        .args(["policy", "check", "policy.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap()
        .into();
    assert_eq!(check.status, Some(64));
    assert!(check.stderr.contains("not JSON: "), "{}", check.stderr);
}

/// The walk of docs/policy.md: from no policy to one that allows reading, bounds writing, and has a person approve refunds.
#[test]
fn a_new_user_has_a_policy_in_three_commands() {
    const MANUAL: &str = include_str!("../../../docs/policy.md");
    let commands = [
        "exuvia policy scaffold --writes 30/min --approve 'mcp_Shop_refund*' > policy.json",
        "exuvia policy check policy.json",
        "exuvia serve --mcp-config mcp.json --policy policy.json",
    ];
    for command in commands {
        assert!(MANUAL.contains(&format!("\n{command}\n")), "{command}");
    }
    let folder = tempfile::tempdir().unwrap();
    let upstream = env!("CARGO_BIN_EXE_upstream-for-tests");
    let servers = json!({ "mcpServers": { "Math": { "command": upstream }, "Shop": { "command": upstream, "env": { "SHOP": "1" } } } });
    write(&folder.path().join("mcp.json"), &servers);
    let shell = |command: &str| {
        let command = command.replacen("exuvia", &binary().display().to_string(), 1);
        Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output().unwrap()
    };
    let scaffolded = shell(commands[0]);
    assert!(scaffolded.status.success(), "{scaffolded:?}");
    let checked = shell(commands[1]);
    assert!(checked.status.success(), "{checked:?}");
    let file = folder.path().join("policy.json").to_str().unwrap().to_owned();
    let place = Place::started(folder, &["--policy", &file]);
    assert_eq!(place.run("mcp_Shop_orders(1)['done']")["result"], "orders");
    let writes = "passed, rule = 0, None\ntry:\n  for _ in range(40):\n    mcp_Shop_note(1)\n    passed += 1\nexcept PolicyDenied as \
                  error: rule = error.rule\npassed, rule";
    let given = place.run(writes);
    // The window may have ended in between.
    if given["result"][0] != 40 {
        assert!(given["result"][0].as_u64().unwrap() >= 30, "{given}");
        assert_eq!(given["result"][1], "/tools/mcp_Shop_note/limits/mcp_shop_note_rate");
    }
    assert_eq!(place.run("mcp_Shop_delete_all(1)")["error"]["type"], "ToolNotAvailable");
    let uuid = place.server.submit("mcp_Shop_refund(7)['done']");
    let approvals = |arguments: &[&str]| -> support::Ran {
        let at = ["--url", &place.server.url, "--data", place.server.data.to_str().unwrap()];
        Command::new(binary()).arg("approvals").args(arguments).args(at).output().unwrap().into()
    };
    let id = loop {
        let listed = approvals(&["list"]).stdout;
        if listed.contains("local asks for mcp_Shop_refund\n") {
            break listed.split_whitespace().next().unwrap().to_owned();
        }
    };
    assert_eq!(approvals(&["approve", &id]).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"], "refund");
}

#[test]
fn a_policy_is_checked_explained_and_tested_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.json");
    let mut policy = limited("executeCode", "minute", 1);
    policy["x-sandbox"] = json!({ "tests": [
        { "name": "the second", "call": { "tool": "executeCode", "args": { "script": "1" } }, "repeat": 2, "expect": "deny" },
    ] });
    write(&path, &policy);
    let run = |arguments: &[&str]| {
        let output = Command::new(binary()).arg("policy").args(arguments).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(run(&["test", "policy.json"]), (Some(0), "ok      the second\n".to_owned()));
    let (status, explained) = run(&["explain", "policy.json", "--tool", "executeCode"]);
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(
        (status, &explained["decision"], &explained["rule"]),
        (Some(0), &json!("allow"), &json!("/tools/executeCode"))
    );
    let (status, core) = run(&["export", "policy.json", "--core"]);
    assert_eq!((status, core.contains("x-sandbox")), (Some(0), false));
    fs::write(folder.path().join("core.json"), core).unwrap();
    let (status, differs) = run(&["diff", "policy.json", "core.json"]);
    assert_eq!(status, Some(1));
    assert!(differs.starts_with("- /x-sandbox: "), "{differs}");
    fs::write(&path, "{\"version\": \"2\"}").unwrap();
    assert_eq!(run(&["check", "policy.json"]).0, Some(64));
}
