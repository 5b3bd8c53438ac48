//! Files as clients meet them: what a script left, what it is given, and output that is too long for an answer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::binary;
use support::server::Server;

/// The smallest PNG.
const PNG: &str = "import base64\npng = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=')\n";

fn with_config(folder: &Path, config: &str) -> Server {
    fs::write(folder.join("exuvia.toml"), config).unwrap();
    Server::start_in(folder, &["--config", folder.join("exuvia.toml").to_str().unwrap()])
}

/// Files in a folder and below it.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files_in(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

/// `exuvia://…` as it is asked for over REST.
fn way(uri: &Value) -> String {
    uri.as_str().unwrap().replacen("exuvia://", "/v1/", 1)
}

fn text_of(server: &Server, uri: &Value) -> String {
    let (status, _, bytes) = server.bytes(&way(uri), &[]);
    assert_eq!(status, 200, "{uri}");
    String::from_utf8(bytes).unwrap()
}

// What a script left.

#[test]
fn what_a_script_left_is_listed_linked_shown_and_fetched() {
    let server = Server::start();
    let script = format!(
        "{PNG}import os\nos.mkdir('plots')\nopen('plots/a b.png', 'wb').write(png)\nopen('rows.csv', 'w').write('a,b\\n1,2\\n')\n\
         open('/tmp/scratch', 'w').write('x')\nopen('large.bin', 'wb').write(b'\\0' * 3_000_000)\nprint('done')"
    );
    let result = server.rpc("tools/call", json!({ "name": "executeCode", "arguments": { "script": script } }));
    let given = &result["structuredContent"];
    let listed = given["artifacts"].as_array().unwrap();
    let seen: Vec<_> = listed
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["type"].as_str().unwrap(), one["size"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("large.bin", "application/octet-stream", 3_000_000),
            ("plots/a b.png", "image/png", 68),
            ("rows.csv", "text/csv", 8)
        ]
    );
    let uuid = given["execution_uuid"].as_str().unwrap();
    assert_eq!(listed[1]["uri"], format!("exuvia://executions/{uuid}/files/plots/a%20b.png"));
    assert_eq!(given["warnings"], json!([]));

    let content = result["content"].as_array().unwrap();
    // This client has not said that it knows links.
    assert_eq!(
        (content.len(), &content[1]["type"], &content[2]["type"]),
        (3, &json!("text"), &json!("image")),
        "{content:?}"
    );
    let lines: Vec<_> = content[1]["text"].as_str().unwrap().lines().collect();
    assert_eq!(lines[2], format!("rows.csv (text/csv, 8 bytes): exuvia://executions/{uuid}/files/rows.csv"));
    assert_eq!(content[2]["mimeType"], "image/png");

    let read = server.rpc("resources/read", json!({ "uri": listed[2]["uri"] }));
    assert_eq!(
        (&read["contents"][0]["text"], &read["contents"][0]["mimeType"]),
        (&json!("a,b\n1,2\n"), &json!("text/csv"))
    );
    let read = server.rpc("resources/read", json!({ "uri": listed[1]["uri"] }));
    assert_eq!(read["contents"][0]["blob"], content[2]["data"]);
    let templates = server.rpc("resources/templates/list", json!({}));
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "exuvia://executions/{execution_uuid}/files/{+name}");

    let (_, all) = server.get(&format!("/v1/executions/{uuid}/files"));
    assert_eq!((&all["files"], &all["output"]), (&given["artifacts"], &json!([])));
    let (status, headers, bytes) = server.bytes(&way(&listed[0]["uri"]), &[]);
    assert_eq!((status, bytes.len(), bytes.iter().any(|byte| *byte != 0)), (200, 3_000_000, false));
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, format!("{:?}", listed[0]["hash"].as_str().unwrap()));
    assert_eq!(server.bytes(&way(&listed[0]["uri"]), &[("if-none-match", &tag)]).0, 304);
    let (status, headers, bytes) = server.bytes(&way(&listed[2]["uri"]), &[("range", "bytes=2-3")]);
    assert_eq!(
        (status, bytes.as_slice(), &headers["content-range"]),
        (206, &b"b\n"[..], &"bytes 2-3/8".parse().unwrap())
    );
    assert_eq!(server.bytes(&way(&listed[2]["uri"]), &[("range", "bytes=8-")]).0, 416);
}

