//! Asking a name server: both kinds of address at once, over UDP, and over TCP when an answer does not fit.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// How long one question over UDP is waited for, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 3;
/// Largest answer over UDP: without EDNS there is none above 512 bytes.
const LARGEST_DATAGRAM: usize = 4096;

/// All addresses of a name, those of IPv6 first; none when there is no such name.
pub(super) async fn addresses(server: SocketAddr, host: &str) -> Result<Vec<IpAddr>, String> {
    let (six, four) = tokio::join!(ask(server, host, TYPE::AAAA), ask(server, host, TYPE::A));
    match (six, four) {
        // One kind is enough to go on with.
        (Err(why), Err(_)) => Err(why),
        (six, four) => Ok(six.unwrap_or_default().into_iter().chain(four.unwrap_or_default()).collect()),
    }
}

async fn ask(server: SocketAddr, host: &str, kind: TYPE) -> Result<Vec<IpAddr>, String> {
    let failed = |error: std::io::Error| format!("the name server {server} cannot be asked: {error}");
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| error.to_string())?;
    let id = u16::from_ne_bytes(id);
    let question = question(id, host, kind)?;
    for _ in 0..ATTEMPTS {
        let asked = tokio::time::timeout(PATIENCE, over_udp(server, &question, id)).await;
        let Ok(answer) = asked else { continue };
        let answer = answer.map_err(failed)?;
        let packet = Packet::parse(&answer).map_err(|error| format!("its answer makes no sense: {error}"))?;
        if !packet.has_flags(PacketFlag::TRUNCATION) {
            return read(&packet, host);
        }
        let asked = tokio::time::timeout(PATIENCE, over_tcp(server, &question)).await;
        let Ok(answer) = asked else { continue };
        let answer = answer.map_err(failed)?;
        let packet = Packet::parse(&answer).map_err(|error| format!("its answer makes no sense: {error}"))?;
        return if packet.id() == id { read(&packet, host) } else { Err("its answer is to another question".into()) };
    }
    Err(format!("the name server {server} does not answer"))
}

fn question(id: u16, host: &str, kind: TYPE) -> Result<Vec<u8>, String> {
    let name = Name::new(host).map_err(|error| error.to_string())?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), CLASS::IN.into(), false));
    packet.build_bytes_vec().map_err(|error| error.to_string())
}

async fn over_udp(server: SocketAddr, question: &[u8], id: u16) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own, and connected: nothing from elsewhere is received.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; LARGEST_DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        // An answer to another question is none.
        if answer.first_chunk() == Some(&id.to_be_bytes()) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The addresses in an answer: of the name, and of the names that it is another name for.
fn read(packet: &Packet<'_>, host: &str) -> Result<Vec<IpAddr>, String> {
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Ok(Vec::new()),
        code => return Err(format!("its name server answers {code:?}")),
    }
    let mut names = HashSet::from([host.to_ascii_lowercase()]);
    let mut found = Vec::new();
    for record in &packet.answers {
        if !names.contains(&record.name.to_string().to_ascii_lowercase()) {
            continue;
        }
        match &record.rdata {
            RData::A(a) => found.push(Ipv4Addr::from_bits(a.address).into()),
            RData::AAAA(aaaa) => found.push(Ipv6Addr::from_bits(aaaa.address).into()),
            RData::CNAME(name) => {
                names.insert(name.0.to_string().to_ascii_lowercase());
            }
            _ => {}
        }
    }
    Ok(found)
}
