//! Programs that want out, and servers that mean no good: each attack is stopped by what is to stop it, and the same
//! passes where it is no attack.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use support::reach::Reach;

const PRIVATE: &str =
    "httpx.ConnectError: [POLICY DENIED] This host leads to an address that is not public. (rule (private address))";

/// Seen to fail with `permit.connect` left out of `dial.rs`.
#[test]
fn a_name_that_leads_inside_is_refused() {
    let table: &[(&str, &[&str])] = &[
        ("metadata.test", &["169.254.169.254"]),
        ("mapped.test", &["::ffff:169.254.169.254"]),
        ("nat64.test", &["64:ff9b::a9fe:a9fe"]),
        ("six.test", &["::1"]),
        ("cgnat.test", &["100.64.0.1 fd00::1"]),
        ("zero.test", &["0.0.0.0"]),
    ];
    let reach = Reach::with(table, json!([{ "host": "*.test" }]), json!({}), "");
    for (name, _) in table {
        assert_eq!(reach.run(&format!("told(lambda: httpx.get('http://{name}/'))")), PRIVATE, "{name}");
    }
    let last = reach.audit().pop().unwrap();
    assert_eq!(last["to"], json!({ "method": "GET", "host": "zero.test", "port": 80, "address": "0.0.0.0" }));
    assert_eq!((&last["decision"], &last["rule"]), (&json!("deny"), &json!("(private address)")));
    // 127.0.0.1 is listed, for the ports of the two web servers alone.
    assert_eq!(
        reach.run("told(lambda: httpx.get('http://127.0.0.1/'))").as_str().unwrap().split(' ').nth(1),
        Some("[POLICY")
    );
    assert_eq!(reach.run("httpx.get(PLAIN).status_code"), 200);
}

/// Seen to fail with a second resolution in `dial.rs`.
#[test]
fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let table: &[(&str, &[&str])] = &[
        ("turns.test", &["127.0.0.1", "169.254.169.254"]),
        ("returns.test", &["169.254.169.254", "127.0.0.1"]),
        ("both.test", &["169.254.169.254 127.0.0.1"]),
    ];
    let reach = Reach::with(table, json!([{ "host": "*.test", "ports": "web" }]), json!({}), "");
    let got = |name: &str| {
        reach.run(&format!("told(lambda: httpx.get('http://{name}.test:{}/').status_code)", reach.plain.port))
    };
    assert_eq!((got("turns"), got("turns")), (json!(200), json!(PRIVATE)));
    assert_eq!((got("returns"), got("returns")), (json!(PRIVATE), json!(200)));
    // Asked once for each connection.
    assert_eq!(reach.names.asked(), ["turns.test", "turns.test", "returns.test", "returns.test"]);
    assert_eq!(got("both"), 200);
}

#[test]
fn an_address_in_disguise_is_no_host() {
    let reach = Reach::start();
    for host in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"] {
        let got = reach.run(&format!("told(lambda: requests.get(f'http://{host}:{{PLAIN_PORT}}/'))"));
        let got = got.as_str().unwrap();
        let expected = "requests.exceptions.ConnectionError: [POLICY DENIED] This is no host to talk to: an address is written in \
                        full, as in `192.0.2.1`. (rule /x-sandbox/egress)";
        assert_eq!(got, expected, "{host}");
    }
    for host in ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1"] {
        // Another spelling of the address that is listed.
        let got = reach.run(&format!("told(lambda: requests.get(f'http://{host}:{{PLAIN_PORT}}/').status_code)"));
        assert_eq!(got, 200, "{host}");
    }
    for host in ["[::1]", "[fe80::1]", "[::]"] {
        let got = reach.run(&format!("told(lambda: requests.get(f'http://{host}:{{PLAIN_PORT}}/'))"));
        assert!(got.as_str().unwrap().contains("[POLICY DENIED] No rule of the policy allows"), "{host} {got}");
    }
}

