//! Measures how many checkpoints a second one witness cosigns on one processor: sixteen logs, each sending its next
//! checkpoint when the last was answered, over HTTP connections that are kept. Every request is one more step of a growing
//! log with its own consistency proof, prepared before; every answer is synced to the disk by the witness first.
//!
//! `cargo xtask bench witness` runs it: `load PROGRAM FOLDER SECONDS [--ml-dsa]`. The folder, which has to be empty, is the witness's.
//! Where `taskset` is there, it holds the witness to one processor. It prints one line of JSON.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use trialseal_seal::checkpoint::{Checkpoint, verify_cosignature};
use trialseal_seal::hash::{Hash, Sha2, TreeHash};
use trialseal_seal::note::{KeyKind, NoteSignature, Signer, VerifierKey};
use trialseal_seal::tree::{NodeId, consistency_nodes, fold, root_nodes};
use trialseal_seal::witness::AddCheckpoint;

const LOGS: u8 = 16;

/// Leaves that each log begins with, and those that every step adds: a ledger that is a day old, under some load.
const FIRST_SIZE: u64 = 100_000;
const STEP: u64 = 16;

/// Checkpoints a second that are prepared for; whoever is faster has the measurement end early.
const PREPARED_A_SECOND: u64 = 8_000;

/// What goes before the first second that counts.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |what| {
        arguments.next().with_context(|| format!("usage: load PROGRAM FOLDER SECONDS; {what} is missing"))
    };
    let (program, folder) = (PathBuf::from(next("PROGRAM")?), PathBuf::from(next("FOLDER")?));
    let seconds = next("SECONDS")?.to_string_lossy().parse().context("SECONDS is no whole number")?;
    let ml_dsa = arguments.next().is_some_and(|argument| argument == "--ml-dsa");
    let steps = (seconds + WARM_UP.as_secs()) * PREPARED_A_SECOND / u64::from(LOGS);
    let tree = Tree::new(FIRST_SIZE + steps * STEP);
    let logs: Vec<_> = (0..LOGS).map(|n| Log::new(n, &tree, steps)).collect::<Result<_>>()?;
    let witness = Witness::start(&program, &folder, &logs, ml_dsa)?;
    let measured = measure(&witness, &logs, &tree, Duration::from_secs(seconds))?;
    let Measured { answers, seconds, mut latencies } = measured;
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let at = latencies.len().saturating_sub(1) * percent / 100;
        latencies.get(at).copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let rate = answers as f64 / seconds;
    println!(
        "{{\"answersASecond\":{rate:.1},\"p50Ms\":{:.3},\"p99Ms\":{:.3},\"pinned\":{}}}",
        percentile(50),
        percentile(99),
        witness.pinned
    );
    Ok(())
}

/// The tree that all logs grow along, each under its own origin.
struct Tree(Vec<Vec<Hash>>);

impl Tree {
    fn new(size: u64) -> Self {
        let leaves: Vec<_> = (0..size).map(|n| Sha2::leaf(&[&n.to_be_bytes()])).collect();
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let above = level.as_chunks().0.iter().map(|[left, right]| Sha2::node(left, right)).collect();
            levels.push(above);
        }
        Self(levels)
    }

    fn fold(&self, nodes: &[NodeId]) -> Hash {
        let node = |node: &NodeId| {
            self.0[usize::from(node.level)][usize::try_from(node.index).unwrap_or(usize::MAX)]
        };
        fold::<Sha2>(&nodes.iter().map(node).collect::<Vec<_>>())
    }

    fn root(&self, size: u64) -> Hash {
        self.fold(&root_nodes(size))
    }

    fn proof(&self, from: u64, to: u64) -> Vec<Hash> {
        consistency_nodes(from, to).iter().map(|nodes| self.fold(nodes)).collect()
    }
}

/// A log and its requests, in order.
struct Log {
    origin: String,
    key: VerifierKey,
    requests: Vec<Vec<u8>>,
}

