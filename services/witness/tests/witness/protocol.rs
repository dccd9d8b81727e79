//! What C2SP tlog-witness 1.0.0 says, answer by answer.

use std::sync::Barrier;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use trialseal_seal::checkpoint::{cosign, verify_cosignature};
use trialseal_seal::hash::{Hash, sha256};
use trialseal_seal::note::{KeyKind, NoteSignature, SignedNote, Signer};
use trialseal_seal::policy::Policy;

use crate::log::Log;
use crate::program::{Answer, Home, Running, agent, post};

const PROBLEM: &str = "application/problem+json";

#[expect(clippy::disallowed_methods, reason = "the witness reads the system's clock, so the test does")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The time of a cosignature, which verifies.
fn cosigned(witness: &Running, answer: &Answer, text: &str) -> u64 {
    assert_eq!((answer.status, answer.content.as_str()), (200, "text/plain; charset=utf-8"), "{answer:?}");
    let line = NoteSignature::parse(answer.body.strip_suffix('\n').unwrap()).unwrap();
    verify_cosignature(&witness.key, text, &line).unwrap()
}

fn assert_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.status, answer.content.as_str()), (status, PROBLEM), "{answer:?}");
    assert!(answer.body.contains(&format!("\"urn:trialseal:problem:{kind}\"")), "{answer:?}");
}

fn assert_size(answer: &Answer, size: u64) {
    let expected = Answer { status: 409, content: "text/x.tlog.size".into(), body: format!("{size}\n") };
    assert_eq!(*answer, expected);
}

#[test]
fn a_log_that_grows_is_cosigned() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    assert_problem(&witness.newest(&log), 404, "not-found");
    let began = now();
    let mut last = began;
    for (old, new) in [(0, 0), (0, 1), (1, 1), (1, 2), (2, 7), (7, 7), (7, 1024), (1024, 1999)] {
        let answer = witness.post(log.body(old, new));
        let time = cosigned(&witness, &answer, &log.note(new).text);
        assert!(time >= last && time <= now(), "{time}");
        last = time;
        let newest = witness.newest(&log);
        assert_eq!((newest.status, newest.content.as_str()), (200, "text/plain; charset=utf-8"));
        assert_eq!(
            newest.body,
            log.note(new).encode() + &answer.body,
            "the log's signature and the witness's"
        );
        let policy = format!("log {}\nwitness w {}\nquorum w\n", log.vkey(), witness.key);
        let accepted = Policy::parse(&policy).unwrap().check(&newest.body).unwrap();
        assert_eq!((accepted.checkpoint.size, accepted.quorum_time), (new, Some(time)));
    }
}

/// The same without anything of ours: a message put together here, verified by Ed25519 alone.
#[test]
fn a_cosignature_is_what_the_specification_says() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    let body = log.body(0, 7);
    let answer = witness.post(&body);
    let key = witness.key.to_string();
    let mut parts = key.splitn(3, '+');
    let (name, id, public) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let public = STANDARD.decode(public).unwrap();
    assert_eq!((public.len(), public[0]), (33, 4));

    let line = answer.body.strip_prefix(&format!("— {name} ")).unwrap().strip_suffix('\n').unwrap();
    let bytes = STANDARD.decode(line).unwrap();
    assert_eq!(bytes.len(), 4 + 8 + 64);
    assert_eq!(u32::from_be_bytes(bytes[..4].try_into().unwrap()), u32::from_str_radix(id, 16).unwrap());
    let time = u64::from_be_bytes(bytes[4..12].try_into().unwrap());
    assert!(time > 0 && now() - time < 60);
    let checkpoint: Vec<&str> = body.split('\n').skip(2).take(3).collect();
    let message = format!("cosignature/v1\ntime {time}\n{}\n", checkpoint.join("\n"));
    let key = VerifyingKey::from_bytes(public[1..].try_into().unwrap()).unwrap();
    key.verify_strict(message.as_bytes(), &Signature::from_slice(&bytes[12..]).unwrap()).unwrap();
}

