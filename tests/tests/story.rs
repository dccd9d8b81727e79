//! A whole trial through the API, and everything about it checked by somebody who trusts nobody.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};
use trialseal_tests::{
    Client, Engine, Role, Service, Trial, Verifier, bodies, events_of, laboratory, on_both_engines, seed,
};

on_both_engines!(
    a_trial_from_registration_to_results,
    proofs_grow_with_the_record,
    a_command_is_carried_out_once,
    refusals_say_what_and_why,
    waiting_for_the_seal,
    a_stream_goes_on_where_it_broke_off,
    corrections_keep_what_was_there,
    files_are_taken_whole_or_not_at_all,
);

/// A participant's way through a trial, and the whole trial around it.
fn record_everything(service: &Service, id: &str) -> (Trial, String) {
    let trial = Trial::open(service, id);
    let participant = trial.enrol("101-001", true);
    trial.about(&participant, "visits", &bodies::visit("Baseline"));
    trial.about(&participant, "data", &bodies::data("Baseline", "81.40"));
    trial.about(
        &participant,
        "data/corrections",
        &bodies::correction("Baseline", "81.40", "84.10", "Transposed"),
    );
    trial.about(&participant, "adverse-events", &bodies::adverse_event("Headache"));
    let withdrawing = trial.enrol("101-002", true);
    let withdrawal = json!({"scope": ["intervention", "future-data"], "withdrawnOn": "2025-03-05"});
    trial.about(&withdrawing, "consent-withdrawals", &withdrawal);
    let gone = json!({"status": "discontinued", "on": "2025-03-06", "reason": "Withdrew"});
    trial.about(&withdrawing, "disposition", &gone);
    let failed = trial.screen("101-003");
    trial.about(&failed, "disposition", &json!({"status": "screen-failed", "on": "2025-02-04"}));
    trial.about(&participant, "disposition", &json!({"status": "completed", "on": "2025-06-01"}));
    trial.sponsor("results", &bodies::results());
    (trial, participant)
}

fn a_trial_from_registration_to_results(engine: Engine) {
    let service = Service::start(engine);
    let (trial, participant) = record_everything(&service, "STORY-1");
    service.wait_until_sealed();
    let monitor = service.client(Role::Monitor);
    let verifier = Verifier::of(&service);

    let listed = events_of(&monitor, &trial.id);
    let acknowledged = trial.acknowledged();
    assert_eq!(listed.len(), acknowledged.len());
    for (listed, acknowledged) in listed.iter().zip(&acknowledged) {
        let header = &listed["header"];
        assert_eq!(listed["eventleaf"], acknowledged["eventleaf"]);
        for member in ["id", "trialseq", "type", "subject", "time"] {
            assert_eq!(header[member], acknowledged[member], "{member}");
        }
        let receipt = monitor.json(&trial.path(&format!("events/{}/receipt", header["trialseq"])));
        let verdict = verifier.document("receipt", &receipt);
        verdict.assert_sound();
        assert_eq!(receipt["header"], *header);
        assert!(receipt["fields"].as_array().is_some_and(|fields| !fields.is_empty()));
        assert!(receipt["bracket"]["before"].is_object());
    }
    let kinds: Vec<&str> = listed.iter().map(|event| event["header"]["type"].as_str().unwrap()).collect();
    let expected = [
        "trial.registered",
        "protocol.version-submitted",
        "consent.version-published",
        "irb.decision-recorded",
        "site.activated",
        "participant.screened",
        "consent.signed",
        "participant.enrolled",
        "visit.occurred",
        "data.recorded",
        "data.corrected",
        "adverse-event.reported",
        "participant.screened",
        "consent.signed",
        "participant.enrolled",
        "consent.withdrawn",
        "participant.discontinued",
        "participant.screened",
        "participant.screen-failed",
        "participant.completed",
        "results.submitted",
    ];
    assert_eq!(kinds, expected);

    let (keys, others): (Vec<_>, Vec<_>) = events_of(&monitor, "_ledger")
        .into_iter()
        .partition(|event| event["header"]["type"] == "key.registered");
    assert_eq!(keys.len(), 2);
    let (policies, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|event| event["header"]["type"] == "policy.changed");
    assert_eq!(policies.len(), 1);
    assert!(others.iter().all(|event| event["header"]["type"] == "role.granted"), "{others:?}");
    for key in &keys {
        // <name>+<key id>+<base64>
        let verifier_key = key["data"]["verifierKey"].as_str().unwrap();
        assert_eq!(verifier_key.split('+').nth(1), key["data"]["keyId"].as_str());
    }
    let export_key = service.anonymous().get("/v1/export-key").expect(200).text();
    assert!(keys.iter().any(|key| key["data"]["verifierKey"] == export_key.trim()));
    verifier.log(&service.published()).assert_sound();
    assert_trial_is_told(&service, &trial, &participant);
}

