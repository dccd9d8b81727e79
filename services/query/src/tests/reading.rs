use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::http::Method;
use actix_web::rt::time::timeout;
use actix_web::test::{TestRequest, call_service, init_service};
use serde_json::{Value, json};
use trialseal_record::Role;
use trialseal_record::ids::Scope;
use trialseal_record::view::{Overview, ParticipantView};
use trialseal_seal::time::Timestamp;
use trialseal_store::Seals as _;
use trialseal_store::{PAGE_BYTES, TimestampRow};

use crate::testing::{Counted, Ledger, Short, app, as_role, ask, participant, trial};
use crate::{Query, QueryParts};

async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.screen("DEMO-1", 1).await;
    ledger.screen("DEMO-1", 2).await;
    ledger.register("OTHER", "Another trial").await;
    ledger
}

#[actix_web::test]
async fn without_a_token_only_what_is_public_answers() {
    let ledger = ledger().await;
    ledger.seal().await;
    let closed = [
        "/v1/trials",
        "/v1/trials/DEMO-1/events",
        "/v1/trials/DEMO-1/events/0/receipt",
        "/v1/trials/DEMO-1/growth?from=0&to=0",
        "/v1/trials/DEMO-1/absence",
        "/v1/trials/DEMO-1/stream",
        "/v1/trials/DEMO-1/overview",
        "/v1/trials/DEMO-1/participants",
        "/v1/trials/DEMO-1/participants/00000000-0000-0000-0000-000000000001/timeline",
        "/v1/trials/DEMO-1/data",
        "/v1/seals",
    ];
    for uri in closed {
        let answer = ledger.ask(TestRequest::get().uri(uri)).await;
        assert_eq!(answer.problem(), (401, "unauthenticated".into()), "{uri}");
    }
    for uri in ["/", "/api", "/style.css", "/v1/policy"] {
        assert_eq!(ledger.ask(TestRequest::get().uri(uri)).await.status, 200, "{uri}");
    }
}