#[test]
fn a_redirect_is_decided_again() {
    let reach = Reach::with(&[("inner.test", &["10.0.0.1"])], json!([{ "host": "inner.test" }]), json!({}), "");
    for to in [
        "http://169.254.169.254/latest/meta-data",
        "http://evil.test/?stolen=1",
        "http://inner.test/",
        "http://localhost/",
    ] {
        let script = format!(
            "[told(lambda: requests.get(f'{{WEB}}/redirect?{to}')), told(lambda: httpx.get(f'{{WEB}}/redirect?{to}', follow_redirects=True)),
              told(lambda: urllib.request.urlopen(f'{{WEB}}/redirect?{to}'))]"
        );
        for got in reach.run(&script).as_array().unwrap() {
            assert!(got.as_str().unwrap().contains("[POLICY DENIED]"), "{to} {got}");
        }
    }
    assert_eq!(reach.run("requests.get(f'{WEB}/redirect?/landed').json()['path']"), "/landed");
}

/// Asks the host directly, as a program can that goes around the libraries.
const ASKING: &str = "
from exuvia_guest import host, scheduler
numbers = iter(range(1_000_000, 2_000_000))
def ask(tail=None, **fields):
    asked = {'method': 'GET', 'scheme': 'http', 'host': 'web.test', 'port': PLAIN_PORT, 'target': '/', 'headers': [], 'id': next(numbers)}
    try:
        return host.parts(scheduler.wait_answer(host.start(host.message('http', asked | fields, tail))))[0]['status']
    except host.HostError as raised:
        return f'{raised.type}: {raised.message}'
";

fn asked(reach: &Reach, cases: &[&str]) -> Vec<Value> {
    let calls = cases.iter().map(|case| format!("ask({case})")).collect::<Vec<_>>().join(",\n");
    reach.run(&format!("{ASKING}[{calls}]")).as_array().unwrap().clone()
}

/// Each is seen to reach the server with `request.rs` letting it pass.
#[test]
fn a_request_means_one_thing() {
    let reach = Reach::start();
    let cases: &[(&str, &str)] = &[
        ("target='/a b'", "a path has at most 65536 bytes, all of them printable ASCII and no `#`"),
        (
            "target='/ HTTP/1.1\\r\\nX: y\\r\\n\\r\\nGET /'",
            "a path has at most 65536 bytes, all of them printable ASCII and no `#`",
        ),
        (
            "target='http://evil.test/'",
            "a request is for a path, which begins with `/`: there are no proxies here, the host makes the connections",
        ),
        (
            "target='*', method='OPTIONS'",
            "a request is for a path, which begins with `/`: there are no proxies here, the host makes the connections",
        ),
        ("method='GET / HTTP/1.1\\r\\n'", "a request's method is a word of at most 32 letters, as in `GET`"),
        ("method='CONNECT'", "`CONNECT` is for proxies, and there are none here: the host makes the connections"),
        ("headers=[['X', 'a\\r\\nEvil: 1']]", "the header `x` has a line end, or no byte for a character"),
        ("headers=[['X', 'a\\nb']]", "the header `x` has a line end, or no byte for a character"),
        ("headers=[['X', 'a\\0b']]", "the header `x` has a line end, or no byte for a character"),
        ("headers=[['X', '\\u20ac']]", "the header `x` has a line end, or no byte for a character"),
        ("headers=[['X: 1\\r\\nY', '2']]", "a header's name is letters, digits and `-`, without spaces and line ends"),
        (
            "headers=[['Content-Length', '5']], tail=b'abc'",
            "the header `Content-Length` is 5, but the body has 3 bytes",
        ),
        ("headers=[['Content-Length', '+3']], tail=b'abc'", "the header `Content-Length` is not a number"),
        (
            "headers=[['Content-Length', '3'], ['content-length', '4']], tail=b'abc'",
            "there are two `Content-Length` headers that differ",
        ),
        (
            "headers=[['Content-Length', '3'], ['Transfer-Encoding', 'chunked']], tail=b'abc'",
            "a body has `Content-Length` or `Transfer-Encoding`, not both",
        ),
        (
            "headers=[['Transfer-Encoding', 'gzip, chunked']], tail=b'abc'",
            "the header `Transfer-Encoding` may only be `chunked`",
        ),
        (
            "headers=[['Transfer-Encoding', '\\x0bchunked']], tail=b'abc'",
            "the header `transfer-encoding` has a line end, or no byte for a character",
        ),
        (
            "headers=[['Connection', 'Upgrade']]",
            "the header `Connection` may be `keep-alive` or `close` here: the connection is the host's",
        ),
        (
            "headers=[['Upgrade', 'h2c']]",
            "the header `upgrade` is about the connection, which is the host's: leave it out",
        ),
        ("headers=[['TE', 'trailers']]", "the header `te` is about the connection, which is the host's: leave it out"),
        (
            "headers=[['Proxy-Authorization', 'Basic eA==']]",
            "the header `proxy-authorization` is about the connection, which is the host's: leave it out",
        ),
        ("headers=[['X', 'y']] * 300", "a request has at most 256 headers of 131072 bytes together"),
        ("headers=[['X', 'y' * 200_000]]", "a request has at most 256 headers of 131072 bytes together"),
    ];
    let scripts: Vec<_> = cases.iter().map(|(case, _)| *case).collect();
    for ((case, expected), got) in cases.iter().zip(asked(&reach, &scripts)) {
        assert_eq!(got, format!("HttpRequest: {expected}"), "{case}");
    }
    assert!(reach.plain.seen().is_empty());
    let fine = [
        "headers=[['X', 'a\\tb \\xe4']]",
        "headers=[['Content-Length', '3']], tail=b'abc', method='POST'",
        "headers=[['Connection', 'close']]",
    ];
    assert_eq!(asked(&reach, &fine), [200, 200, 200]);
}

