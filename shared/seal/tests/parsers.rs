//! Readers of foreign bytes: they never panic, and what they accept they write again as it was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use trialseal_seal::Code;
use trialseal_seal::absence::Absence;
use trialseal_seal::canonical::{
    MAX_DATA_DEPTH, MAX_DEPTH, MAX_VALUES, check_data, parse, parse_data, to_vec,
};
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::data::{Disclosure, Secret, dataroot, disclose};
use trialseal_seal::dataset::{ExportKey, Manifest};
use trialseal_seal::event::{AfterSeal, Attribute, Header, valid_trial_id};
use trialseal_seal::growth::Growth;
use trialseal_seal::hash::Hash;
use trialseal_seal::note::{SignedNote, VerifierKey};
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::LogProof;
use trialseal_seal::receipt::Receipt;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{
    LISTED_SIZES, LogPath, decode_bundle, decode_sizes, encode_bundle, encode_sizes, timestamp_sizes_path,
};
use trialseal_seal::time::Timestamp;

/// JSON values that the format allows, as data or part of it.
/// A header with every attribute, one that is escaped and one that is not listed among them.
const HEADER: &str = concat!(
    r#"{"actor":"person \"1\"","actorrole":"investigator","afterseal":"7.0000000000000000000000000000000000000000000000000"#,
    r#"000000000000000","causationid":"c","correlationid":"d","datacontenttype":"application/json","dataroot":"1111111111"#,
    r#"111111111111111111111111111111111111111111111111111111","dataschema":"urn:trialseal:data.recorded:1","id":"019b76"#,
    r#"da-abe8-79c3-bf62-c66415e96cb7","organisation":"Clinic","source":"ledger.example.org/main","specversion":"1.0","#,
    r#""streamseq":3,"subject":"participant/00000000-0000-0000-0000-000000000001","time":"2026-01-02T03:04:05.000006Z","#,
    r#""trial":"T-1","trialseq":9,"type":"data.recorded"}"#,
);

#[test]
fn a_whole_header_is_read_from_bytes() {
    let header = Header::read(HEADER.as_bytes()).expect("header");
    assert_eq!(header.canonical(), HEADER.as_bytes());
    assert_eq!((header.actor.as_str(), header.trialseq), ("person \"1\"", 9));
    assert_eq!(header.extra["organisation"], Attribute::Text("Clinic".into()));
}

fn value() -> impl Strategy<Value = Value> {
    let integer = -9_007_199_254_740_991_i64..=9_007_199_254_740_991;
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(object),
        ]
    })
}

fn object(members: BTreeMap<String, Value>) -> Value {
    Value::Object(members.into_iter().collect())
}

fn data() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-c~/0-9€😀]{0,3}", value(), 0..6).prop_map(object)
}

/// Texts that look like something: pieces of the formats in any order.
fn text() -> impl Strategy<Value = String> {
    let pieces = [
        "c2sp.org/tlog-proof@v1\n",
        "index 1\n",
        "\n\n",
        "\n",
        "— w ",
        "origin\n",
        "12\n",
        "AAAA",
        "+00000000+",
        "log ",
        "witness ",
        "group a any ",
        "quorum none\n",
        "tile/",
        "entries/",
        "x001/",
        "234",
        ".p/",
        "notes/",
        "0.",
        "{",
        "\"format\":",
        "}",
        "[",
        "]",
        "\u{0}",
        "Z",
        "é",
    ];
    let piece = prop_oneof![prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), "\\PC{0,12}"];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Reads a text as everything there is.