#[test]
fn a_client_that_knows_links_gets_links() {
    let server = Server::start();
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "executeCode", "arguments": { "script": "open('a.txt', 'w').write('a')" } } });
    let headers = [("accept", "application/json, text/event-stream"), ("mcp-protocol-version", "2025-06-18")];
    let (_, answer) = server.post("/mcp", &request, &headers);
    let link = &answer["result"]["content"][1];
    assert_eq!(
        (&link["type"], &link["name"], &link["size"]),
        (&json!("resource_link"), &json!("a.txt"), &json!(1)),
        "{answer}"
    );
    assert_eq!(link["uri"], answer["result"]["structuredContent"]["artifacts"][0]["uri"]);
}

/// Whatever ends a script, and also after a restart: a job is replayed, and its files are what they were.
#[test]
fn files_stay_when_the_script_fails_and_when_the_server_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &[]);
    let failed = server.wait(&server.submit("open('a', 'w').write('kept')\n1 / 0"));
    assert_eq!((&failed["status"], &failed["artifacts"][0]["name"]), (&json!("failed"), &json!("a")));
    let uuid =
        // One that sleeps would leave memory, and its files with it.
        server.submit("open('b', 'wb').write(b'b' * 2_000_000)\nprint('written')\nwhile True: pass");
    while server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1["stdout"] != "written\n" {}
    let (_, cancelled, _) = server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(server.wait(&uuid)["artifacts"][0]["size"], 2_000_000);

    let script = "import time\nwith open('c', 'wb') as file:\n    file.write(b'c' * 2_000_000)\n    print('half')\n    time.sleep(0.5)\n    file.write(b'd')\n'x' * 300_000";
    let job = server.submit(script);
    while server.tool("checkCodeExecStatus", json!({ "execution_uuid": job })).1["stdout"] != "half\n" {}
    server.kill();
    let server = Server::start_in(folder.path(), &[]);
    let ended = server.wait(&job);
    assert_eq!((&ended["status"], &ended["artifacts"][0]["size"]), (&json!("completed"), &json!(2_000_001)), "{ended}");
    assert!(text_of(&server, &ended["artifacts"][0]["uri"]).ends_with("cd"));
    assert_eq!(text_of(&server, &failed["artifacts"][0]["uri"]), "kept");
    assert_eq!(text_of(&server, &ended["more"]["result"]["uri"]).len(), 300_002);
    assert!(ended["result"].as_str().unwrap().contains("bytes cut"));
}