/// What the read models say of [`record_everything`].
fn assert_trial_is_told(service: &Service, trial: &Trial, participant: &str) {
    service.wait_until_folded(&trial.id);
    let monitor = service.client(Role::Monitor);
    let overview = monitor.json(&trial.path("overview"));
    assert_eq!(overview["title"], "A trial of tests");
    let counts = &overview["counts"];
    for (what, number) in [
        ("events", 21),
        ("sites", 1),
        ("participants", 3),
        ("screenFailed", 1),
        ("enrolled", 2),
        ("discontinued", 1),
        ("completed", 1),
        ("consentsSigned", 2),
        ("consentsWithdrawn", 1),
        ("visits", 1),
        ("dataRecorded", 1),
        ("dataCorrected", 1),
        ("adverseEvents", 1),
    ] {
        assert_eq!(counts[what], number, "{what}: {counts}");
    }
    let people = monitor.json(&trial.path("participants"));
    let people = people["participants"].as_array().unwrap();
    assert_eq!(people.len(), 3);
    let person = people.iter().find(|person| person["participant"] == participant).unwrap();
    assert_eq!((&person["subjectNumber"], &person["status"]), (&json!("101-001"), &json!("completed")));
    let timeline = monitor.json(&trial.path(&format!("participants/{participant}/timeline")));
    let entries = timeline["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 8);
    assert_eq!(entries[0]["type"], "participant.screened");
    assert_eq!(entries[0]["happened"], "2025-02-01");
    assert!(timeline["sealedBelow"].as_u64().unwrap() >= 21);
}

fn proofs_grow_with_the_record(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "GROWTH-1");
    service.wait_until_sealed();
    let monitor = service.client(Role::Monitor);
    let newest = || monitor.json("/v1/seals?limit=1")["newest"].as_u64().unwrap();
    let from = newest();
    trial.enrol("101-001", true);
    service.wait_until_sealed();
    let to = newest();
    assert!(from < to);

    let verifier = Verifier::of(&service);
    let growth = monitor.json(&trial.path(&format!("growth?from={from}&to={to}")));
    verifier.document("growth", &growth).assert_sound();
    assert_eq!((&growth["from"]["head"]["size"], &growth["to"]["head"]["size"]), (&json!(5), &json!(8)));
    let mut forged = growth.clone();
    forged["to"]["head"]["size"] = json!(9);
    assert_eq!(verifier.document("growth", &forged).code, 1);
    monitor.get(&trial.path(&format!("growth?from={to}&to={from}"))).problem(422, "invalid");

    let absence = monitor.json(&format!("/v1/trials/NOT-THERE/absence?seal={to}"));
    verifier.document("absence", &absence).assert_sound();
    assert_eq!(absence["trial"], "NOT-THERE");
    monitor.get(&trial.path(&format!("absence?seal={to}"))).problem(422, "invalid");
    monitor.get(&trial.path(&format!("absence?seal={}", to + 1_000_000))).problem(404, "not-found");

    let part = monitor.json(&trial.path("events/0/receipt?fields=/title"));
    verifier.document("receipt", &part).assert_sound();
    let shown: Vec<&Value> =
        part["fields"].as_array().unwrap().iter().filter(|field| field.is_object()).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["value"], "A trial of tests");
    let mut forged = part.clone();
    let field = forged["fields"].as_array_mut().unwrap().iter_mut().find(|field| field.is_object()).unwrap();
    field["value"] = json!("A trial of something else");
    assert_eq!(verifier.document("receipt", &forged).code, 1);
}