impl Log {
    fn new(number: u8, tree: &Tree, steps: u64) -> Result<Self> {
        let origin = format!("log{number}.example.org/bench");
        let signer = Signer::new(&origin, KeyKind::Ed25519, &[number; 32])?;
        let request = |step| {
            let size = FIRST_SIZE + step * STEP;
            let old_size = if step == 0 { 0 } else { size - STEP };
            let checkpoint = Checkpoint { origin: origin.clone(), size, root: tree.root(size) };
            let note = checkpoint.sign(&signer)?;
            let body = AddCheckpoint { old_size, proof: tree.proof(old_size, size), note }.encode();
            let head = format!(
                "POST /add-checkpoint HTTP/1.1\r\nhost: witness\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            Ok((head + &body).into_bytes())
        };
        let requests = (0..steps).map(request).collect::<Result<_>>()?;
        Ok(Self { key: signer.verifier_key(), requests, origin })
    }
}

/// A witness that runs; ended when dropped.
struct Witness {
    child: Child,
    key: VerifierKey,
    address: String,
    pinned: bool,
}

impl Witness {
    fn start(program: &Path, folder: &Path, logs: &[Log], ml_dsa: bool) -> Result<Self> {
        let pinned =
            Command::new("taskset").arg("--version").output().is_ok_and(|output| output.status.success());
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", "0"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(["run", "--name", "witness.example.org/bench", "--listen", "127.0.0.1:0", "--folder"]);
        command.arg(folder);
        if ml_dsa {
            command.arg("--ml-dsa");
        }
        for log in logs {
            command.args(["--log", &log.key.to_string()]);
        }
        let messages = File::create(folder.join("messages"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(messages).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("the witness says nothing")?).lines();
        let mut line =
            || lines.next().context("the witness did not start")?.context("the witness did not start");
        let key = line()?.parse()?;
        let address = loop {
            if let Some(address) = line()?.strip_prefix("listening on http://") {
                break address.to_owned();
            }
        };
        Ok(Self { child, key, address, pinned })
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Measured {
    answers: usize,
    seconds: f64,
    latencies: Vec<Duration>,
}

fn measure(witness: &Witness, logs: &[Log], tree: &Tree, time: Duration) -> Result<Measured> {
    let together = Barrier::new(logs.len());
    let began = Instant::now();
    let (from, to) = (began + WARM_UP, began + WARM_UP + time);
    let done: Vec<Result<Vec<(Instant, Duration)>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = logs
            .iter()
            .map(|log| {
                let together = &together;
                scope.spawn(move || {
                    let connected = Connection::open(&witness.address);
                    together.wait();
                    drive(connected?, witness, log, tree, to)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a log ended"))).collect()
    });
    let done = done.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let counted: Vec<_> = done.iter().filter(|(at, _)| (from..to).contains(at)).collect();
    let last =
        counted.iter().map(|(at, _)| *at).max().context("nothing was answered in the time that counts")?;
    Ok(Measured {
        answers: counted.len(),
        seconds: last.duration_since(from).as_secs_f64(),
        latencies: counted.iter().map(|(_, latency)| *latency).collect(),
    })
}

/// Sends a log's checkpoints one after the other; when each was answered, and after how long. The last answer's
/// cosignature is verified.
fn drive(
    mut connection: Connection,
    witness: &Witness,
    log: &Log,
    tree: &Tree,
    until: Instant,
) -> Result<Vec<(Instant, Duration)>> {
    let mut done = Vec::with_capacity(log.requests.len());
    let mut last = String::new();
    for request in &log.requests {
        let sent = Instant::now();
        if sent >= until {
            break;
        }
        last = connection.ask(request)?;
        done.push((Instant::now(), sent.elapsed()));
    }
    let size = FIRST_SIZE + (done.len() as u64 - 1) * STEP;
    let text = Checkpoint { origin: log.origin.clone(), size, root: tree.root(size) }.to_string();
    let line = last.lines().next().context("the witness answered nothing")?;
    verify_cosignature(&witness.key, &text, &NoteSignature::parse(line)?)?;
    Ok(done)
}

/// A connection that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request; the body of the answer, which has to be 200.
    fn ask(&mut self, request: &[u8]) -> Result<String> {
        self.0.get_mut().write_all(request)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let (status, mut length) = (line.clone(), 0);
        while line.trim_end() != "" {
            line.clear();
            self.0.read_line(&mut line)?;
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim_end().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8(body)?;
        ensure!(status.starts_with("HTTP/1.1 200 "), "the witness answered {}: {body}", status.trim_end());
        Ok(body)
    }
}