#[test]
fn in_a_session_only_what_a_call_changed_is_its_own() {
    let server = Server::start();
    let call = |script: &str| {
        let given = server.tool("executeCode", json!({ "script": script, "session_id": "s" })).1;
        let names = given["artifacts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(call("open('a', 'w').write('1')\nopen('b', 'wb').write(b'2' * 2_000_000)"), ["a", "b"]);
    assert_eq!(call("open('a').read(), len(open('b', 'rb').read())"), Vec::<String>::new());
    assert_eq!(call("open('b', 'ab').write(b'3')"), ["b"]);
}

/// Seen to fail with a `Content-Disposition` that is always `inline`, and with names believed before contents.
#[test]
fn what_a_browser_could_run_is_only_saved() {
    let server = Server::start();
    let script = format!(
        "{PNG}page = '<html><script>alert(1)</script></html>'\nfor name in ['a.html', 'a.png', 'a.svg', 'noname']:\n    open(name, 'w').write(page)\n\
         open('b.svg', 'w').write('<svg xmlns=\"http://www.w3.org/2000/svg\"><script>1</script></svg>')\nopen('c.html', 'wb').write(png)"
    );
    let given = server.execute(&script);
    for one in given["artifacts"].as_array().unwrap() {
        let (_, headers, _) = server.bytes(&way(&one["uri"]), &[]);
        let said = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(said("x-content-type-options"), "nosniff");
        assert_eq!(said("content-security-policy"), "default-src 'none'; sandbox");
        let is_picture = one["name"] == "c.html";
        assert_eq!(said("content-type") == "image/png", is_picture, "{one}");
        assert_eq!(said("content-disposition").starts_with("inline"), is_picture, "{one}");
    }
}

#[test]
fn hostile_names_are_listed_fetched_and_lead_nowhere() {
    let server = Server::start();
    let given = server.execute(
        "import os\nfor name in ['line\\nfeed', '%2e%2e%2f', '\\u202egnp', 'e\\u0301', '\\u00e9', '...', '?a=b#c', 'a;b', '<b>']:\n    \
         open(name, 'w').write(name)\nos.symlink('/lib/python3.13/os.py', 'link')\nos.symlink('../../../../etc', 'up')\nos.link('a;b', 'again')",
    );
    let listed = given["artifacts"].as_array().unwrap();
    assert_eq!(listed.len(), 10, "{given}");
    for one in listed.iter().filter(|one| one["name"] != "again") {
        assert_eq!(text_of(&server, &one["uri"]), one["name"].as_str().unwrap());
        let read = server.rpc("resources/read", json!({ "uri": one["uri"] }));
        assert_eq!(read["contents"][0]["text"], one["name"]);
    }
    assert_eq!(given["warnings"], json!(["2 links in /mnt/data are not kept: only files are"]));
    let uuid = given["execution_uuid"].as_str().unwrap();
    for name in
        ["link", "up/passwd", "..%2f..%2frecord", "%2e%2e/%2e%2e/store/db", listed[0]["hash"].as_str().unwrap(), "a%00"]
    {
        assert_eq!(server.bytes(&format!("/v1/executions/{uuid}/files/{name}"), &[]).0, 404, "{name}");
        let refused =
            server.refused("resources/read", json!({ "uri": format!("exuvia://executions/{uuid}/files/{name}") }));
        assert!(refused["message"].as_str().unwrap().starts_with("there is no resource"), "{refused}");
    }
    // All contents are named by their hashes.
    let kept = files_in(&server.data.join("shelf"));
    assert_eq!(kept.len(), 9);
    assert!(kept.iter().all(|path| path.file_name().unwrap().len() == 64));
}

#[test]
fn what_is_too_much_is_left_out_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[files]\ncount = 3\nlargest = \"2MiB\"\nkept_per_execution = \"3MiB\"\ndisk_per_execution = \"8MiB\"\ndisk_per_grant = \"5MiB\"\n";
    let server = with_config(folder.path(), config);
    let given = server.execute(
        "for n in range(5):\n    open(str(n), 'w').write(str(n))\nopen('0', 'wb').write(b'0' * 2_500_000)\nopen('1', 'wb').write(b'1' * 2_000_000)\n\
         open('2', 'wb').write(b'2' * 2_000_000)",
    );
    let names = |given: &Value| {
        given["artifacts"].as_array().unwrap().iter().map(|one| one["name"].to_string()).collect::<String>()
    };
    assert_eq!(names(&given), "\"1\"");
    assert_eq!(
        given["warnings"],
        json!([
            "2 files are not kept: 3 of one execution are the most; put them into an archive",
            "`0` is not kept: it is larger than the 2097152 bytes that one file may have",
            "`2` is not kept: it is larger than the 1145728 bytes that one file may have",
        ])
    );
    let given = server.execute("open('more', 'wb').write(b'm' * 2_000_000)");
    assert_eq!(names(&given), "\"more\"");
    let given = server.execute("open('more', 'wb').write(b'm' * 2_000_000)");
    assert_eq!(
        given["warnings"],
        json!([
            "`more` is not kept: the files of this grant take as much of the disk as they may: delete some, or wait until they expire"
        ])
    );
    let given = server.execute(
        "import os\nblock, count = bytes(1 << 20), 0\nwith open('/tmp/x', 'wb', buffering=0) as file:\n    try:\n        while True:\n            \
         file.write(block)\n            count += 1\n    except OSError as error:\n        print(error.strerror, count)\nwith open('sparse', 'wb') as file:\n    \
         file.truncate(1 << 40)",
    );
    assert_eq!(given["stdout"], "No space left on device 8\n");
    assert_eq!(given["error"]["type"], "OSError");
}

#[test]
fn a_hundred_thousand_files_hold_nobody_up() {
    let server = Server::start();
    let given = server
        .execute("import os\nfor n in range(100_000):\n    os.close(os.open(f'{n:06}', os.O_CREAT | os.O_WRONLY))");
    assert_eq!(given["status"], "completed", "{given}");
    assert_eq!(given["artifacts"].as_array().unwrap().len(), 100);
    assert_eq!(
        given["warnings"][0],
        "99900 files are not kept: 100 of one execution are the most; put them into an archive"
    );
}

// Whose they are.

struct Grants {
    server: Server,
    alice: String,
    bob: String,
}

fn grants() -> Grants {
    let mut server = Server::start();
    let policy = server.data.join("policy.json");
    fs::write(&policy, json!({ "version": "1", "default": "allow" }).to_string()).unwrap();
    let create = |label: &str| {
        let arguments =
            ["grants", "--data", server.data.to_str().unwrap(), "create", label, "--policy", policy.to_str().unwrap()];
        let shown = String::from_utf8(Command::new(binary()).args(arguments).output().unwrap().stdout).unwrap();
        shown.split_whitespace().find(|word| word.starts_with("exv_")).unwrap().to_owned()
    };
    let (alice, bob) = (create("alice"), create("bob"));
    server.with_key(None);
    Grants { server, alice, bob }
}

/// Seen to fail with the grant of an execution not compared; its files are then looked for among those of whoever asks, and not found.
#[test]
fn another_grant_s_files_are_not_there() {
    let Grants { mut server, alice, bob } = grants();
    server.with_key(Some(&alice));
    let given = server.execute("open('secret', 'w').write('alice')\n'y' * 300_000");
    let (_, input) = server.give("in.txt", b"alice's");
    let mut uris =
        vec![given["artifacts"][0]["uri"].clone(), given["more"]["result"]["uri"].clone(), input["uri"].clone()];
    for uri in &uris {
        assert_eq!(server.bytes(&way(uri), &[]).0, 200, "{uri}");
    }
    server.with_key(Some(&bob));
    uris.push(json!("exuvia://files/01900000-0000-7000-8000-000000000000"));
    for uri in &uris {
        let (status, _, bytes) = server.bytes(&way(uri), &[]);
        assert_eq!(status, 404, "{uri}: {}", String::from_utf8_lossy(&bytes));
        let refused = server.refused("resources/read", json!({ "uri": uri }));
        assert_eq!(
            refused["message"],
            format!("there is no resource `{}`: it is another's, or has expired", uri.as_str().unwrap())
        );
    }
    let uuid = given["execution_uuid"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/executions/{uuid}/files")).0, 404);
    let id = input["id"].as_str().unwrap();
    assert_eq!(server.get("/v1/files").1, json!({ "files": [] }));
    assert_eq!(server.delete(&format!("/v1/files/{id}")).0, 404);
    let (failed, _, text) = server.tool("executeCode", json!({ "script": "1", "files": [id] }));
    assert!(failed);
    assert_eq!(
        text,
        format!("`files`: there is no file `{id}`: it is another's, or has expired; `POST /v1/files` gives one")
    );
    server.with_key(Some(&alice));
    assert_eq!(server.get("/v1/files").1["files"][0]["id"], id);
}

// What a script is given.

#[test]
fn a_given_file_is_in_the_working_folder_until_it_is_removed() {
    let server = Server::start();
    let large = vec![b'x'; 5_000_000];
    let (status, input) = server.give("in/rows.csv", &large);
    assert_eq!(
        (status, &input["name"], &input["size"], &input["type"]),
        (201, &json!("in/rows.csv"), &json!(5_000_000), &json!("text/csv"))
    );
    let id = input["id"].as_str().unwrap();
    let (_, small) = server.give("small.txt", b"small");
    let script = "with open('in/rows.csv', 'r+b') as file:\n    data = file.read()\nopen('renamed', 'a').write('!')\nlen(data), open('renamed').read()";
    let files = json!([id, { "id": small["id"], "name": "renamed" }]);
    let (_, given, text) = server.tool("executeCode", json!({ "script": script, "files": files }));
    assert_eq!(given["result"], json!([5_000_000, "small!"]), "{text}");
    // What was not changed is no artifact.
    assert_eq!((&given["artifacts"][0]["name"], given["artifacts"].as_array().unwrap().len()), (&json!("renamed"), 1));
    // In a session, the same one again is as it was given.
    for _ in 0..2 {
        let arguments = json!({ "script": "n = len(open('in/rows.csv', 'ab').write(b'y') and open('in/rows.csv', 'rb').read())\nn",
            "files": [id], "session_id": "s" });
        assert_eq!(server.tool("executeCode", arguments).1["result"], 5_000_001);
    }

    let job = json!({ "script": "import time\ntime.sleep(0.2)\nlen(open('in/rows.csv', 'rb').read())", "files": [id] });
    let (_, submitted) = server.post("/v1/executions", &job, &[]);
    assert_eq!(server.delete(&format!("/v1/files/{id}")).0, 200);
    assert_eq!(server.delete(&format!("/v1/files/{id}")).0, 404);
    assert_eq!(server.wait(submitted["execution_uuid"].as_str().unwrap())["result"], 5_000_000);
    let (failed, _, _) = server.tool("executeCode", json!({ "script": "1", "files": [id] }));
    assert!(failed);
    // It is in no folder any more, but for what the scripts made of it.
    let left = files_in(&server.data.join("shelf"));
    assert!(left.iter().all(|path| fs::metadata(path).unwrap().len() != 5_000_000), "{left:?}");
}

#[test]
fn a_job_has_its_files_after_the_server_has_died() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &[]);
    let (_, input) = server.give("a.txt", b"given");
    let script = "import time\nprint('begun')\ntime.sleep(0.5)\nopen('a.txt').read()";
    let (_, submitted) = server.post("/v1/executions", &json!({ "script": script, "files": [input["id"]] }), &[]);
    let uuid = submitted["execution_uuid"].as_str().unwrap();
    while server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1["stdout"] != "begun\n" {}
    assert_eq!(server.delete(&format!("/v1/files/{}", input["id"].as_str().unwrap())).0, 200);
    server.kill();
    let server = Server::start_in(folder.path(), &[]);
    assert_eq!(server.wait(uuid)["result"], "given");
    assert_eq!(files_in(&server.data.join("shelf")), Vec::<PathBuf>::new());
}