fn a_command_is_carried_out_once(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "ONCE-1");
    let investigator = service.client(Role::Investigator);
    let path = trial.path("participants");
    let body = bodies::screening(&trial.site, "101-001");
    let first = investigator.post(&path, "once", &body).expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = investigator.post(&path, "once", &body).expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.json(), again.json());

    // The same content, spelt in another way, is the same content.
    let spelt = format!(
        r#"{{ "screenedOn":"2025-02-01", "subjectNumber":"\u0031\u0030\u0031-001","site":"{}" }}"#,
        trial.site
    );
    let spelt = investigator.try_post_text(&path, "once", &spelt).unwrap().expect(201);
    assert_eq!(first.json(), spelt.json());

    let other = bodies::screening(&trial.site, "101-002");
    investigator.post(&path, "once", &other).problem(409, "conflict");
    let elsewhere = Trial::open(&service, "ONCE-2");
    let body = bodies::screening(&elsewhere.site, "101-001");
    investigator.post(&elsewhere.path("participants"), "once", &body).expect(201);
    assert_eq!(events_of(&service.client(Role::Monitor), &trial.id).len(), 6);

    let registered = service.client(Role::Sponsor);
    let again = registered.post("/v1/trials", "registration", &bodies::registration("ONCE-1")).expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let refused = registered.post("/v1/trials", "another", &bodies::registration("ONCE-1"));
    assert_eq!(refused.problem(409, "rule-refused")["rule"], "trial.id-unused");
}

