//! Notes, keys and policies at their edges: kinds of keys, counts of signatures, quorum times.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use trialseal_seal::Code;
use trialseal_seal::checkpoint::{
    Checkpoint, cosign, log_signatures, ml_dsa_44_message, verify_cosignature, verify_log_signature,
};
use trialseal_seal::dataset::{ExportKey, ExportSigner};
use trialseal_seal::hash::{Hash, sha256};
use trialseal_seal::note::{
    KeyKind, MAX_NOTE_BYTES, MAX_SIGNATURES, NoteSignature, SignedNote, Signer, VerifierKey,
};
use trialseal_seal::policy::Policy;
use trialseal_seal::trust::{Trust, read_fingerprint};
use trialseal_seal::witness::{AddCheckpoint, MAX_PROOF_HASHES};

const ORIGIN: &str = "ledger.example.org/main";

fn log() -> Signer {
    Signer::new(ORIGIN, KeyKind::Ed25519, &[1; 32]).expect("log")
}

fn witness(number: u8) -> Signer {
    Signer::new(&format!("witness.example.org/{number}"), KeyKind::Cosignature, &[100 + number; 32])
        .expect("witness")
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.into(), size: 7, root: sha256(b"root") }
}

/// A note that witnesses cosigned at these times.
fn note(times: &[(u8, u64)]) -> SignedNote {
    let mut note = checkpoint().sign(&log()).expect("signed");
    let text = note.text.clone();
    let lines = times.iter().map(|(number, time)| cosign(&witness(*number), &text, *time).expect("cosigned"));
    note.signatures.extend(lines);
    note
}

/// A policy over witnesses 0 to 3 with these further lines.
fn policy(lines: &str) -> Policy {
    let witness = |number| format!("witness w{number} {}\n", witness(number).verifier_key());
    let witnesses = [0, 1, 2, 3].map(witness).concat();
    Policy::parse(&format!("log {}\n{witnesses}{lines}", log().verifier_key())).expect("policy")
}

/// `<name>+<id>+<base64>` of any bytes.
fn key_text(name: &str, typed_key: &[u8]) -> String {
    use base64::Engine as _;
    let id = sha256(&[name.as_bytes(), b"\n", typed_key].concat()).to_string();
    format!("{name}+{}+{}", &id[..8], base64::engine::general_purpose::STANDARD.encode(typed_key))
}

fn ml_dsa_key(fill: u8) -> String {
    key_text(&format!("witness.example.org/pq{fill}"), &[&[6], [fill; 1312].as_slice()].concat())
}

#[test]
fn the_quorum_time_is_the_earliest_that_suffices() {
    let times = [(0, 50), (1, 20), (1, 10), (2, 30), (1, 40)];
    let note = note(&times).encode();
    for (lines, expected) in [
        ("quorum none", None),
        ("quorum w0", Some(50)),
        ("quorum w1", Some(10)),
        ("group g any w0 w1 w2 w3\nquorum g", Some(10)),
        ("group g 2 w0 w1 w2 w3\nquorum g", Some(30)),
        ("group g 3 w0 w1 w2 w3\nquorum g", Some(50)),
        ("group a all w0 w2\ngroup b any a w3\nquorum b", Some(50)),
        ("group a all w1 w2\ngroup b any a w0\nquorum b", Some(30)),
    ] {
        let accepted = policy(lines).check(&note).expect(lines);
        assert_eq!(accepted.quorum_time, expected, "{lines}");
        assert_eq!(accepted.checkpoint, checkpoint());
    }
    for lines in
        ["quorum w3", "group g all w0 w1 w2 w3\nquorum g", "group a all w0 w3\ngroup b all a w1\nquorum b"]
    {
        assert_eq!(policy(lines).check(&note).expect_err(lines).code(), Code::Quorum);
    }
}

