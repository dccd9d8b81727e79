//! What a researcher gets, by what participants agreed to under the seal and by now.

use super::*;

fn stream(number: u128) -> StreamId {
    StreamId::participant(participant(number))
}

async fn withdraw(ledger: &Ledger, number: u128) {
    let withdrawn = json!({"scope": ["future-data"], "withdrawnOn": "2026-02-01"});
    ledger.record(DEMO, stream(number), "consent.withdrawn", withdrawn).await;
}

/// The participants of whom a researcher's dataset shows data, and its files.
async fn shown(ledger: &Ledger) -> (Vec<u128>, Files) {
    let status = export(ledger, Role::Researcher, "").await;
    assert_eq!((&status["state"], &status["seal"]), (&json!("done"), &json!(0)));
    shown_in(ledger, &status).await
}

async fn shown_in(ledger: &Ledger, status: &Value) -> (Vec<u128>, Files) {
    let files = unzip(zip_of(ledger, Role::Researcher, status).await);
    check(ledger, &files);
    traced(&files);
    let lines = record_lines(&files);
    let is_shown = |number: &u128| {
        let subject = stream(*number).to_string();
        lines.iter().any(|line| line["header"]["subject"] == subject.as_str() && line["data"].is_object())
    };
    ((1..=3).filter(is_shown).collect(), files)
}

#[actix_web::test]
async fn a_withdrawal_after_the_seal_binds_the_next_dataset_of_that_seal() {
    let ledger = ledger().await;
    assert_eq!(shown(&ledger).await.0, [1]);
    withdraw(&ledger, 1).await;
    let (participants, files) = shown(&ledger).await;
    assert!(participants.is_empty());
    let all = files.values().map(|bytes| String::from_utf8_lossy(bytes)).collect::<String>();
    assert!(!all.contains("01-001") && !all.contains("71.0"));
}

/// What is said of who took datasets away, by somebody who may know.
async fn takings(ledger: &Ledger) -> Vec<Value> {
    ledger.seal().await;
    let status = export(ledger, Role::Monitor, "").await;
    let lines = record_lines(&unzip(zip_of(ledger, Role::Monitor, &status).await));
    lines.into_iter().filter(|line| line["header"]["type"] == "record.read").collect()
}

#[actix_web::test]
async fn who_takes_a_dataset_away_is_recorded_before_they_have_it() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Researcher, r#"{"purpose": "a review of doses"}"#).await;
    let uri = format!("/v1/exports/{}/dataset.zip", status["id"].as_str().unwrap());
    assert!(takings(&ledger).await.is_empty(), "asking for one is not taking it");
    let zip = ledger.get(Role::Researcher, &uri).await;
    let known = as_role(Role::Researcher, &uri).insert_header(("if-none-match", zip.header("etag")));
    assert_eq!(ledger.ask(known).await.status, 304);
    ledger.ask(as_role(Role::Sponsor, &uri).insert_header(("purpose-of-use", "an inspection"))).await;
    let takings = takings(&ledger).await;
    let said: Vec<_> =
        takings.iter().map(|line| (line["header"]["actorrole"].as_str().unwrap(), &line["data"])).collect();
    let data = |purpose: &str| json!({"reading": "dataset", "extent": "consenting", "export": status["id"], "purpose": purpose});
    // The monitor's taking of the list before comes first.
    assert_eq!(said[0].0, "monitor");
    assert_eq!((said[0].1["extent"].as_str(), said[0].1.get("purpose")), (Some("trial"), None));
    assert_eq!(said[1..], [("researcher", &data("a review of doses")), ("sponsor", &data("an inspection"))]);
    let stream = StreamId::access_to_trial(&trial(DEMO)).to_string();
    assert!(takings.iter().all(|line| line["header"]["subject"] == stream.as_str()));

    // A researcher sees that others read, and not what.
    let status = export(&ledger, Role::Researcher, "").await;
    let lines = record_lines(&unzip(zip_of(&ledger, Role::Researcher, &status).await));
    let mut reads = lines.iter().filter(|line| line["header"]["type"] == "record.read").peekable();
    assert!(reads.peek().is_some() && reads.all(|line| line["withheld"] == "out-of-scope"));
}

#[actix_web::test]
async fn a_later_consent_that_does_not_share_binds_as_well() {
    let ledger = ledger().await;
    let mut anew = consent(false);
    anew["signedOn"] = "2026-02-01".into();
    ledger.record(DEMO, stream(1), "consent.signed", anew).await;
    assert!(shown(&ledger).await.0.is_empty());
}

#[actix_web::test]
async fn a_consent_after_the_seal_does_not_reach_back() {
    let ledger = ledger().await;
    let mut anew = consent(true);
    anew["signedOn"] = "2026-03-01".into();
    for number in [2, 3] {
        ledger.record(DEMO, stream(number), "consent.signed", anew.clone()).await;
    }
    assert_eq!(shown(&ledger).await.0, [1]);
}