fn read_as_everything(text: &str) {
    let bytes = text.as_bytes();
    let _ = (Receipt::parse(bytes), Growth::parse(bytes), Absence::parse(bytes), parse_data(bytes));
    let _ =
        (text.parse::<Hash>(), text.parse::<Secret>(), text.parse::<Timestamp>(), text.parse::<AfterSeal>());
    let _ = (
        text.parse::<VerifierKey>(),
        text.parse::<ExportKey>(),
        Policy::parse(text),
        Checkpoint::parse(text),
    );
    let _ = (SignedNote::parse(text), LogProof::parse(text), text.parse::<LogPath>(), valid_trial_id(text));
    let _ = decode_bundle(bytes);
    if let Ok(proof) = LogProof::parse(text) {
        assert_eq!(proof.encode(), text);
    }
    if let Ok(note) = SignedNote::parse(text) {
        assert_eq!(note.encode(), text);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&String::from_utf8_lossy(&bytes));
        let _ = (parse(&bytes, MAX_DEPTH), decode_bundle(&bytes));
    }

    #[test]
    fn any_text_is_read_or_refused(text in text()) {
        read_as_everything(&text);
    }

    #[test]
    fn any_json_is_read_or_refused(value in value(), name in "[a-z]{1,9}") {
        let _ = (Header::parse(&value), Seal::parse(&value), Disclosure::parse(&value));
        let _ = Receipt::from_value(&json!({ "format": "trialseal/receipt/v1", name: value }));
    }

    #[test]
    fn canonical_json_is_that_of_another_writer(value in value()) {
        let canonical = to_vec(&value);
        prop_assert_eq!(&canonical, &serde_json_canonicalizer::to_vec(&value).expect("canonical"));
        prop_assert_eq!(parse(&canonical, MAX_DEPTH).expect("allowed"), value.clone());
        prop_assert_eq!(parse(value.to_string(), MAX_DEPTH).expect("allowed"), value);
    }

    #[test]
    fn disclosures_show_what_they_are_asked_to(data in data(), seed in any::<[u8; 32]>(), which in any::<u64>()) {
        let secret = Secret::from_bytes(seed);
        prop_assert_eq!(check_data(&data), Ok(()));
        let root = dataroot(&secret, &data).expect("allowed");
        let show = |pointer: &str| which >> (pointer.len() % 64) & 1 == 1;
        for disclosure in [disclose(&secret, &data, show), disclose(&secret, &data, |_| true)] {
            prop_assert_eq!(disclosure.verify(&root), Ok(()));
            let read = Disclosure::parse(&disclosure.to_value()).expect("read");
            prop_assert_eq!(&read, &disclosure);
            let mut cut = read;
            cut.fields.pop();
            prop_assert!(cut.verify(&root).is_err());
        }
        for shown in disclose(&secret, &data, |_| true).shown() {
            prop_assert!(data.pointer(&shown.pointer).is_some());
        }
    }

    #[test]
    fn headers_are_written_canonically(
        texts in prop::collection::vec("\\PC{1,9}", 6), numbers in prop::collection::vec(0..=2_147_483_647_u32, 2),
        extra in prop::collection::btree_map("x[a-z0-9]{0,19}", "\\PC{1,9}", 0..4), seal in prop::option::of(0..1_000_u64),
    ) {
        let header = Header {
            id: "019b76da-abe8-79c3-bf62-c66415e96cb7".into(),
            source: texts[0].clone(),
            kind: texts[1].clone(),
            subject: texts[2].clone(),
            time: Timestamp::from_micros(1),
            trial: "T-1".into(),
            trialseq: numbers[0],
            streamseq: numbers[1],
            actor: texts[3].clone(),
            actorrole: texts[4].clone(),
            dataschema: format!("urn:trialseal:{}:1", texts[1]),
            dataroot: Hash::ZERO,
            afterseal: seal.map(|seal| AfterSeal { seal, leaf: Hash::ZERO }),
            correlationid: seal.map(|_| texts[5].clone()),
            causationid: None,
            extra: extra.into_iter().map(|(name, text)| (name, Attribute::Text(text))).collect(),
        };
        let canonical = header.canonical();
        prop_assert_eq!(&canonical, &to_vec(&header.to_value()));
        let value = parse(&canonical, MAX_DEPTH).expect("strict");
        prop_assert_eq!(&Header::parse(&value).expect("header"), &header);
        prop_assert_eq!(Header::read(&canonical).expect("header"), header);
    }

    #[test]
    fn a_header_is_read_from_bytes_as_from_json(at in any::<prop::sample::Index>(), byte in any::<u8>(), more in 0..4_usize) {
        let mut text = HEADER.to_owned().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let member = [r#""actor":"somebody","#, r#""more":1,"#, r#""more":-1,"#, ""][more];
        text.splice(1..1, member.bytes());
        let by_tree = parse(&text, MAX_DEPTH).and_then(|value| Header::parse(&value));
        prop_assert_eq!(Header::read(&text), by_tree);
    }

    #[test]
    fn paths_read_back(level in 0..=63_u8, index in 0..u64::MAX / 2, width in prop::option::of(1..=255_u8)) {
        for path in [LogPath::Tile { level, index, width }, LogPath::Entries { index, width }, LogPath::Note { size: index }, LogPath::Timestamp { size: index }, LogPath::TimestampSizes { index }] {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn bundles_read_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
        let bundle = encode_bundle(&entries).expect("short entries");
        prop_assert_eq!(decode_bundle(&bundle).expect("bundle"), entries);
    }
}

#[test]
fn tile_paths_have_one_spelling() {
    let path = LogPath::Tile { level: 1, index: 1_234_067, width: Some(8) };
    assert_eq!(path.to_string(), "tile/1/x001/x234/067.p/8");
    assert_eq!(LogPath::Note { size: 1234 }.to_string(), "notes/x001/234");
    assert_eq!(LogPath::Timestamp { size: 1234 }.to_string(), "timestamps/x001/234.tsr");
    assert_eq!(timestamp_sizes_path(2 << 16), "timestamps/sizes/002");
    for text in [
        "tile/1/x001/x234/67",
        "tile/1/001/234/067",
        "tile/1/x000/067",
        "tile/01/067",
        "tile/64/067",
        "tile/1/067.p/0",
        "tile/1/067.p/256",
        "tile/1/067.p/08",
        "/tile/1/067",
        "tile/entries/67",
        "tile/1/",
        "notes/007.p/1",
        "notes/7",
        "timestamps/7.tsr",
        "timestamps/007",
        "timestamps/007.tsr.tsr",
        "timestamps/sizes/007.tsr",
        "tile/1/x018/x446/x744/x073/x709/x551/616",
    ] {
        assert_eq!(text.parse::<LogPath>().expect_err(text).code(), Code::TilePath);
    }
}

#[test]
fn lists_of_timestamps_are_in_order_and_in_their_place() {
    let sizes = [LISTED_SIZES, LISTED_SIZES + 600, 2 * LISTED_SIZES - 1];
    assert_eq!(decode_sizes(1, encode_sizes(&sizes).as_bytes()), Ok(sizes.to_vec()));
    assert_eq!(decode_sizes(0, b""), Ok(Vec::new()));
    for text in ["7", "7\n7\n", "8\n7\n", "07\n", "7\r\n", "\n", "65536\n", "-1\n", "\u{e9}\n"] {
        assert_eq!(decode_sizes(0, text.as_bytes()).expect_err(text).code(), Code::SizesMalformed);
    }
    decode_sizes(0, &[0xff, 10]).expect_err("no text");
}

#[test]
fn bundles_have_bounds() {
    assert_eq!(encode_bundle(&[vec![0; 65_536]]).expect_err("long").code(), Code::EntryTooLarge);
    assert_eq!(decode_bundle(&[0, 2, 1]).expect_err("cut").code(), Code::BundleMalformed);
    assert_eq!(decode_bundle(&[0; 2 * 257]).expect_err("many").code(), Code::BundleMalformed);
    assert_eq!(decode_bundle(&[0; 2 * 256]).expect("full").len(), 256);
}

#[test]
fn json_depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(MAX_DEPTH), MAX_DEPTH).is_ok());
    assert!(parse(nested(MAX_DEPTH), usize::MAX).is_ok());
    for depth in [MAX_DEPTH + 1, 1_000_000] {
        assert_eq!(parse(nested(depth), usize::MAX).expect_err("deep").code(), Code::TooDeep);
    }
    // The object at the top and a number at the bottom are levels as well.
    let data = |arrays: usize| format!("{{\"a\":{}1{}}}", "[".repeat(arrays), "]".repeat(arrays));
    assert!(parse_data(data(MAX_DATA_DEPTH - 2)).is_ok());
    assert_eq!(parse_data(data(MAX_DATA_DEPTH - 1)).expect_err("deep").code(), Code::TooDeep);
}