#[test]
fn ml_dsa_witnesses_are_silent_and_named() {
    let lines = format!("witness pq {}\ngroup g any w0 pq\nquorum g\n", ml_dsa_key(1));
    let mut note = note(&[(0, 5)]);
    let key = VerifierKey::parse(&ml_dsa_key(1)).expect("key");
    assert_eq!((key.kind(), key.to_string()), (KeyKind::MlDsa44, ml_dsa_key(1)));
    note.signatures.push(NoteSignature {
        name: key.name().into(),
        key_id: key.id(),
        signature: vec![7; 2428],
    });
    let accepted = policy(&lines).check(&note.encode()).expect("accepted");
    assert_eq!((accepted.quorum_time, accepted.silent), (Some(5), vec!["pq".to_owned()]));

    assert_eq!(VerifierKey::parse(&key_text("w", &[6; 33])).expect_err("short").code(), Code::KeyMalformed);
}

#[test]
fn a_quorum_that_silent_witnesses_could_meet_is_neither_met_nor_missed() {
    let [one, two] = [1, 2].map(|fill| VerifierKey::parse(&ml_dsa_key(fill)).expect("key"));
    let witnesses = format!("witness pq1 {one}\nwitness pq2 {two}\n");
    let line = |key: &VerifierKey, bytes: usize| NoteSignature {
        name: key.name().into(),
        key_id: key.id(),
        signature: vec![7; bytes],
    };
    let code = |group: &str, lines: Vec<NoteSignature>| {
        let mut note = note(&[(0, 5)]);
        note.signatures.extend(lines);
        let policy = policy(&format!("{witnesses}{group}\n"));
        let refused = policy.check(&note.encode()).expect_err(group);
        assert_eq!(policy.silent(), ["pq1", "pq2"]);
        assert_eq!(refused.code().is_own_limit(), refused.code() == Code::QuorumUnknown);
        refused.code()
    };
    assert_eq!(code("quorum pq1", vec![line(&one, 2428)]), Code::QuorumUnknown);
    assert_eq!(code("quorum pq1", vec![line(&two, 2428)]), Code::Quorum);
    assert_eq!(code("quorum pq1", vec![line(&one, 2427)]), Code::Quorum, "this is no signature of that kind");
    let all = "group g all w0 pq1 pq2\nquorum g";
    assert_eq!(code(all, vec![line(&one, 2428), line(&two, 2428)]), Code::QuorumUnknown);
    assert_eq!(code(all, vec![line(&one, 2428)]), Code::Quorum);
    let with_another = "group g all w1 pq1\nquorum g";
    assert_eq!(code(with_another, vec![line(&one, 2428)]), Code::Quorum, "w1 did not sign");
}

#[test]
fn everything_that_is_wrong_with_a_note_is_listed() {
    let mut wrong = note(&[(0, 5), (1, 6)]);
    for line in &mut wrong.signatures {
        line.signature[9] ^= 1;
    }
    let examined = policy("quorum w0").examine(&wrong.encode());
    let refused: Vec<_> = examined.refused.iter().map(|refused| (refused.place(), refused.code())).collect();
    assert_eq!(refused, [("", Code::LogSignature), ("w0", Code::Cosignature), ("w1", Code::Cosignature)]);
    assert_eq!((examined.checkpoint, examined.quorum_time), (Some(checkpoint()), None));

    let mut unsigned = note(&[]);
    unsigned.signatures[0].name = "ledger.example.org/other".into();
    let examined = policy("quorum w0").examine(&unsigned.encode());
    let codes: Vec<_> = examined.refused.iter().map(trialseal_seal::Refused::code).collect();
    assert_eq!(codes, [Code::LogSignatureMissing, Code::Quorum]);
    assert_eq!(policy("quorum w0").examine("no note").checkpoint, None);
}

