//! The bare client that `bench/egress.py` compares with: the server's own (hyper), one connection that is kept, without a sandbox
//! and a gate. Prints the microseconds of each request as a JSON list.
//!
//!     bare-client-for-bench PORT REQUESTS

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::time::Instant;
use tokio::net::TcpStream;

/// Requests before those that are measured.
const WARM: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().ok_or("usage: bare-client-for-bench PORT REQUESTS");
    let (port, requests): (u16, usize) = (number()?.parse()?, number()?.parse()?);
    // As the server's, on a thread that is not the runtime's first.
    let times =
        tokio::spawn(async move { measured(port, requests).await.map_err(|error| error.to_string()) }).await??;
    println!("{}", serde_json::to_string(&times)?);
    Ok(())
}

async fn measured(port: u16, requests: usize) -> Result<Vec<f64>, Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    let mut times = Vec::with_capacity(requests);
    for number in 0..WARM + requests {
        let began = Instant::now();
        sender.ready().await?;
        let request = Request::get("/").header("Host", format!("127.0.0.1:{port}")).body(Empty::<Bytes>::new())?;
        let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        if body != "ok" {
            return Err("this is not the bench's server".into());
        }
        if number >= WARM {
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(times)
}