#[actix_web::test]
async fn a_trial_out_of_reach_is_as_if_it_were_not_there() {
    let ledger = ledger().await;
    for uri in
        ["events", "overview", "participants", "data", "stream", "growth?from=0&to=0", "events/0/receipt"]
    {
        let other = ledger.get(Role::Sponsor, &format!("/v1/trials/OTHER/{uri}")).await;
        let none = ledger.get(Role::Sponsor, &format!("/v1/trials/NONE/{uri}")).await;
        assert_eq!((other.status, &other.body), (404, &none.body), "{uri}");
    }
    let listed = |answer: Value| {
        answer["trials"].as_array().unwrap().iter().map(|t| t["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(ledger.get(Role::Sponsor, "/v1/trials").await.json()), ["DEMO-1"]);
    assert_eq!(listed(ledger.get(Role::Monitor, "/v1/trials").await.json()), ["DEMO-1", "OTHER"]);
    let first = ledger.get(Role::Monitor, "/v1/trials?limit=1").await.json();
    assert_eq!(first["next"], "DEMO-1");
    assert_eq!(listed(ledger.get(Role::Monitor, "/v1/trials?limit=1&after=DEMO-1").await.json()), ["OTHER"]);
}

#[actix_web::test]
async fn events_are_paged_and_show_what_the_role_may_see() {
    let ledger = ledger().await;
    ledger.destroy_key_of("DEMO-1", 2).await;
    let all = ledger.get(Role::Investigator, "/v1/trials/DEMO-1/events").await.json();
    let events = all["events"].as_array().unwrap();
    assert_eq!((events.len(), &all["size"], all.get("next")), (3, &json!(3), None));
    assert_eq!(events[1]["data"]["subjectNumber"], "01-001");
    assert_eq!((&events[2]["withheld"], events[2].get("data")), (&json!("erased"), None));
    for role in [Role::Researcher, Role::Admin] {
        let answer = ledger.get(role, "/v1/trials/DEMO-1/events").await;
        assert!(!answer.text().contains("01-001") && !answer.text().contains("\"data\""), "{role}");
        let withheld =
            answer.json()["events"].as_array().unwrap().iter().all(|e| e["withheld"] == "out-of-scope");
        assert!(withheld, "{role}");
    }
    let page = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events?after=0&limit=1").await.json();
    assert_eq!((&page["events"][0]["header"]["trialseq"], &page["next"]), (&json!(1), &json!(1)));
    let reads = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events?after=2").await.json();
    assert!(reads["events"].as_array().unwrap().iter().all(|event| event["header"]["type"] == "record.read"));
    let end = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events?after=4").await.json();
    assert_eq!(end, json!({"events": [], "size": 5}));
}

#[actix_web::test]
async fn seals_are_listed_once_they_are_published() {
    let ledger = ledger().await;
    assert_eq!(ledger.get(Role::Researcher, "/v1/seals").await.json(), json!({"seals": []}));
    ledger.seal().await;
    ledger.seal().await;
    ledger.cut(u64::MAX).await;
    let all = ledger.get(Role::Researcher, "/v1/seals").await.json();
    assert_eq!(
        (all["seals"].as_array().unwrap().len(), &all["newest"], all.get("next")),
        (2, &json!(1), None)
    );
    assert_eq!(
        (&all["seals"][1]["seal"]["seal"], &all["seals"][1]["state"]),
        (&json!(1), &json!("published"))
    );
    assert!(all["seals"].as_array().unwrap().iter().all(|seal| seal.get("timestamp").is_none()));
    let time = Timestamp::from_micros(1_000_000);
    ledger.store.put_timestamp(&TimestampRow { size: 1, time, reply: vec![] }).await.unwrap();
    let all = ledger.get(Role::Researcher, "/v1/seals").await.json();
    let timestamp = json!({
        "size": 1,
        "time": "1970-01-01T00:00:01.000000Z",
        "address": "/log/timestamps/001.tsr",
        "note": "/log/notes/001",
    });
    let shown: Vec<_> = all["seals"].as_array().unwrap().iter().map(|seal| seal.get("timestamp")).collect();
    assert_eq!(shown, [Some(&timestamp), None]);
    let first = ledger.get(Role::Researcher, "/v1/seals?limit=1").await.json();
    assert_eq!((&first["seals"][0]["seal"]["seal"], &first["next"]), (&json!(0), &json!(0)));
}

#[actix_web::test]
async fn a_seal_that_waits_for_witnesses_is_told_from_a_published_one() {
    let ledger = ledger().await;
    ledger.seal().await;
    ledger.cut(u64::MAX).await;
    // Signed, and no note met the policy yet.
    ledger.store.put_checkpoint(2, b"signed").await.unwrap();
    let all = ledger.get(Role::Researcher, "/v1/seals").await.json();
    assert_eq!((&all["newest"], &all["newestSigned"]), (&json!(0), &json!(1)));
    let states: Vec<_> = all["seals"].as_array().unwrap().iter().map(|seal| seal["state"].clone()).collect();
    assert_eq!(states, ["published", "signed"]);
    let growth = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/growth?from=0&to=1").await;
    assert_eq!(growth.status, 404);
}

#[actix_web::test]
async fn read_models_answer_by_role() {
    let ledger = ledger().await;
    let pending = ledger.get(Role::Sponsor, "/v1/trials/DEMO-1/overview").await;
    assert_eq!(pending.problem(), (503, "unavailable".into()));
    let overview = Overview { title: Some("A trial".parse().unwrap()), ..Overview::default() };
    ledger.document(&Scope::Trial(trial("DEMO-1")), "", &overview).await;
    for number in [1, 2] {
        let whose = participant(number);
        let view = ParticipantView { participant: Some(whose), ..ParticipantView::default() };
        ledger.document(&Scope::Participant(trial("DEMO-1"), whose), &whose.to_string(), &view).await;
    }
    for role in [Role::Researcher, Role::Admin, Role::Sponsor] {
        let answer = ledger.get(role, "/v1/trials/DEMO-1/overview").await.json();
        assert_eq!(
            (&answer["title"], &answer["trial"], &answer["position"]),
            (&json!("A trial"), &json!("DEMO-1"), &json!(1))
        );
    }
    let timeline = format!("participants/{}/timeline", participant(1));
    for uri in ["participants", &timeline, "data"] {
        for role in [Role::Researcher, Role::Admin] {
            let refused = ledger.get(role, &format!("/v1/trials/DEMO-1/{uri}")).await;
            assert_eq!(refused.problem(), (403, "forbidden".into()), "{role} {uri}");
        }
        assert_eq!(ledger.get(Role::Irb, &format!("/v1/trials/DEMO-1/{uri}")).await.status, 200, "{uri}");
    }
    let unknown = format!("/v1/trials/DEMO-1/participants/{}/timeline", participant(9));
    assert_eq!(ledger.get(Role::Irb, &unknown).await.status, 404);
    let ids = |answer: Value| answer["participants"].as_array().unwrap().len();
    assert_eq!(ids(ledger.get(Role::Irb, "/v1/trials/DEMO-1/participants").await.json()), 2);
    ledger.destroy_key_of("DEMO-1", 2).await;
    assert_eq!(ids(ledger.get(Role::Irb, "/v1/trials/DEMO-1/participants").await.json()), 1);
}

#[actix_web::test]
async fn the_log_is_served_by_its_own_paths_alone() {
    let ledger = Ledger::new().await;
    let log = ledger.folder.path().join("log");
    for (path, content) in [
        ("checkpoint", "note"),
        ("tile/0/000.p/1", "hash"),
        ("tile/entries/x001/234", "entry"),
        ("notes/001", "first"),
    ] {
        let file = log.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    let served = [
        ("checkpoint", "note", "text/plain; charset=utf-8", "public, max-age=1"),
        ("tile/0/000.p/1", "hash", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/entries/x001/234", "entry", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("notes/001", "first", "text/plain; charset=utf-8", "public, max-age=31536000, immutable"),
    ];
    for (path, content, media, cache) in served {
        let answer = ledger.ask(TestRequest::get().uri(&format!("/log/{path}"))).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, content), "{path}");
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), (media, cache), "{path}");
    }
    let others = [
        "",
        "tile/0/001",
        "tile/0/0",
        "../master.key",
        "%2e%2e/master.key",
        "tile/0/000.p",
        "tile/0/000.p/0",
        "notes",
        ".unfinished",
        "tile/entries/x001/234/../../../../../master.key",
        "//etc/passwd",
    ];
    for path in others {
        let answer = ledger.ask(TestRequest::get().uri(&format!("/log/{path}"))).await;
        assert_eq!(answer.problem(), (404, "not-found".into()), "{path}");
    }
}

/// Reads a stream until `enough` says so, or until it ends.
async fn read(body: impl MessageBody, enough: impl Fn(&str) -> bool) -> (String, bool) {
    let mut body = std::pin::pin!(body);
    let mut text = String::new();
    while !enough(&text) {
        let next = std::future::poll_fn(|context| body.as_mut().poll_next(context));
        let next = timeout(Duration::from_secs(20), next).await.expect("something comes");
        let Some(chunk) = next else { return (text, true) };
        text.push_str(std::str::from_utf8(&chunk.ok().expect("no error")).unwrap());
    }
    (text, false)
}

#[actix_web::test]
async fn a_stream_tells_what_is_recorded_from_where_its_reader_was() {
    let ledger = ledger().await;
    let app = init_service(app(ledger.query())).await;
    let request = as_role(Role::Researcher, "/v1/trials/DEMO-1/stream").insert_header(("last-event-id", "0"));
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
    let later = async {
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        ledger.screen("DEMO-1", 3).await;
    };
    let ((text, ended), ()) =
        tokio::join!(read(response.into_body(), |text| text.contains("id: 3\n")), later);
    assert!(
        !ended && text.contains("id: 1\n") && text.contains("id: 2\n") && !text.contains("id: 0\n"),
        "{text}"
    );
    assert!(!text.contains("01-00") && text.contains("out-of-scope"), "{text}");
}

#[actix_web::test]
async fn a_stream_begins_with_the_first_event_and_ends_with_the_service() {
    let ledger = ledger().await;
    let app = init_service(app(ledger.query())).await;
    let response = call_service(&app, as_role(Role::Monitor, "/v1/trials/DEMO-1/stream").to_request()).await;
    let shutdown = ledger.shutdown.clone();
    let later = async {
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        shutdown.request();
    };
    let ((text, ended), ()) = tokio::join!(read(response.into_body(), |_| false), later);
    assert!(ended && text.contains("id: 0\n") && text.contains("01-001"), "{text}");
    let odd = as_role(Role::Monitor, "/v1/trials/DEMO-1/stream").insert_header(("last-event-id", "x"));
    assert_eq!(ledger.ask(odd).await.problem(), (400, "malformed".into()));
}

#[actix_web::test]
async fn a_stream_begins_after_an_event_that_is_there() {
    let ledger = ledger().await;
    let uri = "/v1/trials/DEMO-1/stream";
    for after in [
        "3",
        "9223372036854775806",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "-1",
    ] {
        let asked = ledger.get(Role::Monitor, &format!("{uri}?after={after}")).await;
        assert_eq!(asked.problem(), (400, "malformed".into()), "{after}");
        let again = as_role(Role::Monitor, uri).insert_header(("last-event-id", after));
        assert_eq!(ledger.ask(again).await.problem(), (400, "malformed".into()), "{after}");
    }
    let app = init_service(app(ledger.query())).await;
    let last = as_role(Role::Monitor, &format!("{uri}?after=2")).to_request();
    assert_eq!(call_service(&app, last).await.status(), 200);
}

#[actix_web::test]
async fn one_person_cannot_take_all_places_for_streams() {
    let ledger = ledger().await;
    let app = init_service(app(ledger.query())).await;
    let open = async |role| call_service(&app, as_role(role, "/v1/trials/DEMO-1/stream").to_request()).await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(open(Role::Monitor).await);
    }
    assert!(streams.iter().all(|stream| stream.status() == 200));
    let refused = open(Role::Monitor).await;
    assert_eq!(
        (refused.status().as_u16(), refused.headers().get("retry-after").unwrap().as_bytes()),
        (429, &b"5"[..])
    );
    assert_eq!(open(Role::Sponsor).await.status(), 200);
    streams.pop();
    assert_eq!(open(Role::Monitor).await.status(), 200);
}