#[test]
fn policies_are_octets() {
    let log = log().verifier_key();
    let witness = witness(0).verifier_key();
    let policy = |defined: &[u8], used: &[u8]| {
        let (before, after) = (format!("log {log}\nwitness "), format!(" {witness}\n\t# indented\nquorum "));
        let lines = [&b"# caf\xe9 \xff\x80\n"[..], before.as_bytes(), defined, after.as_bytes(), used];
        Policy::from_bytes(&lines.concat())
    };
    for name in [&b"w"[..], b"\xff", "\u{212a}".as_bytes()] {
        let policy = policy(name, name).expect("octets above 0x7f are taken as they are");
        assert_eq!(policy.check(&note(&[(0, 9)]).encode()).expect("accepted").quorum_time, Some(9));
    }
    // A reading as UTF-8 would make one name of these two.
    assert_eq!(policy(b"\xfe", b"\xff").expect_err("another name").code(), Code::PolicyUnknownName);
    for (place, control) in
        [("a comment", "# a\r\n"), ("a comment", "#\u{7f}\n"), ("an empty line", "\u{b}\n")]
    {
        let refused = Policy::parse(&format!("log {log}\n{control}quorum none\n")).expect_err(place);
        assert_eq!((refused.place(), refused.code()), ("policy line 2", Code::PolicyCharacter));
    }
}

#[test]
fn notes_may_have_many_large_signatures_but_not_any_number() {
    let mut many = note(&[(0, 5)]);
    let large =
        NoteSignature { name: "unknown.example.org/pq".into(), key_id: [0; 4], signature: vec![7; 2428] };
    while many.signatures.len() < MAX_SIGNATURES {
        many.signatures.push(large.clone());
    }
    const { assert!(MAX_SIGNATURES >= 16) };
    let text = many.encode();
    assert!(text.len() < MAX_NOTE_BYTES);
    assert_eq!(SignedNote::parse(&text).expect("note"), many);
    assert_eq!(policy("quorum w0").check(&text).expect("accepted").quorum_time, Some(5));

    many.signatures.push(large);
    assert_eq!(SignedNote::parse(&many.encode()).expect_err("too many").code(), Code::NoteTooLarge);
    let long = SignedNote { text: "a".repeat(MAX_NOTE_BYTES) + "\n", ..note(&[]) };
    assert_eq!(SignedNote::parse(&long.encode()).expect_err("too long").code(), Code::NoteTooLarge);
}

#[test]
fn weak_and_strange_keys_are_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    // y = p, the second spelling of y = 0; and y = p + 3, one that is not of small order.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xed, 0x7f);
    let mut second_spelling = unreduced;
    second_spelling[0] = 0xf0;
    let code =
        |key: &[u8]| VerifierKey::parse(&key_text("log", &[&[1], key].concat())).expect_err("refused").code();
    assert_eq!(code(&neutral), Code::KeyWeak);
    assert_eq!(code(&[0; 32]), Code::KeyWeak);
    assert_eq!(code(&unreduced), Code::KeyWeak);
    assert_eq!(code(&second_spelling), Code::KeyWeak);
    assert_eq!(code(&[2; 31]), Code::KeyMalformed);
    for (text, expected) in [
        (key_text("log", &[]), Code::KeyMalformed),
        (key_text("log", &[2; 33]), Code::KeyKind),
        (key_text("", &[1; 33]), Code::KeyName),
        (key_text("a b", &[1; 33]), Code::KeyName),
        (key_text("a\u{a0}b", &[1; 33]), Code::KeyName),
        (log().verifier_key().to_string().replacen('+', " ", 1), Code::KeyMalformed),
        (log().verifier_key().to_string() + "A", Code::Base64),
    ] {
        assert_eq!(VerifierKey::parse(&text).expect_err(&text).code(), expected, "{text}");
    }
    assert_eq!(Signer::new("a+b", KeyKind::Ed25519, &[0; 32]).expect_err("name").code(), Code::KeyName);
    assert_eq!(Signer::new("a", KeyKind::MlDsa44, &[0; 32]).expect_err("kind").code(), Code::KeyKind);
}

