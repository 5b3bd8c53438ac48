//! A name server whose answers are a test's: each question for a name gets the next of its answers, the last one for ever.

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    /// For each name its answers: each is the addresses, separated by spaces.
    pub(crate) fn start(table: &[(&str, &[&str])]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let names = Self { address: socket.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&names.asked);
        let table: HashMap<_, Vec<Vec<IpAddr>>> = table
            .iter()
            .map(|(name, answers)| {
                let addresses = |answer: &&str| answer.split(' ').map(|address| address.parse().unwrap()).collect();
                ((*name).to_owned(), answers.iter().map(addresses).collect())
            })
            .collect();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let answer = answer(&buffer[..length], &table, &asked);
                socket.send_to(&answer, client).unwrap();
            }
        });
        names
    }

    /// The names that somebody wanted an IPv4 address of, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(question: &[u8], table: &HashMap<String, Vec<Vec<IpAddr>>>, asked: &Mutex<Vec<String>>) -> Vec<u8> {
    let question = Packet::parse(question).unwrap();
    let mut reply = Packet::new_reply(question.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    let one = question.questions[0].clone();
    let name = one.qname.to_string();
    let mut asked = asked.lock().unwrap();
    let is_four = one.qtype == QTYPE::TYPE(TYPE::A);
    let before = asked.iter().filter(|before| **before == name).count();
    if is_four {
        asked.push(name.clone());
    }
    match table.get(&name) {
        None => *reply.rcode_mut() = RCODE::NameError,
        Some(answers) => {
            for address in answers.get(before).or(answers.last()).unwrap() {
                let data = match address {
                    IpAddr::V4(address) if is_four => RData::A(A { address: address.to_bits() }),
                    IpAddr::V6(address) if !is_four => RData::AAAA(AAAA { address: address.to_bits() }),
                    _ => continue,
                };
                reply.answers.push(ResourceRecord::new(one.qname.clone(), CLASS::IN, 0, data));
            }
        }
    }
    reply.questions.push(one);
    reply.build_bytes_vec().unwrap()
}
