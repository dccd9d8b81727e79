//! Receipts, growth, absence: accepted with what they report, or refused each for its reason.

use serde_json::{Value, json as object};
use trialseal_seal::Result;
use trialseal_seal::absence::Absence;
use trialseal_seal::growth::Growth;
use trialseal_seal::policy::Policy;
use trialseal_seal::receipt::{Receipt, ReceiptReport};

use crate::{codes, json, list, text};

fn check(policy: &str, receipt: &Value) -> Result<ReceiptReport> {
    Receipt::parse(receipt.to_string().as_bytes())?.verify(&Policy::parse(policy)?)
}

#[test]
fn receipts_report_what_they_prove() {
    let vectors = json("receipts.json");
    let receipts = list(&vectors, "receipts");
    let reported = list(&vectors, "reported");
    assert_eq!(receipts.len(), reported.len());
    for (receipt, expected) in receipts.iter().zip(reported) {
        assert_eq!(Receipt::from_value(receipt).expect("receipt").to_value(), *receipt);
        let report = check(text(&vectors, "policy"), receipt).expect("accepted");
        let report = serde_json::to_value(report).expect("report");
        let names = ["seal", "log_size", "public_by", "recorded_after"];
        let known = names.iter().filter_map(|name| Some((name.to_string(), report.get(name)?.clone())));
        assert_eq!(known.collect::<serde_json::Map<_, _>>(), *expected.as_object().expect("reported"));
    }
    for case in list(&vectors, "otherPolicies") {
        let report = check(text(case, "policy"), &case["receipt"]).expect("accepted");
        assert_eq!(object!(report.public_by), case["publicBy"], "{}", text(case, "policy"));
    }
}

#[test]
fn refused_receipts() {
    let vectors = json("receipts-refused.json");
    let policy = text(&vectors, "policy");
    let found: Vec<_> = list(&vectors, "receipts")
        .iter()
        .map(|case| {
            let result = check(case["policy"].as_str().unwrap_or(policy), &case["receipt"]);
            let refused = result.expect_err(text(case, "why"));
            (text(case, "why"), refused.place().to_owned(), refused.code().as_str())
        })
        .collect();
    let found: Vec<_> = found.iter().map(|(why, place, code)| (*why, place.as_str(), *code)).collect();
    assert_eq!(found, REFUSED_RECEIPTS);
}