#[test]
fn keys_sign_only_what_they_are_for() {
    let other_log = Signer::new("ledger.example.org/other", KeyKind::Ed25519, &[1; 32]).expect("log");
    assert_eq!(checkpoint().sign(&other_log).expect_err("origin").code(), Code::KeyName);
    assert_eq!(checkpoint().sign(&witness(0)).expect_err("kind").code(), Code::KeyKind);
    assert_eq!(cosign(&log(), "text\n", 1).expect_err("kind").code(), Code::KeyKind);

    let note = note(&[(0, 9)]);
    let (log_line, witness_line) = (&note.signatures[0], &note.signatures[1]);
    assert_eq!(verify_log_signature(&log().verifier_key(), &note.text, log_line), Ok(()));
    assert_eq!(verify_cosignature(&witness(0).verifier_key(), &note.text, witness_line), Ok(9));
    let refused = [
        verify_log_signature(&witness(0).verifier_key(), &note.text, witness_line).expect_err("kind").code(),
        verify_log_signature(&log().verifier_key(), "other\n", log_line).expect_err("text").code(),
        verify_cosignature(&log().verifier_key(), &note.text, log_line).expect_err("kind").code(),
        verify_cosignature(&witness(1).verifier_key(), &note.text, witness_line).expect_err("key").code(),
    ];
    assert_eq!(refused, [Code::LogSignature, Code::LogSignature, Code::Cosignature, Code::Cosignature]);
    let far = cosign(&witness(0), &note.text, u64::MAX).expect("cosigned");
    let refused = verify_cosignature(&witness(0).verifier_key(), &note.text, &far).expect_err("time");
    assert_eq!(refused.code(), Code::Cosignature);
}

#[test]
fn notes_are_read_strictly() {
    let whole = note(&[(0, 9)]).encode();
    let refused = |note: &str| SignedNote::parse(note).expect_err("refused").code();
    assert_eq!(refused(&whole.replace("\n\n", "\n")), Code::NoteMalformed);
    assert_eq!(refused(&whole.replace('\n', "\r\n")), Code::NoteMalformed);
    assert_eq!(refused(&whole.replace("— ledger", "- ledger")), Code::NoteMalformed);
    assert_eq!(refused(&(whole.clone() + "\n")), Code::NoteMalformed);
    assert_eq!(refused(whole.trim_end()), Code::NoteMalformed);
    assert_eq!(refused("text\n\n"), Code::NoteMalformed);
    assert_eq!(
        refused(&whole.replace("— ledger.example.org/main ", "— ledger.example.org/main  ")),
        Code::Base64
    );

    let text = checkpoint().to_string();
    assert_eq!(Checkpoint::parse(&text), Ok(checkpoint()));
    for broken in [
        text.replace("\n7\n", "\n07\n"),
        text.replace("\n7\n", "\n+7\n"),
        text.replace("\n7\n", "\n-7\n"),
        text.replace("\n7\n", "\n9223372036854775808\n"),
        text.replace("ledger.example.org/main", ""),
        text.clone() + "extension\n",
    ] {
        assert_eq!(Checkpoint::parse(&broken).expect_err(&broken).code(), Code::CheckpointMalformed);
    }
    let empty = Checkpoint { origin: ORIGIN.into(), size: 0, root: Hash::ZERO };
    assert_eq!(Checkpoint::parse(&empty.to_string()), Ok(empty));
}

#[test]
fn a_policy_for_one_log_is_written_and_read() {
    let text = Policy::text_for_log(&log().verifier_key());
    let policy = Policy::parse(&text).expect("policy");
    assert_eq!(policy.logs(), [log().verifier_key()]);
    assert!(!policy.asks_for_witnesses());
    assert_eq!(policy.check(&note(&[]).encode()).expect("accepted").quorum_time, None);
    let mut forged = note(&[]);
    forged.signatures[0].signature[0] ^= 1;
    assert_eq!(policy.check(&forged.encode()).expect_err("forged").code(), Code::LogSignature);
}

