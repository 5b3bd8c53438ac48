use super::*;

fn loaded(text: &str) -> Loaded {
    let variables = |name: &str| (name == "TOKEN").then(|| "s3cr3t-token".to_owned());
    parse(text, Path::new("dir/mcp.json"), &variables).unwrap()
}

fn wrong(server: &str) -> String {
    let mut loaded = loaded(&format!("{{\"mcpServers\": {{\"x\": {server}}}}}"));
    match loaded.servers.remove(0).transport {
        Transport::Misconfigured(error) => error,
        transport => panic!("{transport}"),
    }
}

#[test]
fn both_lists_comments_and_trailing_commas() {
    let loaded = loaded(
        r#"{
            // Claude and Cursor
            "mcpServers": {
                "files": {"command": "npx", "args": ["-y", "server", 7,], "env": {"KEY": "${TOKEN}"}, "cwd": "work"},
                "off": {"command": "x", "disabled": true, "timeout": 60},
            },
            "inputs": [],
            /* VS Code */
            "servers": {
                "web": {"type": "http", "url": "https://u:p@example.org/mcp?key=abcdefgh",
                        "headers": {"Authorization": "Bearer ${env:TOKEN}"}, "timeout": 5000, "gallery": true},
                "files": {"command": "other"}
            },
            "other": 1
        }"#,
    );
    let names: Vec<_> = loaded.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["files", "off", "web"]);
    let Transport::Stdio(stdio) = &loaded.servers[0].transport else { panic!() };
    assert_eq!(stdio.arguments, ["-y", "server", "7"]);
    assert_eq!(stdio.environment["KEY"].expose(), "s3cr3t-token");
    assert_eq!(stdio.folder, Some(PathBuf::from("dir/work")));
    assert!(loaded.servers[1].disabled);
    assert_eq!(loaded.servers[1].timeout, Some(Duration::from_secs(60)));
    let Transport::Http(http) = &loaded.servers[2].transport else { panic!() };
    assert_eq!(http.headers["Authorization"].expose(), "Bearer s3cr3t-token");
    assert_eq!(loaded.servers[2].timeout, Some(Duration::from_secs(5)));
    assert_eq!(
        loaded.warnings,
        [
            "`dir/mcp.json`, server `web`: the key `gallery` has no meaning here",
            "`dir/mcp.json`: server `files` is listed twice; the first is used",
            "`dir/mcp.json`: the key `other` has no meaning here",
        ]
    );
    assert_eq!(format!("{:?}", loaded.servers[2]), "Server(web, http, https://example.org/mcp)");
}

#[test]
fn an_error_names_file_server_and_key_and_stops_no_other() {
    let place = "`dir/mcp.json`, server `x`: ";
    for (server, error) in [
        ("7", "it must be an object"),
        ("{}", "it has neither `command` (a program to start) nor `url` (a server to reach)"),
        (r#"{"type": "stdio"}"#, "`type` is `stdio`, so `command` is needed"),
        (r#"{"type": "http"}"#, "`type` is `http`, so `url` is needed"),
        (r#"{"type": "ws", "url": "http://h"}"#, "`type` is `ws`; known are `stdio` and `http`"),
        (r#"{"command": ""}"#, "`command` is empty"),
        (r#"{"command": "x", "args": "y"}"#, "`args` must be a list of strings"),
        (r#"{"command": "x", "env": {"A": {}}}"#, "`env.A` must be a string"),
        (r#"{"command": "x", "disabled": 1}"#, "`disabled` must be true or false"),
        (r#"{"url": "file:///etc"}"#, "`url`: it must start with `https://` or `http://`"),
        (r#"{"url": "http://h", "headers": {"Host": "x"}}"#, "`headers`: `Host` cannot be set as a header"),
        (
            r#"{"url": "http://h", "headers": {"X": "${MISSING}"}}"#,
            "`headers.X`: the environment variable `MISSING` is not set: set it, or write `${MISSING:-DEFAULT}`",
        ),
    ] {
        assert_eq!(wrong(server), format!("{place}{error}"));
    }
    assert!(wrong(r#"{"type": "sse", "url": "http://h"}"#).contains("streamable HTTP has replaced"));
    let both = loaded(r#"{"servers": {"bad": {}, "good": {"command": "x"}}}"#);
    assert!(matches!(both.servers[0].transport, Transport::Misconfigured(_)));
    assert!(matches!(both.servers[1].transport, Transport::Stdio(_)));
}

#[test]
fn a_file_that_cannot_be_used_at_all() {
    let error = |text: &str| parse(text, Path::new("m.json"), &|_| None).unwrap_err().to_string();
    assert!(error("{").starts_with("`m.json` is not JSON: "), "{}", error("{"));
    assert_eq!(error("[]"), "`m.json`: the file holds no object; it must be `{\"mcpServers\": {…}}`");
    assert_eq!(error("{}"), "`m.json`: it has neither `mcpServers` nor `servers`");
    assert_eq!(error(r#"{"servers": []}"#), "`m.json`: `servers` must be an object of servers by name");
}

#[test]
fn variables_from_a_file_give_way_to_those_of_env() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vars"), "A=file\nB=file\n").unwrap();
    let text = r#"{"servers": {"x": {"command": "c", "envFile": "vars", "env": {"B": "own"}}}}"#;
    let loaded = parse(text, &folder.path().join("mcp.json"), &|_| None).unwrap();
    let Transport::Stdio(stdio) = &loaded.servers[0].transport else { panic!() };
    assert_eq!((stdio.environment["A"].expose(), stdio.environment["B"].expose()), ("file", "own"));
}