/// What is wrong, where it is found, and how it is called.
const REFUSED_RECEIPTS: &[(&str, &str, &str)] = &[
    ("actor changed", "trialProof", "event-not-in-trial"),
    ("header attribute more", "trialProof", "event-not-in-trial"),
    ("field value changed", "fields", "data-root"),
    ("field left out", "fields", "data-root"),
    ("trial root changed", "trialProof", "event-not-in-trial"),
    ("trial proof cut", "trialProof", "path-too-short"),
    ("trial proof padded", "trialProof", "path-too-long"),
    ("trial proof in upper case", "trialProof", "hash-malformed"),
    ("other place claimed", "trialProof", "event-not-in-trial"),
    ("head size changed", "headProof", "map-root-differs"),
    ("map proof cut", "headProof", "map-root-differs"),
    ("map proof padded", "headProof", "map-root-differs"),
    ("map proof with a zero below", "headProof", "map-proof-malformed"),
    ("head of another trial", "", "head-of-another-trial"),
    ("seal time changed", "sealProof", "seal-not-in-log"),
    ("seal member more", "seal", "member-unknown"),
    ("receipt member more", "", "member-unknown"),
    ("other format", "format", "wrong-format"),
    ("log index changed", "", "seal-place"),
    ("log index with a leading zero", "sealProof", "log-proof-malformed"),
    ("extra line", "sealProof", "log-proof-malformed"),
    ("log path cut", "sealProof", "path-too-short"),
    ("log path padded", "sealProof", "path-too-long"),
    ("log signature removed", "sealProof", "log-signature-missing"),
    ("log signature wrong", "sealProof", "log-signature"),
    ("log signature with S+L", "sealProof", "log-signature"),
    ("log key id wrong", "sealProof", "log-signature-missing"),
    ("base64 not canonical", "sealProof.signature 0", "base64"),
    ("one witness only", "sealProof", "quorum"),
    ("one witness twice", "sealProof", "quorum"),
    ("witness signature wrong", "sealProof.w2", "cosignature"),
    ("witness time changed", "sealProof.w2", "cosignature"),
    ("checkpoint size changed", "sealProof", "log-signature"),
    ("checkpoint without newline at the end", "sealProof", "note-malformed"),
    ("header of another ledger", "trialProof", "event-not-in-trial"),
    ("bracket without after", "bracket", "bracket-incomplete"),
    ("bracket with another seal before", "bracket", "after-seal-differs"),
    ("bracket with a late cover", "bracket", "outside-bracket"),
    ("bracket: seal before is not in the log", "bracket.after.sealProof", "quorum"),
    ("bracket: prior note missing", "bracket.after", "prior-note-presence"),
    ("bracket: another note", "bracket.after.priorNote", "prior-note-differs"),
    ("bracket: foreign trial proof", "bracket.before.trialProof", "event-not-in-trial"),
    ("bracket: map proof changed", "bracket.before.headProof", "map-root-differs"),
    ("bracket: seal that covers is not in the log", "bracket.before.sealProof", "quorum"),
    ("bracket member more", "bracket", "member-unknown"),
    ("policy asks for w3", "sealProof", "quorum"),
    ("policy of another log", "sealProof", "log-signature-missing"),
    ("policy with one key for two witnesses", "policy line 5", "policy-key-twice"),
    ("policy names an unknown witness", "policy line 5", "policy-unknown-name"),
    ("policy uses a member twice", "policy line 5", "policy-member-twice"),
    ("policy uses a member in two groups", "policy line 6", "policy-member-twice"),
    ("policy has a threshold above its members", "policy line 5", "policy-threshold"),
    ("policy has a threshold of zero", "policy line 5", "policy-threshold"),
    ("policy has a threshold that is no number", "policy line 5", "policy-threshold"),
    ("policy names a group before it is there", "policy line 5", "policy-unknown-name"),
    ("policy has an unknown keyword", "policy line 5", "policy-line"),
    ("policy calls a group none", "policy line 5", "policy-name"),
    ("policy wants w3 through a nested group", "sealProof", "quorum"),
    ("policy with a log key as a witness", "policy line 5", "policy-key-twice"),
    ("policy with a witness key of type 1", "policy line 2", "key-kind"),
    ("policy with a wrong key id", "policy line 2", "key-id"),
    ("a third, known witness with a wrong signature", "sealProof.w3", "cosignature"),
    ("checkpoint with a fourth line, signed", "sealProof", "checkpoint-malformed"),
    ("policy without quorum", "", "policy-quorum"),
    ("policy with two quorums", "policy line 7", "policy-quorum"),
    ("signed by the ledger all the same: event of trial B in trial A's tree", "", "head-of-another-trial"),
    ("signed by the ledger all the same: event of another ledger", "", "another-ledger"),
    (
        "signed by the ledger all the same: header without specversion",
        "header.specversion",
        "attribute-missing",
    ),
    ("signed by the ledger all the same: header without id", "header.id", "attribute-missing"),
    ("signed by the ledger all the same: header without source", "header.source", "attribute-missing"),
    ("signed by the ledger all the same: header without type", "header.type", "attribute-missing"),
    ("signed by the ledger all the same: header without subject", "header.subject", "attribute-missing"),
    ("signed by the ledger all the same: header without time", "header.time", "attribute-missing"),
    ("signed by the ledger all the same: header without trial", "header.trial", "attribute-missing"),
    ("signed by the ledger all the same: header without trialseq", "header.trialseq", "attribute-missing"),
    ("signed by the ledger all the same: header without streamseq", "header.streamseq", "attribute-missing"),
    ("signed by the ledger all the same: header without actor", "header.actor", "attribute-missing"),
    ("signed by the ledger all the same: header without actorrole", "header.actorrole", "attribute-missing"),
    (
        "signed by the ledger all the same: header without dataschema",
        "header.dataschema",
        "attribute-missing",
    ),
    (
        "signed by the ledger all the same: header without datacontenttype",
        "header.datacontenttype",
        "attribute-missing",
    ),
    ("signed by the ledger all the same: specversion 0.3", "header.specversion", "attribute-value"),
    ("signed by the ledger all the same: trialseq as text", "header.trialseq", "attribute-value"),
    ("signed by the ledger all the same: trial id not allowed", "header", "trial-id"),
    ("signed by the ledger all the same: id of another variant", "header", "event-id"),
    ("signed by the ledger all the same: id in upper case", "header", "event-id"),
    ("signed by the ledger all the same: trialseq is not the place", "trialProof", "index-outside"),
    ("signed by the ledger all the same: header with data in it", "header", "attribute-name"),
    ("signed by the ledger all the same: header with an empty value", "header.note", "attribute-value"),
    ("signed by the ledger all the same: header with a nested value", "header.note", "attribute-value"),
    ("signed by the ledger all the same: header with a truth value", "header.note", "attribute-value"),
    ("signed by the ledger all the same: header with too large a number", "header.note", "attribute-value"),
    ("signed by the ledger all the same: header name not allowed", "header", "attribute-name"),
    ("signed by the ledger all the same: time that does not exist", "header.time", "no-such-time"),
    ("signed by the ledger all the same: time without microseconds", "header.time", "time-malformed"),
    ("signed by the ledger all the same: time with an offset", "header.time", "time-malformed"),
    ("signed by the ledger all the same: id is a random UUID", "header", "event-id"),
    ("signed by the ledger all the same: dataschema of another type", "header", "data-schema"),
    ("signed by the ledger all the same: dataroot in upper case", "header.dataroot", "hash-malformed"),
    ("signed by the ledger all the same: afterseal malformed", "header", "after-seal"),
    (
        "signed by the ledger all the same: afterseal names a seal that is not",
        "bracket",
        "after-seal-differs",
    ),
    ("signed by the ledger all the same: time before the seal it names", "bracket", "event-before-seal"),
    ("signed by the ledger all the same: time after the seal that covers it", "", "event-after-seal"),
    ("signed by the ledger all the same: seal number is not the place", "", "seal-place"),
    ("signed by the ledger all the same: seal of another ledger", "", "seal-place"),
    ("signed by the ledger all the same: seal with a member more", "seal", "member-unknown"),
    ("signed by the ledger all the same: seal of another format", "seal.format", "wrong-format"),
    ("signed by the ledger all the same: seal dated after it was public", "", "seal-after-public"),
    ("signed by the ledger all the same: event dated after its seal", "", "event-after-seal"),
    (
        "signed by the ledger all the same: prior of the seal before is zero all the same",
        "bracket.after",
        "prior-note-presence",
    ),
    (
        "signed by the ledger all the same: prior note cosigned by one witness only",
        "bracket.after.priorNote",
        "quorum",
    ),
    ("signed by the ledger all the same: checkpoint of another origin", "sealProof", "log-signature-missing"),
    ("signed by the ledger all the same: seal time malformed", "seal.time", "time-malformed"),
    ("signed by the ledger all the same: back-dated to an old seal", "bracket", "outside-bracket"),
    ("signed by the ledger all the same: back-dated by naming no seal", "bracket", "outside-bracket"),
    ("signed by the ledger all the same: checkpoint of another tree", "sealProof", "seal-not-in-log"),
];

