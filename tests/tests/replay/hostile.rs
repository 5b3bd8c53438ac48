//! A server that means harm to whoever asks it.

use super::exuvia;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

const UUID: &str = "00000000-0000-7000-8000-000000000000";

/// Seen to fail with a failure printed as it is.
#[test]
fn what_a_server_says_is_wrong_does_nothing_to_a_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).find(String::is_empty);
            let body = r#"{"error": "gone\u001b[2J\u202e\rforged\nor not"}"#;
            let head = format!("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).unwrap();
        }
    });
    for arguments in [["replay", UUID], ["show", UUID], ["status", UUID], ["cancel", UUID]] {
        let ran = exuvia(Some(&url), &arguments);
        let said = "exuvia: gone\\u001b[2J\\u202e\\u000dforged\nor not\n";
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(64), said), "{arguments:?}");
    }
}
