//! What no log would send: mutated requests, none of which may be a fault of the witness's.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use trialseal_seal::hash::sha256;

use crate::log::Log;
use crate::program::Home;

const BODIES: u64 = 3000;

/// Numbers that follow from a seed.
struct Random(trialseal_seal::hash::Hash);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = sha256(self.0.as_bytes());
        let number = u32::from_be_bytes(self.0.as_bytes()[..4].try_into().unwrap());
        number as usize % end.max(1)
    }
}

/// Changes a few places: bytes, lines twice or gone, ends cut off, numbers at their edges.
fn mutated(random: &mut Random, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    for _ in 0..=random.below(4) {
        let place = random.below(body.len());
        let line = body[..place].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end =
            body[place..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |at| place + at + 1);
        match random.below(7) {
            0 if !body.is_empty() => body[place] ^= 1 << random.below(8),
            1 => body.truncate(place),
            2 => drop(body.splice(line..line, body[line..end].to_vec())),
            3 => drop(body.drain(line..end)),
            4 => drop(body.splice(place..place, [0, 0xff, b'\n', b'='][random.below(4)..].iter().copied())),
            5 => {
                let numbers =
                    ["0", "1", "-1", "9223372036854775807", "9223372036854775808", "99999999999999999999"];
                let number = numbers[random.below(numbers.len())].as_bytes();
                drop(body.splice(line..end.saturating_sub(1).max(line), number.iter().copied()));
            }
            _ => {
                let number = ["old 0", "old 7", "old 18446744073709551615"][random.below(3)].as_bytes();
                let end = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
                drop(body.splice(..end, number.iter().copied()));
            }
        }
    }
    body
}

#[test]
fn no_body_is_a_fault_of_the_witness() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let other = Log::new("ledger.example.org/other");
    let witness = home.start(&[&log, &other]);
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    let seed = RandomState::new().hash_one("bodies");
    println!("seed {seed}");
    let mut random = Random(sha256(&seed.to_be_bytes()));
    let seeds =
        [log.body(7, 7), log.body(7, 100), log.body(3, 9), other.body(0, 0), log.forked(2).body(7, 50)];
    let mut seen = std::collections::BTreeMap::<u16, u64>::new();
    let mut size = 7;
    for _ in 0..BODIES {
        let seed = &seeds[random.below(seeds.len())];
        let body = mutated(&mut random, seed.as_bytes());
        let answer = witness.post(&body);
        let shown = String::from_utf8_lossy(&body);
        assert!([200, 400, 403, 404, 409, 413, 422].contains(&answer.status), "{answer:?} to {shown}");
        *seen.entry(answer.status).or_default() += 1;
        let now = witness.newest(&log).body.split('\n').nth(1).unwrap().parse().unwrap();
        assert!(now >= size && [7, 100].contains(&now), "{now} after {shown}");
        size = now;
    }
    println!("{seen:?}");
    assert!(seen.contains_key(&400) && seen.contains_key(&403), "{seen:?}");
    assert_eq!(witness.post(log.body(size, 200)).status, 200);
}

#[test]
fn a_connection_that_breaks_off_harms_nobody() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    let address = witness.address.strip_prefix("http://").unwrap();
    let body = log.body(0, 7);
    let head = format!("POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: {}\r\n\r\n", body.len());
    let whole = [head.as_bytes(), body.as_bytes()].concat();
    for length in [10, head.len(), head.len() + 20, whole.len() - 1] {
        TcpStream::connect(address).unwrap().write_all(&whole[..length]).unwrap();
    }
    assert_eq!(witness.size(&log), 0);
    // The length that is said is above what is taken: no need to send it all.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 200000\r\n\r\n").unwrap();
    stream.write_all(&vec![b'a'; 140_000]).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(witness.post(body).status, 200);
}