/// What [`Receipt::verify`] gives is the first of what [`Receipt::verify_all`] gives.
#[test]
fn all_refusals_begin_with_the_first() {
    let vectors = json("receipts-refused.json");
    for case in list(&vectors, "receipts") {
        let policy = case["policy"].as_str().unwrap_or(text(&vectors, "policy"));
        let (Ok(policy), Ok(receipt)) = (Policy::parse(policy), Receipt::from_value(&case["receipt"])) else {
            continue;
        };
        let first = receipt.verify(&policy).expect_err("refused");
        assert_eq!(receipt.verify_all(&policy).expect_err("refused")[0], first, "{}", text(case, "why"));
    }
}

#[test]
fn everything_that_is_wrong_with_a_receipt_is_listed() {
    let vectors = json("receipts.json");
    let policy = Policy::parse(text(&vectors, "policy")).expect("policy");
    let bracketed = |receipt: &&Value| {
        receipt["fields"].is_array()
            && receipt["bracket"]["after"]["priorNote"].is_string()
            && receipt["trialProof"].as_array().is_some_and(|path| !path.is_empty())
    };
    let whole = list(&vectors, "receipts").iter().find(bracketed).expect("a receipt with all parts");
    let mut receipt = Receipt::from_value(whole).expect("receipt");
    receipt.header.time = "2040-01-01T00:00:00.000000Z".parse().expect("time");
    receipt.cover.head.seal_proof.note.push('\n');
    receipt.cover.head.head_proof.clear();
    receipt.fields.as_mut().expect("fields").fields.pop();
    let bracket = receipt.bracket.as_mut().expect("bracket");
    let after = bracket.after.as_mut().expect("after");
    after.prior_note.as_mut().expect("note").push('\n');
    bracket.before.head.seal.events += 1;
    let refused = receipt.verify_all(&policy).expect_err("refused");
    let found: Vec<_> = refused.iter().map(ToString::to_string).collect();
    let sentences = [
        "trialProof: the event is not in the trial's tree",
        "sealProof: this is not a signed note",
        "headProof: the trial head is not in the seal's map",
        "the event is dated after its seal",
        "fields: the data or fields do not give the data root of the event",
        "bracket: the event is dated after its seal",
        "bracket.after.priorNote: the note is not the one that the seal names as prior",
        "bracket.after.priorNote: this is not a signed note",
        "bracket.before.trialProof: the event is not in the trial's tree",
        "bracket.before.sealProof: the seal is not in the log",
        "bracket.before: the event is dated after its seal",
    ];
    assert_eq!(found, sentences);
}