#[test]
fn every_bad_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_config(folder.path(), "[files]\nlargest = \"1MiB\"\nexpires = \"0s\"\n");
    for name in ["../x", "a/../../b", "/etc/passwd", "a\0b", "a\nb", "", "x/"] {
        let (status, answer) = server.give(name, b"x");
        assert_eq!(status, 422, "{name:?}");
        assert!(answer["error"].as_str().unwrap().contains("is not a name for a file in /mnt/data"), "{answer}");
    }
    let (status, answer) = server.give("large", &vec![0; 1_100_000]);
    assert_eq!((status, &answer["error"]), (413, &json!("it is larger than the 1048576 bytes that one file may have")));
    let (_, input) = server.give("a", b"gone at once");
    for (files, expected) in [
        (json!(["x"]), "`files` has \"x\": give ids that POST /v1/files answered"),
        (json!([{ "id": input["id"], "path": "x" }]), "`files` has {"),
        (json!([{ "id": input["id"], "name": "../x" }]), "`../x` is not a name for a file in /mnt/data"),
        (json!([input["id"]]), "`files`: there is no file"),
    ] {
        let (failed, _, text) = server.tool("executeCode", json!({ "script": "1", "files": files }));
        assert!(failed);
        assert!(text.starts_with(expected), "{text}");
    }
    assert_eq!(server.get("/v1/files").1, json!({ "files": [] }));
}