#[test]
fn data_that_was_not_read_here_is_checked() {
    assert_eq!(check_data(&json!([1])).expect_err("array").code(), Code::NotAnObject);
    assert_eq!(check_data(&json!({ "a": 1.5 })).expect_err("fraction").code(), Code::NotAnInteger);
    assert_eq!(check_data(&json!({ "a": [u64::MAX] })).expect_err("large").code(), Code::NotAnInteger);
    let deep = (0..MAX_DATA_DEPTH).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert_eq!(check_data(&deep).expect_err("deep").code(), Code::TooDeep);
    assert_eq!(dataroot(&Secret::from_bytes([0; 32]), &deep).expect_err("deep").code(), Code::TooDeep);
}

#[test]
fn secrets_are_not_shown() {
    let secret = Secret::from_bytes([0xab; 32]);
    assert!(!format!("{secret:?}").contains("ab"));
    assert_eq!(secret.to_hex().parse::<Secret>(), Ok(secret));
}

#[test]
fn refusals_say_what_and_where_in_one_sentence() {
    let refused = Receipt::parse(b"{}").expect_err("empty");
    assert_eq!(refused.to_string(), "format: a member is missing");
    let refused = parse("{", MAX_DEPTH).expect_err("cut");
    assert_eq!(refused.to_string(), "this is not well-formed JSON");
}

#[test]
fn json_of_too_many_values_is_not_read() {
    let list = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
    assert!(parse(list(MAX_VALUES), MAX_DEPTH).is_ok());
    let refused = parse(list(MAX_VALUES + 1), MAX_DEPTH).expect_err("too many");
    assert_eq!(refused.code(), Code::TooManyValues);
    assert!(refused.code().is_own_limit());
    let objects = format!("[{}{{}}]", "{\"\":[]},".repeat(MAX_VALUES / 2));
    assert_eq!(parse(objects, MAX_DEPTH).expect_err("too many").code(), Code::TooManyValues);
}

#[test]
fn manifests_do_not_list_themselves_or_a_file_twice() {
    let code = |names: &[&str]| {
        let files = names.iter().map(|name| ((*name).to_owned(), Hash::ZERO));
        Manifest::new(files).expect_err("refused").code()
    };
    assert_eq!(code(&["manifest.dsse.json"]), Code::Statement);
    assert_eq!(code(&["data/a", "data/A"]), Code::FileTwice);
    assert_eq!(code(&["data/../a"]), Code::FilePath);
    assert_eq!(code(&["notes"]), Code::FileUnknown);
}