#[test]
fn growth() {
    let vectors = json("growth-absence.json");
    let policy = Policy::parse(text(&vectors, "policy")).expect("policy");
    for growth in list(&vectors, "growth") {
        let read = Growth::parse(growth.to_string().as_bytes()).expect("growth");
        assert_eq!(read.to_value(), *growth);
        let report = read.verify(&policy).expect("accepted");
        assert_eq!((report.from_size, report.to_size), (read.from.head.size, read.to.head.size));
    }
    let found =
        codes(list(&vectors, "growthRefused"), |case| Growth::from_value(&case["growth"])?.verify(&policy));
    let expected = [
        ("path cut", "path-too-short"),
        ("path padded", "path-too-long"),
        ("directions swapped", "seal-order"),
        ("another trial", "head-of-another-trial"),
        ("head changed", "map-root-differs"),
        ("from: seal not witnessed", "quorum"),
        ("to: seal not witnessed", "quorum"),
        ("other format", "wrong-format"),
        ("equal sizes, later seal first", "seal-order"),
        ("same size with a path", "path-too-long"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn absence() {
    let vectors = json("growth-absence.json");
    let policy = Policy::parse(text(&vectors, "policy")).expect("policy");
    for absence in list(&vectors, "absence") {
        let read = Absence::parse(absence.to_string().as_bytes()).expect("absence");
        assert_eq!(read.to_value(), *absence);
        assert_eq!(read.verify(&policy).expect("accepted").trial, read.trial);
    }
    let found = codes(list(&vectors, "absenceRefused"), |case| {
        Absence::from_value(&case["absence"])?.verify(&policy)
    });
    let expected = [
        ("seal not witnessed", "quorum"),
        ("other format", "wrong-format"),
        ("a trial that is there", "other-trial-place"),
        ("a trial that is there, its own head as the other", "trial-present"),
        ("path cut", "map-root-differs"),
        ("other head elsewhere", "other-trial-place"),
        ("other head changed", "map-root-differs"),
        ("other head removed", "map-root-differs"),
    ];
    assert_eq!(found, expected);
}