#[actix_web::test]
async fn who_may_have_everything_has_it_whatever_was_withdrawn() {
    let ledger = ledger().await;
    let before = export(&ledger, Role::Monitor, "").await;
    withdraw(&ledger, 1).await;
    let after = export(&ledger, Role::Monitor, "").await;
    assert_eq!(before["sha256"], after["sha256"]);
}

#[actix_web::test]
async fn an_export_that_is_taken_up_again_reads_the_rights_afresh() {
    let ledger = ledger().await;
    let before = export(&ledger, Role::Researcher, "").await;
    let id = interrupt(&ledger, &before).await;
    withdraw(&ledger, 1).await;
    assert_eq!(ledger.exporter().resume_exports().await.unwrap(), 1);
    ended(&ledger, id).await;
    let after = ledger.get(Role::Researcher, &format!("/v1/exports/{id}")).await.json();
    assert_eq!((&after["state"], &after["seal"]), (&json!("done"), &before["seal"]));
    assert!(shown_in(&ledger, &after).await.0.is_empty());
}

#[actix_web::test]
async fn a_damaged_event_after_the_seal_fails_a_researchers_export() {
    let ledger = ledger().await;
    withdraw(&ledger, 1).await;
    let damaged = std::sync::Arc::new(Damaged { ledger, change: |row| row.header[20] ^= 1, trialseq: 17 });
    let exporter = damaged.ledger.exporter_over(damaged.clone());
    let order = crate::testing::order("person-1", crate::Shown::Consented, None);
    let id = exporter.begin(order).await.unwrap().status.id;
    ended(&damaged.ledger, id).await;
    let status = damaged.ledger.get(Role::Researcher, &format!("/v1/exports/{id}")).await.json();
    assert_eq!(status["state"], "failed");
    assert!(status["problem"].as_str().unwrap().starts_with("event 17 of trial DEMO-1 is damaged"));
}

#[actix_web::test]
async fn rows_that_name_nobody_are_shown_only_where_they_describe_the_trial() {
    let ledger = Ledger::new().await;
    ledger.register(DEMO, "A trial").await;
    let datasets = ["TA", "TD", "TE", "TI", "TM", "TS", "TV", "XP", "ts", "TSX"];
    for (number, dataset) in (1..).zip(datasets) {
        let import = ImportId(Uuid::from_u128(number));
        let stream = StreamId::import(import);
        ledger.record(DEMO, stream, "import.started", started(dataset, &[("PATIENT", "string")])).await;
        let row = json!({"import": import, "dataset": dataset, "row": 0,
                         "record": {"PATIENT": format!("says-{dataset}.")}});
        ledger.record(DEMO, stream, "data.imported", row).await;
    }
    ledger.seal().await;
    let status = export(&ledger, Role::Researcher, "").await;
    assert_eq!((&status["state"], &status["withheld"]), (&json!("done"), &json!(3)));
    let files = unzip(zip_of(&ledger, Role::Researcher, &status).await);
    check(&ledger, &files);
    assert_eq!(traced(&files), 7);
    let all = files.values().map(|bytes| String::from_utf8_lossy(bytes)).collect::<String>();
    for dataset in datasets {
        let is_design = dataset.len() == 2 && dataset.starts_with('T');
        assert_eq!(all.contains(&format!("says-{dataset}.")), is_design, "{dataset}");
    }
    let rows = record_lines(&files).into_iter().filter(|line| line["header"]["type"] == "data.imported");
    let withheld: Vec<_> = rows.filter(|line| line["withheld"] == "no-consent").collect();
    assert_eq!(withheld.len(), 3);
    for line in lines(&files, LINEAGE).into_iter().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        assert!(
            !["data/xp.json", "data/ts-2.json", "data/tsx.json"].contains(&line["table"].as_str().unwrap())
        );
    }
    let everything = export(&ledger, Role::Monitor, "").await;
    assert_eq!(everything["withheld"], 0);
}

/// A dataset is handed on, so it unblinds nobody: whoever asks for it, the arm is not in it.
#[actix_web::test]
async fn what_a_participant_is_given_is_in_no_dataset() {
    let ledger = ledger().await;
    let blinded = StreamId::blinded_of(participant(1));
    ledger.record(DEMO, blinded, "participant.allocated", json!({"armCode": "CANARYARM"})).await;
    ledger.seal().await;
    for role in [Role::Monitor, Role::Researcher] {
        let status = export(&ledger, role, "").await;
        let files = unzip(zip_of(&ledger, role, &status).await);
        check(&ledger, &files);
        let lines = record_lines(&files);
        let line = lines.iter().find(|line| line["header"]["subject"] == blinded.to_string()).unwrap();
        assert_eq!(line["withheld"], "out-of-scope", "{role}");
        assert!(files.values().all(|bytes| !String::from_utf8_lossy(bytes).contains("CANARYARM")), "{role}");
    }
}
