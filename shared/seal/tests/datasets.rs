//! Datasets beyond the golden files: what counts when headers are hidden, what a finding says, where lineage points.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use trialseal_seal::Code;
use trialseal_seal::dataset::{Finding, LineageChecker, Manifest, RecordChecker, check_names};
use trialseal_seal::event::Header;
use trialseal_seal::hash::{Hash, Sha3};
use trialseal_seal::proof::HeadProof;
use trialseal_seal::tree::Frontier;

fn golden(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&bytes).expect(name)
}

/// A record of events with these places in their streams, and the head it gives. Only the head and the seal's time and
/// name matter to the checker; the proofs are those of another head.
fn record(places: &[(&str, u32)]) -> (Vec<Header>, HeadProof) {
    let mut head = HeadProof::parse(&golden("dataset/head.json")).expect("head");
    let template = golden("ledger.json")["events"]["CDISCPILOT01"][0]["header"].clone();
    let mut tree = Frontier::<Sha3>::new();
    let mut headers = Vec::new();
    for (trialseq, (stream, streamseq)) in (0..).zip(places) {
        let mut header = Header::parse(&template).expect("header");
        header.id = format!("019b76da-abe8-79c3-bf62-{trialseq:012x}");
        header.trialseq = trialseq;
        header.subject = (*stream).into();
        header.streamseq = *streamseq;
        tree.push(header.leaf());
        headers.push(header);
    }
    head.head.size = tree.size();
    head.head.root = tree.root();
    (headers, head)
}

fn shown(header: &Header) -> Value {
    json!({ "header": header.to_value(), "withheld": "erased" })
}

fn check(head: &HeadProof, lines: &[Value]) -> Vec<Finding> {
    let mut checker = RecordChecker::new(head);
    let mut findings: Vec<_> =
        lines.iter().flat_map(|line| checker.line_findings(line.to_string().as_bytes())).collect();
    findings.extend(checker.finish());
    findings
}

#[test]
fn gaps_count_only_where_all_headers_are_shown() {
    let (headers, head) = record(&[("site/1", 0), ("site/1", 2), ("site/2", 0)]);
    let mut lines: Vec<_> = headers.iter().map(shown).collect();
    let findings = check(&head, &lines);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].refused.code(), Code::StreamOrder);
    assert_eq!((findings[0].line, findings[0].trialseq()), (Some(2), Some(1)));

    lines[2] = json!({ "leaf": headers[2].leaf() });
    assert_eq!(check(&head, &lines), []);
    lines[0] = json!({ "leaf": headers[0].leaf() });
    assert_eq!(check(&head, &lines), []);
}

#[test]
fn places_in_a_stream_grow_whatever_is_hidden() {
    let (headers, head) = record(&[("site/1", 1), ("site/2", 0), ("site/1", 1)]);
    let lines = [shown(&headers[0]), json!({ "leaf": headers[1].leaf() }), shown(&headers[2])];
    let findings = check(&head, &lines);
    assert_eq!(
        findings.iter().map(|finding| finding.refused.code()).collect::<Vec<_>>(),
        [Code::StreamOrder]
    );
}

#[test]
fn ids_are_unique() {
    let (mut headers, mut head) = record(&[("site/1", 0), ("site/1", 1)]);
    headers[1].id = headers[0].id.clone();
    let mut tree = Frontier::<Sha3>::new();
    for header in &headers {
        tree.push(header.leaf());
    }
    head.head.root = tree.root();
    let lines: Vec<_> = headers.iter().map(shown).collect();
    let findings = check(&head, &lines);
    assert_eq!(findings.len(), 1);
    let text = format!(
        "record.ndjson line 2 (trialseq 1, event {}): an event id stands twice in the record",
        headers[0].id
    );
    assert_eq!(findings[0].to_string(), text);
    let value = serde_json::to_value(&findings[0]).expect("finding");
    assert_eq!((&value["code"], &value["trialseq"]), (&json!("record-id-twice"), &json!(1)));
}

#[test]
fn checking_goes_on_behind_a_bad_line() {
    let (headers, head) = record(&[("site/1", 0), ("site/1", 1), ("site/1", 2)]);
    let bad = json!({ "header": headers[1].to_value(), "withheld": "lost" });
    let findings = check(&head, &[shown(&headers[0]), bad, shown(&headers[2])]);
    assert_eq!(findings.len(), 1, "the header of a bad line still counts: {findings:?}");
    let unreadable = json!({ "header": {} });
    let findings = check(&head, &[shown(&headers[0]), unreadable, json!({ "leaf": 1 })]);
    let found: Vec<_> = findings.iter().map(|finding| (finding.line, finding.refused.code())).collect();
    assert_eq!(found, [(Some(2), Code::AttributeMissing), (Some(3), Code::MemberType)]);
}