#[actix_web::test]
async fn a_control_character_in_a_parameter_is_refused() {
    let ledger = ledger().await;
    for uri in ["participants", "data"] {
        for odd in ["%00", "a%00b", "%1f", "%7F", "%C2%85"] {
            let answer = ledger.get(Role::Monitor, &format!("/v1/trials/DEMO-1/{uri}?after={odd}")).await;
            assert_eq!(answer.problem(), (400, "malformed".into()), "{uri} {odd}");
        }
        assert_eq!(ledger.get(Role::Monitor, &format!("/v1/trials/DEMO-1/{uri}?after=a")).await.status, 200);
    }
    assert_eq!(ledger.get(Role::Monitor, "/v1/trials?after=%00").await.problem().0, 400);
    for uri in ["data?participant=%00", "participants/%00/timeline", "../%00/events"] {
        assert_eq!(
            ledger.get(Role::Monitor, &format!("/v1/trials/DEMO-1/{uri}")).await.problem().0,
            404,
            "{uri}"
        );
    }
}

#[actix_web::test]
async fn another_method_is_told_which_ones_there_are_and_head_is_answered() {
    let ledger = ledger().await;
    let cases = [
        ("/v1/trials", "GET, HEAD"),
        ("/v1/trials/DEMO-1/events/0/receipt", "GET, HEAD"),
        ("/v1/seals", "GET, HEAD"),
        ("/log/tile/0/000.p/1", "GET, HEAD"),
        ("/", "GET, HEAD"),
        ("/api", "GET, HEAD"),
        ("/style.css", "GET, HEAD"),
    ];
    for (uri, allow) in cases {
        let answer = ledger.ask(TestRequest::delete().uri(uri)).await;
        assert_eq!(
            (answer.problem(), answer.header("allow")),
            ((405, "method-not-allowed".into()), allow),
            "{uri}"
        );
    }
    assert_eq!(ledger.ask(TestRequest::delete().uri("/v1/none")).await.problem(), (404, "not-found".into()));
    for uri in ["/v1/trials", "/v1/trials/DEMO-1/events", "/v1/trials/DEMO-1/stream", "/v1/policy", "/api"] {
        let answer = ledger.ask(as_role(Role::Monitor, uri).method(Method::HEAD)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{uri}");
    }
    assert_eq!(ledger.ask(TestRequest::default().method(Method::HEAD).uri("/v1/trials")).await.status, 401);
}

#[actix_web::test]
async fn trials_are_listed_with_one_question_for_their_titles() {
    let ledger = ledger().await;
    let overview = |title: &str| Overview { title: Some(title.parse().unwrap()), ..Overview::default() };
    ledger.document(&Scope::Trial(trial("OTHER")), "", &overview("Another trial")).await;
    ledger.register("LATE", "Not folded yet").await;
    let counted = Arc::new(Counted::new(&ledger.store));
    let parts = || QueryParts { models: Arc::clone(&counted) as _, ..ledger.parts() };
    let listed = ask(parts(), as_role(Role::Monitor, "/v1/trials")).await.json();
    let titles: Vec<_> =
        listed["trials"].as_array().unwrap().iter().map(|t| (&t["id"], t.get("title"))).collect();
    let expected =
        [(json!("DEMO-1"), None), (json!("LATE"), None), (json!("OTHER"), Some(json!("Another trial")))];
    assert_eq!(titles, expected.iter().map(|(id, title)| (id, title.as_ref())).collect::<Vec<_>>());
    assert_eq!(counted.asked.swap(0, Ordering::Relaxed), 1);
    let page = ask(parts(), as_role(Role::Monitor, "/")).await;
    assert!(page.text().contains("Another trial"));
    assert_eq!(counted.asked.swap(0, Ordering::Relaxed), 1, "the page asked more than once for overviews");
}

#[actix_web::test]
async fn a_list_is_whole_though_its_model_is_replaced_meanwhile() {
    let ledger = ledger().await;
    for number in 1..=4 {
        let whose = participant(number);
        let view = ParticipantView { participant: Some(whose), ..ParticipantView::default() };
        ledger.document(&Scope::Participant(trial("DEMO-1"), whose), &whose.to_string(), &view).await;
    }
    let counted = Arc::new(Counted::new(&ledger.store));
    let parts = || QueryParts { models: Arc::clone(&counted) as _, ..ledger.parts() };
    for rebuilds in 0..=2 {
        counted.replaced.store(rebuilds, Ordering::Relaxed);
        let listed = ask(parts(), as_role(Role::Monitor, "/v1/trials/DEMO-1/participants")).await.json();
        assert_eq!(listed["participants"].as_array().unwrap().len(), 4, "{rebuilds} rebuilds");
        assert_eq!(counted.replaced.load(Ordering::Relaxed), 0);
    }
}

#[actix_web::test]
async fn a_short_page_is_not_taken_for_the_end() {
    let ledger = ledger().await;
    ledger.seal().await;
    let parts = || QueryParts { events: Arc::new(Short(Arc::clone(&ledger.store))), ..ledger.parts() };
    let mut seen = Vec::new();
    let mut uri = "/v1/trials/DEMO-1/events?limit=1000".to_owned();
    loop {
        let page = ask(parts(), as_role(Role::Monitor, &uri)).await.json();
        seen.extend(
            page["events"].as_array().unwrap().iter().map(|event| event["header"]["trialseq"].clone()),
        );
        let Some(next) = page.get("next") else { break };
        uri = format!("/v1/trials/DEMO-1/events?limit=1000&after={next}");
    }
    // The last two are that the others were read, page by page.
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    let app = init_service(app(Query::new(parts()))).await;
    let response = call_service(&app, as_role(Role::Monitor, "/v1/trials/DEMO-1/stream").to_request()).await;
    let (text, ended) = read(response.into_body(), |text| text.contains("id: 2\n")).await;
    assert!(!ended && text.contains("id: 0\n") && text.contains("id: 1\n"), "{text}");
    let receipt = ask(parts(), as_role(Role::Monitor, "/v1/trials/DEMO-1/events/2/receipt")).await;
    assert_eq!(receipt.status, 200, "{}", receipt.text());
}

#[actix_web::test]
async fn a_short_page_of_documents_is_not_taken_for_the_end() {
    let ledger = ledger().await;
    // Each reaches the bytes with which a page ends, so a page has but one of them.
    let long = "x".repeat(PAGE_BYTES);
    for number in [1, 2] {
        let whose = participant(number);
        let view = ParticipantView {
            participant: Some(whose),
            last_recorded: long.clone(),
            ..ParticipantView::default()
        };
        ledger.document(&Scope::Participant(trial("DEMO-1"), whose), &whose.to_string(), &view).await;
    }
    let first = ledger.get(Role::Irb, "/v1/trials/DEMO-1/participants").await.json();
    assert_eq!(
        (first["participants"].as_array().unwrap().len(), &first["next"]),
        (1, &json!(participant(1).to_string()))
    );
    let rest = ledger
        .get(Role::Irb, &format!("/v1/trials/DEMO-1/participants?after={}", participant(1)))
        .await
        .json();
    assert_eq!(rest["participants"][0]["participant"], json!(participant(2).to_string()));
}

#[actix_web::test]
async fn events_are_opened_on_a_thread_of_their_own() {
    let ledger = ledger().await;
    let read = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events");
    let thread = ledger.thread_of(read).await.expect("a key was asked for");
    assert_ne!(thread, std::thread::current().id());
}