fn refusals_say_what_and_why(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "REFUSED-1");
    let (investigator, sponsor) = (service.client(Role::Investigator), service.client(Role::Sponsor));
    let people = trial.path("participants");
    let screening = bodies::screening(&trial.site, "101-001");

    let headers = [("Content-Type", "application/json")];
    let keyless = investigator.send("POST", &people, &headers, screening.to_string()).unwrap();
    keyless.problem(400, "idempotency-key-missing");
    let plain = [("Content-Type", "text/plain"), ("Idempotency-Key", "k")];
    let plain = investigator.send("POST", &people, &plain, screening.to_string()).unwrap();
    plain.problem(415, "unsupported-media-type");

    let send = |text: &str| investigator.try_post_text(&people, "k", text).unwrap();
    send("{").problem(400, "malformed");
    let twice =
        format!(r#"{{"site":"{0}","site":"{0}","subjectNumber":"1","screenedOn":"2025-02-01"}}"#, trial.site);
    send(&twice).problem(400, "malformed");
    let mut unknown = screening.clone();
    unknown["time"] = json!("2020-01-01T00:00:00Z");
    send(&unknown.to_string()).problem(422, "invalid");
    let mut impossible = screening.clone();
    impossible["screenedOn"] = json!("2025-02-30");
    send(&impossible.to_string()).problem(422, "invalid");

    let participant = trial.screen("101-001");
    let early = investigator.post(
        &trial.path(&format!("participants/{participant}/enrolment")),
        "early",
        &json!({"enrolledOn": "2025-02-03"}),
    );
    let early = early.problem(409, "rule-refused");
    assert_eq!(early["rule"], "consent.in-force");
    assert!(early["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    let number_taken = investigator.post(&people, "taken", &screening).problem(409, "rule-refused");
    assert_eq!(number_taken["rule"], "participant.subject-number-unique");

    trial.about(&participant, "consents", &bodies::consent(true));
    trial.about(&participant, "data", &bodies::data("Baseline", "81.40"));
    let corrections = trial.path(&format!("participants/{participant}/data/corrections"));
    let without = bodies::correction("Baseline", "81.40", "84.10", "");
    let problem = investigator.post(&corrections, "no-reason", &without).problem(422, "invalid");
    assert_eq!(problem["rule"], "correction.reason-required");
    let with = bodies::correction("Baseline", "81.40", "84.10", "Transposed");
    let problem = sponsor.post(&corrections, "sponsor", &with).problem(403, "rule-forbidden");
    assert_eq!(problem["rule"], "correction.investigator-data");

    let monitor = service.client(Role::Monitor);
    monitor.get("/v1/trials/NOT-THERE/events").problem(404, "not-found");
    monitor.get("/no/such/route").problem(404, "not-found");
    monitor.get(&trial.path("events/999999/receipt")).problem(404, "not-found");
    let wrong = monitor.send("DELETE", &trial.path("events"), &[], ureq::SendBody::none()).unwrap();
    wrong.problem(405, "method-not-allowed");
    assert_eq!(wrong.header("allow"), "GET, HEAD");
    let head = monitor.send("HEAD", &trial.path("events"), &[], ureq::SendBody::none()).unwrap().expect(200);
    assert_eq!(head.text(), "");
    monitor.get(&trial.path("participants?after=%00")).problem(400, "malformed");
    monitor.get(&trial.path("stream?after=9223372036854775807")).problem(400, "malformed");
    monitor.get(&trial.path("events?limit=many")).problem(400, "malformed");
}

fn waiting_for_the_seal(engine: Engine) {
    // Seals come so seldom here that a receipt is asked for before there is one.
    let service = Service::start_with(engine, &[("TRIALSEAL_SEAL_INTERVAL_MS", "1500")]);
    let trial = Trial::open(&service, "WAIT-1");
    let (investigator, monitor) = (service.client(Role::Investigator), service.client(Role::Monitor));
    let path = trial.path("participants?wait=sealed");
    let sealed =
        investigator.post(&path, "waits", &bodies::screening(&trial.site, "101-001")).expect(201).json();
    assert_eq!(sealed["level"], "sealed");
    let receipt = monitor.get(&trial.path(&format!("events/{}/receipt", sealed["events"][0]["trialseq"])));
    Verifier::of(&service).document("receipt", &receipt.expect(200).json()).assert_sound();

    // A seal may be made in the very moment between the two requests, so it is tried more than once.
    let receipt_at_once = |number: u32| {
        let name = format!("101-1{number:02}");
        let body = bodies::screening(&trial.site, &name);
        let recorded = investigator.post(&trial.path("participants"), &name, &body).expect(201).json();
        assert_eq!(recorded["level"], "recorded");
        monitor.get(&trial.path(&format!("events/{}/receipt", recorded["events"][0]["trialseq"])))
    };
    let early = (0..20).map(receipt_at_once).find(|answer| answer.status == 409);
    let early = early.expect("in 20 tries none was asked for before its seal");
    early.problem(409, "not-yet-sealed");
    assert!(early.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
}

fn a_stream_goes_on_where_it_broke_off(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "STREAM-1");
    let monitor = service.client(Role::Monitor);
    let path = trial.path("stream");
    let first = events_from_stream(&monitor, &path, &[], 3);
    assert_eq!(first.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 1, 2]);
    let rest = events_from_stream(&monitor, &path, &[("Last-Event-ID", "2")], 2);
    assert_eq!(rest.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 4]);

    // What is recorded while somebody listens is told at once, as is that they listen.
    let size = monitor.json(&trial.path("events?limit=1"))["size"].as_u64().unwrap();
    let last = (size - 1).to_string();
    let (told, sent) = std::thread::scope(|scope| {
        let listening = scope.spawn(|| events_from_stream(&monitor, &path, &[("Last-Event-ID", &last)], 2));
        let sent = service.client(Role::Investigator).post(
            &trial.path("participants"),
            "live",
            &bodies::screening(&trial.site, "101-001"),
        );
        (listening.join().unwrap(), sent.expect(201).json())
    });
    let (listening, told): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|(_, event)| event["header"]["type"] == "record.read");
    assert_eq!((listening.len(), &listening[0].1["data"]["reading"]), (1, &json!("stream")));
    assert_eq!(told[0].1["header"]["id"], sent["events"][0]["id"]);
    let listed = events_of(&monitor, &trial.id);
    let streamed = first.iter().chain(&rest).chain(&told).map(|(_, event)| event);
    assert!(streamed.eq(listed.iter()));
    let odd = monitor.send("GET", &path, &[("Last-Event-ID", "x")], ureq::SendBody::none()).unwrap();
    odd.problem(400, "malformed");
}

/// The next events of a stream, with their ids.
fn events_from_stream(
    client: &Client,
    path: &str,
    headers: &[(&str, &str)],
    count: usize,
) -> Vec<(u64, Value)> {
    let mut events = Vec::new();
    let mut id = None;
    for line in BufReader::new(client.stream(path, headers)).lines() {
        let line = line.unwrap();
        if let Some(text) = line.strip_prefix("id: ") {
            id = Some(text.parse().unwrap());
        } else if let Some(data) = line.strip_prefix("data: ") {
            events.push((id.take().unwrap(), serde_json::from_str(data).unwrap()));
            if events.len() == count {
                break;
            }
        }
    }
    assert_eq!(events.len(), count, "the stream ended");
    events
}

