//! A record under another policy, and under another script.

use super::support::counts::Counts;
use super::{ask, ended, file, shown};
use serde_json::json;

#[test]
fn another_policy_says_what_it_would_have_decided() {
    let counts = Counts::start("");
    let (uuid, _) = ended(
        &counts,
        "for n in range(3):\n    mcp_Counts_put(key=f'p/{n}')\nmcp_Counts_look('secret/1')\nmcp_Counts_look('open/1')",
    );
    let policy = file(
        &counts,
        "other.json",
        &json!({ "version": "1", "default": "deny", "tools": {
            "mcp_Counts_put": { "limits": [{ "counter": "puts", "window": "day", "max": 2, "scope": "grant" }] },
            "mcp_Counts_look": { "deny_if": [{ "conditions": [
                { "path": "args.key", "op": "regex", "value": "^secret" } ] }] },
        } })
        .to_string(),
    );
    let ran = ask(&counts, &["replay", &uuid, "--policy", shown(&policy)]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        ran.stderr,
        "#3 mcp_Counts_put: allowed then, now denied by /tools/mcp_Counts_put/limits/puts\n\
         #4 mcp_Counts_look: allowed then, now denied by /tools/mcp_Counts_look/deny_if/args.key-regex\n\
         exuvia: the same as recorded\nexuvia: 2 of 5 decisions differ\n"
    );
    // What was denied then: the policy that decided it says the same, and one that allows all says otherwise.
    let rules = json!({ "version": "1", "default": "allow", "tools": { "mcp_Counts_put": { "deny_if": [
        { "conditions": [{ "path": "args.key", "op": "eq", "value": "q/1" }] } ] } } });
    let own = file(&counts, "policy.json", &rules.to_string());
    let script = "for n in range(2):\n    try:\n        mcp_Counts_put(key=f'q/{n}')\n    except PolicyDenied as denied:\n        print(denied.rule)";
    let rule = "/tools/mcp_Counts_put/deny_if/args.key-eq";
    let uuid = loop {
        // The file is read again within some seconds.
        let (uuid, status) = ended(&counts, script);
        if status["stdout"] == format!("{rule}\n") {
            break uuid;
        }
    };
    let ran = ask(&counts, &["replay", &uuid, "--policy", shown(&own)]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (Some(0), "exuvia: the same as recorded\nexuvia: 0 of 2 decisions differ\n")
    );
    let all = file(&counts, "all.json", r#"{ "version": "1", "default": "allow" }"#);
    let ran = ask(&counts, &["replay", &uuid, "--policy", shown(&all)]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        ran.stderr,
        format!(
            "#2 mcp_Counts_put: denied by {rule} then, now allowed\nexuvia: the same as recorded\n\
             exuvia: 1 of 2 decisions differ\n"
        )
    );
}

#[test]
fn another_script_runs_on_the_recorded_answers() {
    let counts = Counts::start("");
    let script = "import time\ntime.sleep(0.01)\na = mcp_Counts_put(key='s/4', ms=1)\nb = mcp_Counts_look(key='s/5')\nprint(a + b)";
    let (uuid, _) = ended(&counts, script);
    let with = |text: &str| {
        let path = file(&counts, "edited.py", text);
        ask(&counts, &["replay", &uuid, "--script", shown(&path)])
    };
    let ran = with(script);
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "9\n", ""));
    // Other code, other sleeps, another order, and the arguments in another one.
    let ran = with(
        "import time\nb = mcp_Counts_look(key='s/5')\nbegun = time.monotonic()\ntime.sleep(100)\nassert 100 <= time.monotonic() - begun < 101\nexuvia_progress(0.5)\nprint(b * mcp_Counts_put(ms=1, key='s/4'))",
    );
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "20\n", ""));
    let ran = with("print('first')\ntry:\n    mcp_Counts_put(key='s/6')\nexcept BaseException:\n    print('caught')");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), "first\n"));
    assert_eq!(
        ran.stderr,
        "exuvia: stopped, as this is not in the record at effect #1: mcp_Counts_put(key=\"s/6\")\nThe program stands here:\n  \
         File \"edited.py\", line 3, in <module>\n    mcp_Counts_put(key='s/6')\n"
    );
    // An answer is given once.
    let ran = with("mcp_Counts_look(key='s/5')\nmcp_Counts_look(key='s/5')");
    assert_eq!(ran.status, Some(2));
    assert_eq!(counts.calls().len(), 2);
}