#[test]
fn the_host_header_is_the_urls() {
    let reach = Reach::start();
    let port = reach.plain.port;
    let refused = format!(
        "HttpRequest: the header `Host` says something else than the URL, which has `web.test:{port}`: leave it out"
    );
    let cases = [
        "headers=[['Host', 'evil.test']]",
        "headers=[['Host', 'web.test']]",
        "headers=[['host', 'web.test:1']]",
        "headers=[['Host', '']]",
        "headers=[['Host', f'web.test:{PLAIN_PORT}'], ['Host', 'evil.test']]",
        "headers=[['Host', f'web.test:{PLAIN_PORT}, evil.test']]",
    ];
    assert_eq!(asked(&reach, &cases), vec![json!(refused); cases.len()]);
    assert_eq!(asked(&reach, &["headers=[['Host', f'WEB.test:{PLAIN_PORT}']]"]), [200]);
    assert_eq!(reach.plain.seen()[0].headers, [("Host".to_owned(), format!("web.test:{port}"))]);
    assert_eq!(
        reach.run("told(lambda: httpx.get(PLAIN, headers={'Host': 'evil.test'}))").as_str().unwrap().split(": ").next(),
        Some("httpx.LocalProtocolError")
    );
}

#[test]
fn a_policy_for_paths_is_held_against_what_is_sent() {
    let table: &[(&str, &[&str])] = &[("api.test", &["127.0.0.1"])];
    let rule = json!([{ "host": "api.test", "ports": "web", "paths": ["/public"] }]);
    let reach = Reach::with(table, rule, json!({}), "");
    let cases =
        |paths: &[&str]| paths.iter().map(|path| format!("host='api.test', target='{path}'")).collect::<Vec<_>>();
    let status = |paths: &[&str]| asked(&reach, &cases(paths).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(status(&["/public/x", "/public", "/public?a=/../admin"]), [200, 200, 200]);
    let inside = [
        "/admin",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public//admin",
        "/public/%252e%252e/admin",
    ];
    for (path, got) in inside.iter().zip(status(&inside)) {
        assert!(
            got.as_str().unwrap().starts_with("PolicyDenied: [POLICY DENIED] No rule of the policy allows"),
            "{path} {got}"
        );
    }
    let lines: Vec<_> = reach.plain.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, ["GET /public/x HTTP/1.1", "GET /public HTTP/1.1", "GET /public?a=/../admin HTTP/1.1"]);
}

#[test]
fn a_certificate_of_somebody_else_is_refused_whatever_the_program_says() {
    let table: &[(&str, &[&str])] = &[("other.test", &["127.0.0.1"])];
    let reach = Reach::with(table, json!([{ "host": "other.test", "ports": "web" }]), json!({}), "");
    let script = "
import ssl
context = ssl._create_unverified_context()
other = f'https://other.test:{PORT}/'
[told(lambda: requests.get(other, verify=False)), told(lambda: httpx.get(other, verify=context)),
 told(lambda: urllib.request.urlopen(other, context=context)), requests.get(WEB, verify=False).status_code]";
    let got = reach.run(script);
    for told in &got.as_array().unwrap()[..3] {
        let told = told.as_str().unwrap();
        assert!(told.contains("certificate verify failed: ") && told.contains("not valid for name"), "{told}");
    }
    assert_eq!(got[3], 200);
    assert!(reach.web.seen().len() == 1);
}