#[test]
fn policies_refuse_what_is_not_theirs() {
    let log = log().verifier_key();
    let witness = witness(0).verifier_key();
    for (lines, expected) in [
        (format!("log {log}\nlog {log}\nquorum none"), Code::PolicyKeyTwice),
        (format!("log {witness}\nquorum none"), Code::KeyKind),
        (format!("log {log}\nwitness w {witness}\nwitness w {}\nquorum w", ml_dsa_key(1)), Code::PolicyName),
        (format!("log {log}\nwitness none {witness}\nquorum none"), Code::PolicyName),
        (format!("log {log} https://a https://b\nquorum none"), Code::PolicyLine),
        (format!("log {log}\nwitness w {witness}\ngroup g all\nquorum g"), Code::PolicyThreshold),
        (format!("log {log}\nwitness w {witness}\ngroup g 01 w\nquorum g"), Code::PolicyThreshold),
        (format!("log {log}\nquorum"), Code::PolicyLine),
        (format!("log {log}\nquorum w\nwitness w {witness}"), Code::PolicyUnknownName),
        (format!("log {log}\n"), Code::PolicyQuorum),
    ] {
        assert_eq!(Policy::parse(&lines).expect_err(&lines).code(), expected, "{lines}");
    }
    let with_addresses =
        format!("log {log} https://log\n\n# note\nwitness w {witness} https://w\nquorum none\n");
    assert!(Policy::parse(&with_addresses).is_ok());
}

#[test]
fn witnesses_read_the_checkpoints_of_any_log() {
    let text = checkpoint().to_string();
    assert_eq!(Checkpoint::parse_extended(&text), Ok(checkpoint()));
    assert_eq!(Checkpoint::parse_extended(&(text.clone() + "an extension\nanother\n")), Ok(checkpoint()));
    let spaced = Checkpoint { origin: "go.sum database tree".into(), ..checkpoint() };
    assert_eq!(Checkpoint::parse_extended(&spaced.to_string()), Ok(spaced));
    for broken in [
        text.clone() + "\n",
        text.clone() + "a\n\nb\n",
        text.replace(ORIGIN, ""),
        text.replace("\n7\n", "\n07\n"),
    ] {
        let refused = Checkpoint::parse_extended(&broken).expect_err(&broken);
        assert_eq!(refused.code(), Code::CheckpointMalformed);
    }
}

#[test]
fn a_log_may_have_several_keys_and_none_may_sign_wrongly() {
    let other = Signer::new(ORIGIN, KeyKind::Ed25519, &[2; 32]).expect("log");
    let keys = [log().verifier_key(), other.verifier_key()];
    let mut both = note(&[(0, 5)]);
    both.signatures.push(checkpoint().sign(&other).expect("signed").signatures.remove(0));
    let found = log_signatures(&keys, &both).expect("both");
    assert_eq!(found, [&both.signatures[0], &both.signatures[2]]);
    assert_eq!(log_signatures(&keys[1..], &both).expect("one"), [&both.signatures[2]]);
    let stranger = [witness(3).verifier_key()];
    assert_eq!(log_signatures(&stranger, &both).expect_err("none").code(), Code::LogSignatureMissing);
    both.signatures[2].signature[0] ^= 1;
    assert_eq!(log_signatures(&keys, &both).expect_err("wrong").code(), Code::LogSignature);
    assert!(log_signatures(&keys[..1], &both).is_ok(), "the wrong line is of a key that is not known");
}