// Output that is too long.

#[test]
fn output_that_is_too_long_is_cut_in_the_answer_and_whole_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_config(folder.path(), "[files]\nprinted = \"2MiB\"\n");
    let script = "import sys\nfor n in range(20_000):\n    print('line', n)\nprint('short', file=sys.stderr)\nframe = list(range(100_000))\nframe";
    let (_, given, _) = server.tool("executeCode", json!({ "script": script, "output_vars": ["frame"] }));
    assert_eq!(given["truncated"], true);
    assert!(given["stdout"].as_str().unwrap().contains("bytes cut"));
    let whole = text_of(&server, &given["more"]["stdout"]["uri"]);
    assert_eq!((whole.lines().count(), whole.lines().last()), (20_000, Some("line 19999")));
    assert_eq!(given["more"]["stderr"], Value::Null);
    for (value, name) in [(&given["result"], "result"), (&given["output_vars"]["frame"], "output_vars/frame")] {
        assert!(value.as_str().unwrap().starts_with("[0, 1, 2,"), "{name}");
        assert!(value.as_str().unwrap().len() < 300_000);
        let whole: Vec<u32> = serde_json::from_str(&text_of(&server, &given["more"][name]["uri"])).unwrap();
        assert_eq!(whole.len(), 100_000);
    }
    let read = server.rpc("resources/read", json!({ "uri": given["more"]["stdout"]["uri"] }));
    assert_eq!(read["contents"][0]["text"], whole.as_str());

    // Beyond the ceiling the rest is lost, and that is said.
    let given = server.execute("for n in range(300):\n    print('x' * 9_999)");
    let kept = &given["more"]["stdout"];
    assert_eq!((&kept["size"], &kept["cut"]), (&json!(2 << 20), &json!(true)));
    // A name that a script chose is no name of ours.
    let given = server.execute("import os\nos.makedirs('output')\nopen('output/stdout', 'w').write('mine')");
    assert!(given["artifacts"][0]["uri"].as_str().unwrap().ends_with("/files/output/stdout"));
    assert_eq!(given["more"], Value::Null);
}