/// The same for ML-DSA-44, over a message put together here.
#[test]
fn an_ml_dsa_44_cosignature_is_what_the_specification_says() {
    use aws_lc_rs::signature::{ML_DSA_44, UnparsedPublicKey};
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let mut command = home.command(&[&log]);
    command.arg("--ml-dsa");
    let witness = Running::start(command);
    let [key] = &witness.further[..] else { panic!("{:?}", witness.further) };
    assert_eq!((key.name(), key.kind()), (witness.key.name(), KeyKind::MlDsa44));
    let answer = witness.post(log.body(0, 7));
    let lines: Vec<_> = answer.body.lines().map(|line| NoteSignature::parse(line).unwrap()).collect();
    let [ed25519, ml_dsa] = &lines[..] else { panic!("{answer:?}") };
    let time = verify_cosignature(&witness.key, &log.note(7).text, ed25519).unwrap();
    assert_eq!((ml_dsa.name.as_str(), ml_dsa.key_id), (key.name(), key.id()));
    assert_eq!(ml_dsa.signature[..8], time.to_be_bytes());
    let checkpoint = log.checkpoint(7);
    let message = [
        b"subtree/v1\n\0\x16witness.example.org/w1".as_slice(),
        &time.to_be_bytes(),
        b"\x17ledger.example.org/main",
        &0_u64.to_be_bytes(),
        &7_u64.to_be_bytes(),
        checkpoint.root.as_bytes(),
    ];
    let public = UnparsedPublicKey::new(&ML_DSA_44, key.public_key());
    public.verify(&message.concat(), &ml_dsa.signature[8..]).unwrap();

    // Both are kept, and a policy that knows one of them takes the note.
    let newest = witness.newest(&log).body;
    assert_eq!(newest, log.note(7).encode() + &answer.body);
    let policy = format!("log {}\nwitness w {}\nquorum w\n", log.vkey(), witness.key);
    assert_eq!(Policy::parse(&policy).unwrap().check(&newest).unwrap().quorum_time, Some(time));
    witness.kill();
    let again = home.start(&[&log]);
    assert_eq!((again.newest(&log).body, again.further.len()), (newest, 1));
    assert_eq!(again.post(log.body(7, 9)).body.lines().count(), 2);
}

#[test]
fn what_cannot_be_cosigned_is_answered_as_the_specification_says() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    let newest = witness.newest(&log);
    let with = |change: &dyn Fn(&mut trialseal_seal::witness::AddCheckpoint), old, new| {
        let mut request = log.request(old, new);
        change(&mut request);
        witness.post(request.encode())
    };

    // 400: no request; an old size above the new one.
    for body in [String::new(), "old 7\n\n".into(), log.body(7, 9).replace("old 7", "old 07")] {
        assert_problem(&witness.post(body), 400, "malformed");
    }
    assert_problem(&witness.post([b"old 7\n\n\xff", log.body(7, 9).as_bytes()].concat()), 400, "malformed");
    assert_problem(&with(&|request| request.proof = vec![Hash::ZERO; 64], 7, 9), 400, "malformed");
    assert_problem(&with(&|request| request.old_size = 10, 7, 9), 400, "malformed");

    // 404: a log that the witness was not told of.
    let stranger = Log::new("ledger.example.org/stranger");
    assert_problem(&witness.post(stranger.body(0, 7)), 404, "not-found");

    // 403: by a key that is not the log's; by the log's, but wrong.
    let impostor = Log::keyed(&log.origin, &log.origin, 2);
    assert_problem(&witness.post(impostor.body(7, 9)), 403, "log-signature");
    assert_problem(
        &with(&|request| request.note.signatures[0].signature[9] ^= 1, 7, 9),
        403,
        "log-signature",
    );
    let both = |request: &mut trialseal_seal::witness::AddCheckpoint| {
        let mut wrong = request.note.signatures[0].clone();
        wrong.signature[9] ^= 1;
        request.note.signatures.push(wrong);
    };
    assert_problem(&with(&both, 7, 9), 403, "log-signature");

    // 409 with the size: whatever else is wrong with the proof.
    assert_size(&witness.post(log.body(0, 9)), 7);
    assert_size(&witness.post(log.body(0, 7)), 7);
    assert_size(&witness.post(log.body(8, 9)), 7);
    assert_size(&with(&|request| request.proof.push(Hash::ZERO), 6, 9), 7);

    // 422: a proof that does not hold. 409: another tree of this size.
    assert_problem(&with(&|request| request.proof[0] = Hash::ZERO, 7, 9), 422, "invalid");
    assert_problem(&with(&|request| request.proof.clear(), 7, 9), 422, "invalid");
    assert_problem(&with(&|request| request.proof.push(Hash::ZERO), 7, 9), 422, "invalid");
    assert_problem(&with(&|request| request.proof.push(Hash::ZERO), 7, 7), 422, "invalid");
    assert_problem(&witness.post(log.forked(3).body(7, 9)), 422, "invalid");
    assert_problem(&witness.post(log.forked(3).body(7, 7)), 409, "other-root");

    assert_eq!(witness.newest(&log), newest, "nothing of that changed anything");
    assert_eq!(witness.post(log.body(7, 9)).status, 200);

    // 413, 404 and 405.
    assert_problem(&witness.post("old 0\n".repeat(30_000)), 413, "payload-too-large");
    assert_problem(&witness.get("/0123/checkpoint"), 404, "not-found");
    assert_problem(&witness.get("/elsewhere"), 404, "not-found");
    assert_problem(&witness.get("/add-checkpoint"), 405, "method-not-allowed");
}

