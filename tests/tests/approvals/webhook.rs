//! What a webhook is told of what waits for a person.

use super::*;

/// One request that a receiver saw: its headers in lower case, and its body.
type Seen = (Vec<(String, String)>, String);

/// A receiver that refuses its first request, and takes those that follow.
fn receiver() -> (String, mpsc::Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, seen) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some((name, value)) = line.trim().split_once(": ") {
                    headers.push((name.to_lowercase(), value.to_owned()));
                }
            }
            let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = if number == 0 { "503 Service Unavailable" } else { "200 OK" };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            if sender.send((headers, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (url, seen)
}

#[test]
fn a_webhook_is_told_signed_and_tried_again() {
    let (url, seen) = receiver();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(at("secret"), "a long secret\n").unwrap();
    let config = format!("[approvals]\nwebhook = \"{url}\"\nwebhook_secret = \"file:{}\"\n", at("secret").display());
    fs::write(at("exuvia.toml"), config).unwrap();
    let config = at("exuvia.toml").to_str().unwrap().to_owned();
    let server = start(folder.path(), &asking("15m"), &["--config", &config]);
    let place = Place { server, folder };
    let uuid = place.server.submit(CAUGHT);
    let id = place.asked(1).remove(0);
    // The first is refused by the receiver.
    let _ = seen.recv_timeout(PATIENCE).unwrap();
    let (headers, body) = seen.recv_timeout(PATIENCE).unwrap();
    let header = |name: &str| headers.iter().find(|(each, _)| each == name).unwrap().1.clone();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a long secret").unwrap();
    mac.update(format!("{}.{body}", header("x-exuvia-timestamp")).as_bytes());
    let digest = mac.finalize().into_bytes();
    let expected = digest.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(header("x-exuvia-signature"), expected);
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&told["event"], &told["argument_names"]), (&json!("approval_requested"), &json!(["a", "b"])));
    assert_eq!((&told["approval"]["id"], &told["approval"]["execution_uuid"]), (&json!(id), &json!(uuid)));
    assert!(told["approval"]["arguments"].is_null(), "{told}");
    assert_eq!(place.approve(&id).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"], 103);
}

/// Nobody listens there, and the call waits for its person all the same.
#[test]
fn a_webhook_that_fails_delays_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = folder.path().join("exuvia.toml");
    let secret = folder.path().join("secret");
    fs::write(&secret, "s").unwrap();
    let text = format!("[approvals]\nwebhook = \"http://{free}/\"\nwebhook_secret = \"file:{}\"\n", secret.display());
    fs::write(&config, text).unwrap();
    let server = start(folder.path(), &asking("15m"), &["--config", config.to_str().unwrap()]);
    let place = Place { server, folder };
    let uuid = place.server.submit(CAUGHT);
    assert_eq!(place.approve(&place.asked(1)[0]).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"], 103);
}