#[test]
fn a_table_is_html_beside_its_records() {
    let server = Server::start();
    let given = server.execute("import pandas as pd\npd.DataFrame({'a': ['<b>', 'x'] * 100, 'b': range(200)})");
    let html = text_of(&server, &given["more"]["result.html"]["uri"]);
    assert_eq!(given["more"]["result.html"]["type"], "text/html");
    assert!(html.contains("<table") && html.contains("&lt;b&gt;") && html.contains("200 rows"), "{html}");
    assert!(html.len() < 20_000 && !given["result"].to_string().contains("<table"));
    let (_, headers, _) = server.bytes(&way(&given["more"]["result.html"]["uri"]), &[]);
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let of = |script: &str| server.execute(script)["more"]["result.html"]["size"].clone();
    assert_eq!(of("class A:\n    def _repr_html_(self): return '<i>a</i>'\nA()"), 8);
    assert_eq!(of("class A:\n    def _repr_html_(self): raise SystemExit(3)\nA()"), Value::Null);
    assert_eq!(of("class A:\n    def _repr_html_(self): return 'x' * 10_000_000\nA()"), Value::Null);
    assert_eq!(of("[1, 2]"), Value::Null);
}

#[test]
fn a_tool_s_answer_that_is_too_long_is_whole_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = json!({ "mcpServers": { "Plain": { "command": env!("CARGO_BIN_EXE_upstream-for-tests") } } });
    fs::write(folder.path().join("mcp.json"), upstream.to_string()).unwrap();
    fs::write(folder.path().join("policy.json"), r#"{ "version": "1", "default": "allow" }"#).unwrap();
    let of = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let server = Server::start_in(folder.path(), &["--mcp-config", &of("mcp.json"), "--policy", &of("policy.json")]);
    let call = |bytes: u32| {
        let arguments = json!({ "tool_alias_name": "mcp_Plain_big", "parameters": { "bytes": bytes } });
        let (failed, given, text) = server.tool("executeTool", arguments);
        assert!(!failed, "{text}");
        given
    };
    assert_eq!((&call(1000)["truncated"], &call(1000)["more"]), (&Value::Null, &Value::Null));
    let given = call(400_000);
    assert!(given["truncated"] == true && given["result"].as_str().unwrap().len() < 300_000);
    let script = "import json\nlen(json.load(open('answer.json')))";
    let (_, ran, text) =
        server.tool("executeCode", json!({ "script": script, "files": [given["more"]["result"]["id"]] }));
    assert_eq!(ran["result"], 400_000, "{text}");
}