fn corrections_keep_what_was_there(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "DATA-1");
    let participant = trial.enrol("101-001", true);
    trial.about(&participant, "data", &bodies::data("Baseline", "81.40"));
    trial.about(
        &participant,
        "data/corrections",
        &bodies::correction("Baseline", "81.40", "84.10", "Transposed"),
    );
    trial.about(
        &participant,
        "data/corrections",
        &bodies::correction("Baseline", "84.10", "84.1", "As printed"),
    );
    service.wait_until_folded(&trial.id);
    let data = service.client(Role::Monitor).json(&trial.path(&format!("data?participant={participant}")));
    let records = data["records"].as_array().unwrap();
    assert_eq!(records.len(), 1);
    let weight = &records[0]["values"]["IT.VS.WEIGHT"];
    assert_eq!(weight["value"], "84.1");
    assert_eq!(weight["changed"]["reason"], "As printed");
    let history: Vec<&Value> =
        weight["history"].as_array().unwrap().iter().map(|old| &old["value"]).collect();
    assert_eq!(history, [&json!("81.40"), &json!("84.10")]);
    assert_eq!(weight["history"][1]["changed"]["reason"], "Transposed");
}

fn files_are_taken_whole_or_not_at_all(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "FILES-1");
    let monitor = service.client(Role::Monitor);
    trial.enrol("101-001", true);
    let before = events_of(&monitor, &trial.id).len();
    let subjects = ["101-001".to_owned(), "101-002".to_owned()];
    let file = laboratory(&subjects, 40, &mut trialseal_tests::Rng::new(seed("files")));

    let short = file.replacen(",\n[\"GENERATED\",\"LB\",\"101-002\"", ",\n[\"GENERATED\",\"101-002\"", 1);
    assert_ne!(short, file);
    let refused = trial.import(&service, short.as_bytes());
    assert_eq!(refused["state"], "refused");
    assert_eq!(refused["refusedRowsTotal"], 1);
    let row = &refused["refusedRows"][0];
    let line = short.lines().position(|line| line.starts_with("[\"GENERATED\",\"101-002\"")).unwrap() + 1;
    assert_eq!((&row["row"], &row["line"]), (&json!(40), &json!(line)));
    assert_eq!(trial.import(&service, b"{\"rows\": [").as_object().unwrap()["state"], "refused");
    let wrong_count = file.replacen("\"records\":80", "\"records\":81", 1);
    assert_eq!(trial.import(&service, wrong_count.as_bytes())["state"], "refused");
    assert_eq!(events_of(&monitor, &trial.id).len(), before, "a refused file left something");

    let taken = trial.import(&service, file.as_bytes());
    assert_eq!(
        (&taken["state"], &taken["rows"], &taken["rowsRecorded"]),
        (&json!("done"), &json!(80), &json!(80))
    );
    // The second subject is not known, has no consent, and no site.
    assert_eq!(taken["exceptions"]["total"], 40);
    assert_eq!(taken["exceptions"]["byRule"]["consent.in-force"], 40);
    let events = &events_of(&monitor, &trial.id)[before..];
    let rows: Vec<&Value> =
        events.iter().filter(|event| event["header"]["type"] == "data.imported").collect();
    assert_eq!(rows.len(), 80);
    assert_eq!(events.first().unwrap()["header"]["type"], "import.started");
    assert_eq!(events.last().unwrap()["header"]["type"], "import.completed");
    assert_eq!(events.len() as u64, taken["events"].as_u64().unwrap());

    let investigator = service.client(Role::Investigator);
    let path = trial.path("imports");
    let first = investigator.try_post_text(&path, "same-file", &file).unwrap().expect(202);
    trialseal_tests::wait_for_import(&service, &investigator, first.header("location"));
    let again = investigator.try_post_text(&path, "same-file", &file).unwrap().expect(202);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.header("location"), again.header("location"));
    investigator.try_post_text(&path, "same-file", &short).unwrap().problem(409, "conflict");
}
