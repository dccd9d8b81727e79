//! The check of a log that is read from an address. Needs the feature `http`.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use common::{Ledger, codes};
use trialseal_verify::{LogUrl, Report, Verdict, log};

type Files = BTreeMap<String, Vec<u8>>;

/// Serves files below `/log/` on loopback for as long as the test runs, and gives their address. What begins with
/// `status ` is answered as that status.
fn serve(files: Files) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/log", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &files);
        }
    });
    address
}

fn answer(mut stream: TcpStream, files: &Files) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/log/"));
    let (status, body) = match path.and_then(|path| files.get(path)) {
        Some(bytes) => match bytes.strip_prefix(b"status ") {
            Some(status) => (String::from_utf8(status.to_vec()).unwrap(), &b""[..]),
            None => ("200 OK".to_owned(), bytes.as_slice()),
        },
        None => ("404 Not Found".to_owned(), &b""[..]),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

fn check(ledger: &Ledger, files: Files) -> Report {
    log("log", &LogUrl::new(&serve(files)), &ledger.policy(), None)
}

#[test]
fn a_log_at_an_address_is_checked_as_one_in_a_folder() {
    let ledger = Ledger::new(300);
    let files = ledger.files();
    assert_eq!(check(&ledger, files.clone()).verdict(), Verdict::Sound);

    let mut damaged = files.clone();
    damaged.get_mut("tile/0/000").unwrap()[5_000] ^= 1;
    let report = check(&ledger, damaged);
    assert_eq!(codes(&report)[0], ("tile/0/000", "tile-differs"));

    let mut missing = files.clone();
    missing.remove("tile/entries/001.p/44").unwrap();
    let report = check(&ledger, missing);
    assert_eq!(codes(&report), [("tile/entries/001.p/44", "file-missing")]);

    let mut failing = files;
    failing.insert("tile/1/000.p/1".into(), b"status 503 Service Unavailable".to_vec());
    let report = check(&ledger, failing);
    assert_eq!(
        (report.verdict(), codes(&report)),
        (Verdict::CannotTell, vec![("tile/1/000.p/1", "unreadable")])
    );
}

#[test]
fn the_program_reads_an_address() {
    let ledger = Ledger::new(2);
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.txt");
    std::fs::write(&policy, ledger.policy_text()).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_trialseal-verify"));
    let output = program.arg("log").arg(serve(ledger.files())).arg("--policy").arg(&policy).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("sound: log http://127.0.0.1:"), "{text}");
}