#[test]
fn every_rule_that_a_line_breaks_is_named() {
    let (mut headers, head) = record(&[("site/1", 0), ("site/1", 1), ("site/1", 2)]);
    headers[1].trial = "OTHER".into();
    headers[1].source = "other.example".into();
    headers[1].id = headers[0].id.clone();
    headers[1].streamseq = 0;
    headers[1].trialseq = 7;
    headers[1].time = "2019-01-01T00:00:00.000000Z".parse().expect("time");
    let mut lines: Vec<_> = headers.iter().map(shown).collect();
    lines[1]["withheld"] = json!("lost");
    let findings = check(&head, &lines);
    let found: Vec<_> = findings.iter().map(|finding| (finding.line, finding.refused.code())).collect();
    let codes = [
        Code::HeadOfAnotherTrial,
        Code::AnotherLedger,
        Code::RecordPlace,
        Code::RecordIdTwice,
        Code::RecordTime,
        Code::StreamOrder,
        Code::Withheld,
    ];
    let expected = codes.map(|code| (Some(2), code));
    assert_eq!(found[..expected.len()], expected);
    let late =
        shown(&Header { time: "2030-01-01T00:00:00.000000Z".parse().expect("time"), ..headers[0].clone() });
    let mut checker = RecordChecker::new(&head);
    let first = checker.line(late.to_string().as_bytes()).expect("finding");
    assert_eq!(first.refused.code(), Code::EventAfterSeal);
}

#[test]
fn gaps_that_are_not_listed_are_counted() {
    let names: Vec<_> = (0..1_100).map(|number| format!("site/{number}")).collect();
    let (headers, head) = record(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    let mut checker = RecordChecker::new(&head);
    for header in &headers {
        assert_eq!(checker.line(shown(header).to_string().as_bytes()), None);
    }
    assert_eq!(checker.gaps_not_listed(), 100);
    assert_eq!(checker.finish().len(), 1_000);
}

#[test]
fn lines_beyond_the_size_are_counted_alone() {
    let (headers, mut head) = record(&[("site/1", 0), ("site/1", 1), ("site/1", 2)]);
    head.head.size = 1;
    let lines: Vec<_> = headers.iter().map(shown).chain([json!(1)]).collect();
    let findings = check(&head, &lines);
    assert_eq!(findings.iter().map(|finding| finding.refused.code()).collect::<Vec<_>>(), [Code::RecordSize]);
}

#[test]
fn lineage_points_into_the_dataset() {
    let manifest = Manifest::new([("data/dm.json".to_owned(), Hash::ZERO)]).expect("manifest");
    let mut checker = LineageChecker::new(&manifest, 5);
    let mut code = |line: Value| {
        let finding = checker.line(line.to_string().as_bytes());
        finding.map(|finding| finding.refused.code())
    };
    let line = |table: &str, row: i64, source: Value| json!({ "table": table, "row": row, "from": { "AGE": [source] } });
    assert_eq!(code(line("data/dm.json", 0, json!([4, "/items/0/value"]))), None);
    assert_eq!(code(line("data/ae.json", 0, json!([4, "/a"]))), Some(Code::FileMissing));
    assert_eq!(code(line("data/dm.json", -1, json!([4, "/a"]))), Some(Code::MemberType));
    assert_eq!(code(line("data/dm.json", 0, json!([5, "/a"]))), Some(Code::IndexOutside));
    assert_eq!(code(line("data/dm.json", 0, json!([4, "a"]))), Some(Code::PointerMalformed));
    assert_eq!(code(line("data/dm.json", 0, json!([4]))), Some(Code::MemberType));
    assert_eq!(code(json!([])), Some(Code::NotAnObject));
}

#[test]
fn names_of_a_manifest() {
    let listed = ["record.ndjson", "head.json", "data/a.json", "lineage.ndjson"];
    let manifest = Manifest::new(listed.map(|name| (name.to_owned(), Hash::ZERO))).expect("manifest");
    let found = |names: &[&str]| {
        let findings = manifest.check_names(names.iter().copied()).into_iter();
        findings.map(|finding| (finding.file, finding.refused.code())).collect::<Vec<_>>()
    };
    assert_eq!(
        found(&["manifest.dsse.json", "record.ndjson", "head.json", "data/a.json", "lineage.ndjson"]),
        []
    );
    assert_eq!(
        found(&["manifest.dsse.json", "head.json", "data/b.json", "lineage.ndjson"]),
        [
            ("record.ndjson".to_owned(), Code::FileMissing),
            ("data/b.json".to_owned(), Code::FileNotListed),
            ("data/a.json".to_owned(), Code::FileMissing)
        ],
        "each once"
    );
}

#[test]
fn names_by_themselves() {
    let codes = |names: &[&str]| {
        let findings = check_names(names.iter().copied());
        findings.iter().map(|finding| finding.refused.code()).collect::<Vec<_>>()
    };
    let required = ["record.ndjson", "head.json", "manifest.dsse.json"];
    let with = |more: &[&'static str]| [&required[..], more].concat();
    assert_eq!(codes(&required), []);
    assert_eq!(
        codes(&with(&["lineage.ndjson", "data/a/b.json", "policy.txt", "ro-crate-metadata.json"])),
        []
    );
    assert_eq!(codes(&required[1..]), [Code::FileMissing]);
    assert_eq!(codes(&["RECORD.ndjson", required[1], required[2]]), [Code::FileUnknown, Code::FileMissing]);
    assert_eq!(codes(&with(&["lineage.ndjson"])), [Code::Lineage]);
    assert_eq!(codes(&with(&["policy.txt", "policy.txt"])), [Code::FileTwice]);
    assert_eq!(codes(&with(&["POLICY.TXT"])), [Code::FileUnknown]);
    assert_eq!(codes(&with(&["data/", "lineage.ndjson"])), [Code::FilePath]);
    assert_eq!(codes(&with(&["data/é", "lineage.ndjson"])), [Code::FilePath]);
}