#[test]
fn while_a_log_changes_its_key_both_readers_accept_and_later_the_new_one_alone() {
    let successor = Signer::new(ORIGIN, KeyKind::Ed25519, &[2; 32]).expect("log");
    let policy = |key| Policy::parse(&Policy::text_for_log(key)).expect("a policy");
    let (old, new) = (policy(&log().verifier_key()), policy(&successor.verifier_key()));
    let both = checkpoint().sign_with(&[log(), successor.clone()]).expect("signed").encode();
    assert!(old.check(&both).is_ok() && new.check(&both).is_ok());
    let alone = checkpoint().sign_with(&[successor]).expect("signed").encode();
    assert!(new.check(&alone).is_ok());
    assert_eq!(old.check(&alone).expect_err("a key that is not listed").code(), Code::LogSignatureMissing);
    let archive = format!("log {}\nlog {}\nquorum none\n", old.logs()[0], new.logs()[0]);
    let archive = Policy::parse(&archive).expect("a policy");
    assert!(archive.check(&alone).is_ok() && archive.check(&both).is_ok());
    assert_eq!(checkpoint().sign_with(&[]).expect_err("nobody signs").code(), Code::LogSignatureMissing);
}

#[test]
fn requests_to_witnesses_are_read_strictly() {
    let request = AddCheckpoint { old_size: 5, proof: vec![sha256(b"a"), sha256(b"b")], note: note(&[]) };
    let body = request.encode();
    assert!(body.starts_with("old 5\n") && body.contains("=\n\nledger.example.org/main\n7\n"), "{body}");
    assert_eq!(AddCheckpoint::parse(&body), Ok(request.clone()));
    let first = AddCheckpoint { old_size: 0, proof: Vec::new(), ..request.clone() };
    assert_eq!(AddCheckpoint::parse(&first.encode()), Ok(first));
    let with = |hashes| AddCheckpoint { proof: vec![Hash::ZERO; hashes], ..request.clone() }.encode();
    assert!(AddCheckpoint::parse(&with(MAX_PROOF_HASHES)).is_ok());
    for (broken, expected) in [
        (with(MAX_PROOF_HASHES + 1), Code::PathTooLong),
        (body.replace("old 5", "old 05"), Code::AddCheckpointMalformed),
        (body.replace("old 5", "old +5"), Code::AddCheckpointMalformed),
        (body.replace("old 5", "old  5"), Code::AddCheckpointMalformed),
        (body.replace("old 5", "old 9223372036854775808"), Code::AddCheckpointMalformed),
        (body.replace("old 5\n", ""), Code::AddCheckpointMalformed),
        (body.replace('\n', "\r\n"), Code::AddCheckpointMalformed),
        (body.replacen("=\n", "\n", 1), Code::Base64),
        (body.replacen("old 5\n", "old 5\nAAAA\n", 1), Code::HashMalformed),
        (body.trim_end().to_owned(), Code::NoteMalformed),
        ("old 5\n\n".to_owned(), Code::NoteMalformed),
        (String::new(), Code::AddCheckpointMalformed),
    ] {
        assert_eq!(AddCheckpoint::parse(&broken).expect_err(&broken).code(), expected, "{broken}");
    }
}

#[test]
fn an_ml_dsa_44_cosignature_is_over_a_subtree_that_is_the_whole_tree() {
    let message = ml_dsa_44_message("w.example", 0x0102, &checkpoint()).expect("message");
    let root = sha256(b"root");
    let expected = [
        &b"subtree/v1\n\0"[..],
        b"\x09w.example",
        b"\0\0\0\0\0\0\x01\x02",
        b"\x17ledger.example.org/main",
        b"\0\0\0\0\0\0\0\0",
        b"\0\0\0\0\0\0\0\x07",
        root.as_bytes(),
    ];
    assert_eq!(message, expected.concat());
    let longest = Checkpoint { origin: "o".repeat(255), ..checkpoint() };
    assert!(ml_dsa_44_message(&"n".repeat(255), 1, &longest).is_ok());
    let too_long = Checkpoint { origin: "o".repeat(256), ..checkpoint() };
    for refused in [ml_dsa_44_message("", 1, &longest), ml_dsa_44_message("n", 1, &too_long)] {
        assert_eq!(refused.expect_err("length").code(), Code::KeyName);
    }
    let key = VerifierKey::ml_dsa_44("witness.example.org/pq1", &[1; 1312]).expect("key");
    assert_eq!(key.to_string(), ml_dsa_key(1));
    assert_eq!(VerifierKey::ml_dsa_44("w", &[1; 32]).expect_err("length").code(), Code::KeyMalformed);
}