#[test]
fn a_proof_from_nothing_is_empty() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    let mut request = log.request(0, 7);
    request.proof.push(Hash::ZERO);
    assert_problem(&witness.post(request.encode()), 422, "invalid");
    assert_size(&witness.post(log.body(3, 7)), 0);
    let mut nothing = log.checkpoint(0);
    nothing.root = sha256(b"something");
    let body = format!("old 0\n\n{}", log.sign(&nothing.to_string()).encode());
    assert_problem(&witness.post(body), 409, "other-root");
}

#[test]
fn signatures_of_others_are_passed_over_and_not_kept() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    let mut request = log.request(0, 7);
    let other = Signer::new("witness.example.org/other", KeyKind::Cosignature, &[7; 32]).unwrap();
    request.note.signatures.insert(0, cosign(&other, &request.note.text, 5).unwrap());
    let large = NoteSignature { name: "pq.example.org".into(), key_id: [6; 4], signature: vec![7; 2428] };
    request.note.signatures.extend(vec![large; 14]);
    // Of the log's name alone, and of its key id alone.
    let line = request.note.signatures[1].clone();
    request.note.signatures.push(NoteSignature { key_id: [0; 4], ..line.clone() });
    request.note.signatures.push(NoteSignature { name: "another".into(), signature: vec![1], ..line });
    let answer = witness.post(request.encode());
    cosigned(&witness, &answer, &request.note.text);
    assert_eq!(witness.newest(&log).body, log.note(7).encode() + &answer.body);
}

#[test]
fn logs_of_all_kinds_live_side_by_side() {
    let spaced = Log::keyed("go.sum database tree", "sum.example.org", 3);
    let (first, second) = (Log::new("ledger.example.org/a"), Log::new("ledger.example.org/b"));
    let renewed = Log::keyed("ledger.example.org/b", "ledger.example.org/b", 4);
    let home = Home::new();
    let witness = home.start(&[&first, &second, &renewed, &spaced]);
    for (log, size) in [(&first, 3), (&second, 5), (&spaced, 8)] {
        assert_eq!(witness.post(log.body(0, size)).status, 200);
    }
    assert_eq!([&first, &second, &spaced].map(|log| witness.size(log)), [3, 5, 8]);

    // One log, two keys: each is enough, and both are kept. Its leaves follow from the origin, so they are the same.
    assert_eq!(witness.post(renewed.body(5, 6)).status, 200);
    let mut both = second.request(6, 9);
    both.note.signatures.extend(renewed.note(9).signatures);
    assert_eq!(witness.post(both.encode()).status, 200);
    let newest = SignedNote::parse(&witness.newest(&second).body).unwrap();
    assert_eq!(newest.signatures.len(), 3);

    // Extension lines are cosigned with the rest.
    let text = format!("{}an extension\n", first.checkpoint(4));
    let request = trialseal_seal::witness::AddCheckpoint { note: first.sign(&text), ..first.request(3, 4) };
    cosigned(&witness, &witness.post(request.encode()), &text);
    assert!(witness.newest(&first).body.starts_with(&text));
}

/// Sixty-four at once, each with another step from the same size; half of them from another history.
#[test]
fn of_many_at_once_one_is_cosigned() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    assert_eq!(witness.post(log.body(0, 10)).status, 200);
    let (mut size, mut history) = (10, log);
    for _ in 0..8 {
        let fork = history.forked(usize::try_from(size).unwrap());
        let bodies: Vec<_> =
            (1..=64).map(|n| if n % 2 == 0 { &fork } else { &history }.body(size, size + n)).collect();
        let together = Barrier::new(bodies.len());
        let answers: Vec<_> = std::thread::scope(|scope| {
            let ask = |body| {
                let (together, address) = (&together, &witness.address);
                scope.spawn(move || {
                    let agent = agent();
                    together.wait();
                    post(&agent, address, body).unwrap()
                })
            };
            let asking: Vec<_> = bodies.iter().map(|body: &String| ask(body.as_bytes())).collect();
            asking.into_iter().map(|asking| asking.join().unwrap()).collect()
        });
        let cosigned: Vec<_> = (0..64).filter(|n| answers[*n].status == 200).collect();
        assert_eq!(cosigned.len(), 1, "{answers:?}");
        let step = cosigned[0] as u64 + 1;
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_size(answer, size + step);
        }
        history = if step.is_multiple_of(2) { fork } else { history };
        size += step;
    }
    assert_eq!(witness.size(&history), size);
}