#[test]
fn what_a_server_sends_to_confuse_is_an_error_or_ends_with_its_response() {
    let reach = Reach::start();
    let script = |route: &str| {
        reach.run(&format!(
            "with httpx.Client() as client:
    got = [told(lambda: client.get(f'{{WEB}}/{route}').text), told(lambda: client.get(f'{{WEB}}/bytes/3').text)]
got"
        ))
    };
    for route in ["large-head", "many-headers", "two-lengths", "garbage"] {
        let got = script(route);
        assert!(got[0].as_str().unwrap().starts_with("httpx.RemoteProtocolError: "), "{route} {got}");
        assert_eq!(got[1], "xxx", "{route}");
    }
    // The second response, which nobody asked for, is nobody's.
    assert_eq!(script("extra"), json!(["ok", "xxx"]));
    assert_eq!(script("two-framings")[1], "xxx");
}

#[test]
fn a_body_without_an_end_is_ended_by_its_limits() {
    let reach = Reach::with(&[], json!([]), json!({}), "largest_response = \"1MB\"\nidle_timeout = \"300ms\"\n");
    let got = reach.run("[told(lambda: httpx.get(f'{WEB}/endless')), told(lambda: httpx.get(f'{WEB}/stalls', timeout=None)), told(lambda: httpx.get(f'{WEB}/bytes/999000').status_code)]");
    assert_eq!(
        got,
        json!([
            "httpx.ReadError: the response is larger than the 1000000 bytes that this server takes: ask for less of it, or raise \
             `egress.largest_response`",
            "httpx.ReadTimeout: the server sent nothing for 300ms",
            200
        ])
    );
    let reach = Reach::with(&[], json!([]), json!({}), "exchange_timeout = \"300ms\"\n");
    let got = reach.run("told(lambda: httpx.get(f'{WEB}/stalls', timeout=None))");
    assert_eq!(
        got,
        "httpx.ReadError: the exchange took longer than the 300ms that this server allows (`egress.exchange_timeout`)"
    );
}

#[test]
fn the_policys_bytes_are_those_of_all_exchanges() {
    let reach = Reach::with(&[], json!([]), json!({ "egress_bytes": 100_000 }), "");
    let got = reach.run(
        "
def many():
    for n in range(100):
        requests.get(f'{WEB}/bytes/10000')
        global last
        last = n
[told(many), last < 10, told(lambda: httpx.post(WEB, content=b'x' * 1000))]",
    );
    let text = "[POLICY DENIED] This execution has sent and received as many bytes over HTTP as the policy allows. (rule \
                /x-sandbox/caps/egress_bytes)";
    assert_eq!(got[1], true);
    assert!(got[0].as_str().unwrap().contains("as many bytes over HTTP as the policy allows"), "{got}");
    assert_eq!(got[2], format!("httpx.ConnectError: {text}"));
}

#[test]
fn a_compressed_bomb_hurts_its_own_run_alone() {
    let reach = Reach::start();
    let uuid = reach.server.submit(&reach.script(
        "
import gzip, io
bomb = io.BytesIO()
with gzip.GzipFile(fileobj=bomb, mode='wb') as file:
    for _ in range(1000):
        file.write(bytes(1 << 20))
requests.put(f'{PLAIN}/keep', data=bomb.getvalue())
told(lambda: len(requests.get(f'{PLAIN}/kept').content))",
    ));
    let status = reach.server.wait(&uuid);
    let is_own = status["error"]["type"] == "MemoryError"
        || status["error"]["type"] == "MemoryLimit"
        || status["result"].as_str().is_some_and(|told| told.starts_with("builtins.MemoryError"));
    assert!(is_own, "{status}");
    assert_eq!(reach.run("httpx.get(PLAIN).status_code"), 200);
}