fn export_key(origin: &str, seed: u8) -> ExportKey {
    ExportSigner::new(origin, &[seed; 32]).expect("export").export_key()
}

/// The text that `sha256sum` is run on, byte by byte as an outsider would write it.
#[test]
fn a_trust_text_is_written_in_one_way() {
    let (log, witness, export) = (log().verifier_key(), witness(0).verifier_key(), export_key(ORIGIN, 9));
    let policy = format!(
        "# ours\n\nlog\t{log} https://a.example\n  witness w0  {witness} https://b.example/w \nquorum w0\n"
    );
    let trust = Trust::new(&policy, vec![export.clone()]).expect("trust");
    let expected =
        format!("trialseal/trust/v1\nlog {log}\nwitness w0 {witness}\nquorum w0\nexport {export}\n");
    assert_eq!(trust.to_string(), expected);
    assert_eq!(trust.fingerprint(), sha256(expected.as_bytes()));
    assert_eq!(trust.policy_text(), format!("log {log}\nwitness w0 {witness}\nquorum w0\n"));
    let read = Trust::parse(expected.as_bytes()).expect("read");
    assert_eq!((read.to_string(), read.export_keys()), (expected.clone(), [export].as_slice()));
    assert_eq!(read.policy().witnesses().count(), 1);
    let hex = trust.fingerprint().to_string().to_ascii_uppercase();
    let spelled = format!("{} {}:{}\n", &hex[..8], &hex[8..40], &hex[40..]);
    assert_eq!(read_fingerprint(&spelled).expect("fingerprint"), trust.fingerprint());
    assert!(read_fingerprint(&hex[1..]).is_err());

    // What says the same in other bytes has another fingerprint, and is refused.
    let others = [
        expected.replace("quorum w0\n", "quorum  w0\n"),
        expected.replace("quorum w0\n", "quorum w0\n\n"),
        expected.replace("quorum w0\n", "# ours\nquorum w0\n"),
        expected.trim_end().to_owned(),
        format!("{expected}\n"),
        expected.replace(&format!("log {log}"), &format!("log {log} https://a.example")),
    ];
    for text in others {
        assert_eq!(Trust::parse(text.as_bytes()).expect_err(&text).code(), Code::TrustForm, "{text}");
    }
    let heading = expected.replace("/v1\n", "/v2\n");
    assert_eq!(Trust::parse(heading.as_bytes()).expect_err("heading").code(), Code::WrongFormat);
    assert_eq!(Trust::parse(b"trialseal/trust/v1\n\xff").expect_err("bytes").code(), Code::TrustForm);
}

#[test]
fn a_trust_text_holds_the_keys_of_one_purpose_and_ledger() {
    let policy = Policy::text_for_log(&log().verifier_key());
    let refused = |keys: Vec<ExportKey>| Trust::new(&policy, keys).expect_err("refused").code();
    // Seed 1 is the log's.
    assert_eq!(refused(vec![export_key(ORIGIN, 1)]), Code::KeyReused);
    assert_eq!(refused(vec![export_key(ORIGIN, 9), export_key(ORIGIN, 9)]), Code::KeyReused);
    assert_eq!(refused(vec![export_key("other.example.org", 9)]), Code::AnotherLedger);
    assert!(Trust::new(&policy, vec![export_key(ORIGIN, 9), export_key(ORIGIN, 10)]).is_ok());
}
