//! Bodies that are slow, or end before their end, from either side, by HTTP/1.1 and HTTP/2: nothing waits for ever, what is told
//! is what happened, and nothing of it is left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::json;
use support::reach::Reach;

/// The time that a server is waited for is not that of the program.
#[test]
fn a_program_may_take_its_time_to_send() {
    let reach = Reach::with(&[], json!([]), json!({}), "idle_timeout = \"1s\"\n");
    let got = reach.run(
        "
import asyncio, time
def slow():
    yield b'x' * 1_100_000
    time.sleep(1.2)
    for _ in range(20):
        time.sleep(0.01)
        yield b'x' * 100_000
async def slow_later():
    for part in slow():
        await asyncio.sleep(0.01)
        yield part
async def later(url):
    async with httpx.AsyncClient() as client:
        return (await client.post(url, content=slow_later())).json()['length']
[[httpx.post(url, content=slow()).json()['length'], requests.post(url, data=slow()).json()['length'],
  urllib3.request('POST', url, body=slow()).json()['length'], asyncio.run(later(url))] for url in (WEB, STREAMS)]",
    );
    assert_eq!(got, json!(vec![vec![3_100_000; 4]; 2]));
}

/// What a program has begun to send and not ended must not look like a shorter body that is whole. Seen to fail with the end of
/// the parts taken for that of the body in `upload.rs`.
#[test]
fn a_body_that_stops_in_the_middle_is_none() {
    let reach = Reach::start();
    let got = reach.run(
        "
def broken():
    yield b'x' * 2_000_000
    raise RuntimeError('no more')
async def broken_later():
    for part in broken():
        yield part
async def later(url):
    async with httpx.AsyncClient() as client:
        await client.post(url, content=broken_later())
import asyncio
for url in (WEB, STREAMS):
    print(told(lambda: httpx.post(f'{url}/httpx', content=broken())))
    print(told(lambda: requests.post(f'{url}/requests', data=broken())))
    print(told(lambda: asyncio.run(later(f'{url}/later'))))
[httpx.post(url, content=b'whole').json()['length'] for url in (WEB, STREAMS)]",
    );
    assert_eq!(got, json!([5, 5]));
    reach.web.is_left();
    let whole: Vec<_> = reach.web.seen().into_iter().map(|seen| (seen.line, seen.body.len())).collect();
    assert_eq!(whole, [("POST / HTTP/1.1".to_owned(), 5)]);
    for path in ["/httpx", "/requests", "/later"] {
        let end = reach.streams.end(path);
        // A length, if the body had an end. The stream is reset, or the connection gone before that.
        assert!(end.parse::<usize>().is_err(), "{path} {end}");
    }
    assert_eq!(reach.streams.end("/"), "5");
}

#[test]
fn a_server_that_takes_nothing_of_a_body_is_given_up() {
    let reach = Reach::with(&[], json!([]), json!({}), "idle_timeout = \"1s\"\n");
    let got = reach.run(
        "[[told(lambda: httpx.post(f'{url}/deaf', content=b'x' * 40_000_000)), httpx.get(url).status_code] for url in (WEB, STREAMS)]",
    );
    let late = "httpx.WriteTimeout: the server took nothing of the body for 1s";
    assert_eq!(got, json!([[late, 200], [late, 200]]));
    reach.web.is_left();
}

/// Each byte comes in time, and the whole never ends. Seen to have no end with `left` left out of `within` in `exchange.rs`.
#[test]
fn a_body_that_drips_is_ended_by_the_time_of_its_exchange() {
    let reach = Reach::with(&[], json!([]), json!({}), "idle_timeout = \"1s\"\nexchange_timeout = \"2s\"\n");
    let got = reach.run(
        "
def read(url):
    with httpx.stream('GET', f'{url}/drips', timeout=None) as response:
        for part in response.iter_bytes():
            some.append(part)
some = []
got = [[told(lambda: read(url)), len(some) > 1, told(lambda: requests.get(f'{url}/drips')),
  told(lambda: urllib.request.urlopen(f'{url}/drips').read()), httpx.get(url).status_code] for url in (WEB, STREAMS)]
# Of the servers' ends, one looks while the program is still there.
while httpx.get(f'{STREAMS}/ends').json() != [['/drips', 'given up']] * 3:
    pass
got",
    );
    let late = "the exchange took longer than the 2s that this server allows (`egress.exchange_timeout`)";
    for told in got.as_array().unwrap() {
        assert_eq!(
            (&told[0], &told[1], &told[4]),
            (&json!(format!("httpx.ReadError: {late}")), &json!(true), &json!(200))
        );
        assert!(told[2].as_str().unwrap().starts_with("requests.exceptions."), "{told}");
        assert!(told[2].as_str().unwrap().contains(late), "{told}");
        assert_eq!(told[3], format!("builtins.OSError: [Errno 22] {late}"));
    }
    reach.web.is_left();
}

/// A program that does not go on with what it sends is not waited for.
#[test]
fn a_body_that_a_program_leaves_is_ended_by_the_time_of_its_exchange() {
    let reach = Reach::with(&[], json!([]), json!({}), "exchange_timeout = \"300ms\"\n");
    let got = reach.run(
        "
import time
def slow():
    yield b'x' * 1_100_000
    time.sleep(0.5)
    yield b'x'
[told(lambda: httpx.post(url, content=slow())) for url in (WEB, STREAMS)]",
    );
    let late =
        "httpx.ReadError: the exchange took longer than the 300ms that this server allows (`egress.exchange_timeout`)";
    assert_eq!(got, json!([late, late]));
    reach.web.is_left();
    assert!(reach.web.seen().is_empty());
}
