//! Who gets in, and how far.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trialseal_tests::{Answer, Client, Engine, Role, Service, Trial, bodies, on_both_engines};
use ureq::SendBody;

on_both_engines!(
    no_door_opens_without_a_token,
    a_token_opens_its_own_trial_alone,
    a_revoked_token_is_dead_at_once,
    each_role_does_its_own,
    another_method_is_told_which_ones_there_are,
    pages_show_nobody_s_data_to_strangers,
    whoever_asks_too_often_waits_and_nobody_else,
);

/// What everybody may ask: health, log, policy, keys and API description, and the pages. Whoever adds a route here
/// opens it to the world.
const OPEN: &[&str] = &[
    "/",
    "/api",
    "/healthz",
    "/log/{path}",
    "/openapi.json",
    "/readyz",
    "/style.css",
    "/v1/export-key",
    "/v1/policy",
    "/v1/trust",
];

/// A participant's id that nobody has.
const NOBODY: &str = "0190aaaa-0000-7000-8000-000000000000";

/// Every route of the API description: method and path template.
fn routes(client: &Client) -> Vec<(String, String)> {
    let description = client.json("/openapi.json");
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            routes.push((method.to_uppercase(), path.clone()));
        }
    }
    routes
}

/// A path template with things of a trial in it.
fn fill(path: &str, trial: &str) -> String {
    let parts: Vec<String> = path
        .split('/')
        .map(|part| match part {
            "{trial}" => trial.to_owned(),
            "{trialseq}" => "0".to_owned(),
            "{path}" | "{path:.*}" => "checkpoint".to_owned(),
            part if part.starts_with('{') => NOBODY.to_owned(),
            part => part.to_owned(),
        })
        .collect();
    parts.join("/")
}

fn ask(client: &Client, method: &str, path: &str) -> Answer {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "door")];
    let answer = match method {
        "GET" => client.send(method, path, &[], SendBody::none()),
        _ => client.send(method, path, &headers, "{}"),
    };
    answer.unwrap()
}

fn no_door_opens_without_a_token(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "DOORS-1");
    let anonymous = service.anonymous();
    let stranger = service.client_with(&format!("ts_{}", "0".repeat(64)));
    let odd = service.client_with("not a token");
    let routes = routes(&anonymous);
    assert!(routes.len() > 30, "the API description lacks routes: {routes:?}");
    let mut closed = 0;
    for (method, template) in &routes {
        let path = fill(template, &trial.id);
        if OPEN.contains(&template.as_str()) || template.starts_with("/log/") {
            let answer = ask(&anonymous, method, &path);
            assert_ne!(answer.status, 401, "{method} {path}");
            continue;
        }
        closed += 1;
        for client in [&anonymous, &stranger, &odd] {
            let problem = ask(client, method, &path);
            problem.problem(401, "unauthenticated");
        }
    }
    assert!(closed > 25, "only {closed} routes are closed");
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/log/checkpoint",
        "/v1/policy",
        "/v1/export-key",
        "/v1/trust",
    ] {
        if path == "/log/checkpoint" {
            service.wait_until_sealed();
        }
        anonymous.get(path).expect(200);
    }
    for path in
        ["/log/../keys/log.key", "/log/%2e%2e/keys/log.key", "/log/origin", "/trialseal.db", "/keys/log.key"]
    {
        let answer = anonymous.get(path);
        answer.problem(404, "not-found");
    }
}

fn a_token_opens_its_own_trial_alone(engine: Engine) {
    let service = Service::start(engine);
    let own = Trial::open(&service, "OWN-1");
    let foreign = Trial::open(&service, "FOREIGN-1");
    service.wait_until_sealed();
    let [sponsor, investigator, monitor] =
        [Role::Sponsor, Role::Investigator, Role::Monitor].map(|role| service.new_client(role, &[&own.id]));
    for path in
        ["events", "overview", "participants", "data", "events/0/receipt", "stream", "growth?from=0&to=0"]
    {
        monitor.get(&foreign.path(path)).problem(404, "not-found");
    }
    let screening = bodies::screening(&foreign.site, "101-009");
    investigator.post(&foreign.path("participants"), "k", &screening).problem(404, "not-found");
    sponsor.post(&foreign.path("results"), "k", &bodies::results()).problem(404, "not-found");
    sponsor.post("/v1/trials", "k", &bodies::registration("ELSE-1")).problem(404, "not-found");

    let trials = monitor.json("/v1/trials");
    let ids: Vec<&Value> = trials["trials"].as_array().unwrap().iter().map(|trial| &trial["id"]).collect();
    assert_eq!(ids, [&json!("OWN-1")]);
    monitor.get(&own.path("events")).expect(200);
    // It could show another trial's head, so nobody gets it who does not see all trials.
    monitor.get("/v1/trials/NOT-THERE/absence").problem(403, "forbidden");

    // What another's import or export is called does not help either.
    let file = trialseal_tests::laboratory(&["101-001".to_owned()], 1, &mut trialseal_tests::Rng::new(1));
    let all = service.client(Role::Investigator);
    let import = all.try_post_text(&foreign.path("imports"), "k", &file).unwrap().expect(202);
    investigator.get(import.header("location")).problem(404, "not-found");
    let export = service.client(Role::Monitor).post(&foreign.path("exports"), "k", &json!({})).expect(202);
    let at = export.header("location");
    monitor.get(at).problem(404, "not-found");
    monitor.get(&format!("{at}/dataset.zip")).problem(404, "not-found");
}

fn a_revoked_token_is_dead_at_once(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "REVOKED-1");
    let monitor = service.new_client(Role::Monitor, &[]);
    let other = service.client(Role::Monitor);
    monitor.get(&trial.path("events")).expect(200);
    let revoked = service.command(&["token", "revoke", monitor.token()]);
    assert!(revoked.status.success());
    monitor.get(&trial.path("events")).problem(401, "unauthenticated");
    monitor.get("/v1/trials").problem(401, "unauthenticated");
    other.get(&trial.path("events")).expect(200);
    let unknown = service.command(&["token", "revoke", &format!("ts_{}", "0".repeat(64))]);
    assert!(!unknown.status.success());
}

fn each_role_does_its_own(engine: Engine) {
    use Role::{
        Admin, Auditor, Inspector, Investigator, Irb, Monitor, Researcher, SiteStaff, Sponsor, Unblinded,
    };
    let service = Service::start(engine);
    let trial = Trial::open(&service, "ROLES-1");
    let participant = trial.enrol("101-001", true);
    service.wait_until_sealed();
    service.wait_until_folded(&trial.id);
    let timeline = format!("participants/{participant}/timeline");
    let consents = format!("participants/{participant}/consents");
    let visits = format!("participants/{participant}/visits");

    // Who may; the others are refused.
    let read_data: &[Role] = &[Sponsor, Investigator, SiteStaff, Irb, Monitor, Inspector, Unblinded];
    let reads: [(&str, &[Role]); 13] = [
        ("events", &Role::ALL),
        ("events/0/receipt", &Role::ALL),
        ("overview", &Role::ALL),
        ("events/0/receipt?fields=/title", read_data),
        ("participants", read_data),
        (&timeline, read_data),
        ("data", read_data),
        ("../NOT-THERE/absence", &[Irb, Monitor, Inspector, Auditor, Admin]),
        ("../../seals", &Role::ALL),
        ("../../../metrics", &[Admin]),
        ("../../tokens", &[Admin]),
        ("../../accounts", &[Admin]),
        ("../../grants", &[Irb, Monitor, Inspector, Auditor, Admin]),
    ];
    for (route, allowed) in reads {
        let path = resolve(&trial.path(route));
        for role in Role::ALL {
            let answer = service.client(role).get(&path);
            if allowed.contains(&role) {
                answer.expect(200);
            } else {
                answer.problem(403, "forbidden");
            }
        }
    }

    let approval = bodies::approval();
    let (consent, visit, results) = (bodies::consent(true), bodies::visit("Baseline"), bodies::results());
    let writes: [(&str, &Value, &[Role]); 4] = [
        ("irb-decisions", &approval, &[Irb]),
        (&consents, &consent, &[Investigator]),
        (&visits, &visit, &[Investigator]),
        ("results", &results, &[Sponsor]),
    ];
    for (route, body, allowed) in writes {
        for role in Role::ALL {
            let answer =
                service.client(role).post(&trial.path(route), &format!("{route}-{}", role.name()), body);
            if allowed.contains(&role) {
                answer.expect(201);
            } else {
                answer.expect(403).any_problem();
            }
        }
    }
    for role in Role::ALL {
        let exports = service.client(role).post(&trial.path("exports"), "may-export", &json!({}));
        if matches!(role, Sponsor | Irb | Monitor | Inspector | Researcher) {
            exports.expect(202);
        } else {
            exports.problem(403, "forbidden");
        }
    }

    // Who may not read data gets headers without them.
    for role in [Auditor, Researcher, Admin] {
        let events = service.client(role).json(&trial.path("events"));
        for event in events["events"].as_array().unwrap() {
            assert_eq!((&event["data"], &event["withheld"]), (&Value::Null, &json!("out-of-scope")));
        }
        let receipt = service.client(role).json(&trial.path("events/5/receipt"));
        assert!(receipt["fields"].is_null());
        assert!(!service.client(role).get(&trial.path("events")).text().contains("101-001"));
        assert!(!service.client(role).get(&trial.path("overview")).text().contains("101-001"));
    }
    let made =
        service.command(&["token", "create", "--actor", "x", "--role", "system", "--organisation", "x"]);
    assert!(!made.status.success(), "somebody can act as the service itself");
    let nobody =
        service.command(&["token", "create", "--actor", "", "--role", "monitor", "--organisation", "x"]);
    assert!(!nobody.status.success(), "nobody has a token");
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("--actor"), "{nobody:?}");
}

fn another_method_is_told_which_ones_there_are(engine: Engine) {
    let service = Service::start(engine);
    let (trial, anonymous) = (Trial::open(&service, "METHODS-1"), service.anonymous());
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method, template) in routes(&anonymous) {
        known.entry(template).or_default().insert(method);
    }
    for (path, method) in [
        ("/", "GET"),
        ("/api", "GET"),
        ("/openapi.json", "GET"),
        ("/login", "GET"),
        ("/login", "POST"),
        ("/logout", "POST"),
    ] {
        known.entry(path.to_owned()).or_default().insert(method.to_owned());
    }
    for (template, methods) in &mut known {
        assert!(!methods.contains("PATCH"), "{template}: this test needs a method that no route has");
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        let answer = anonymous.send("PATCH", &fill(template, &trial.id), &[], SendBody::none()).unwrap();
        answer.problem(405, "method-not-allowed");
        let allowed: BTreeSet<String> = answer.header("allow").split(", ").map(str::to_owned).collect();
        assert_eq!(allowed, *methods, "{template}");
    }
    let nowhere = anonymous.send("PATCH", "/v1/nowhere", &[], SendBody::none()).unwrap();
    nowhere.problem(404, "not-found");
}

/// A path without `..`, which clients need not resolve.
fn resolve(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn pages_show_nobody_s_data_to_strangers(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "PAGES-1");
    trial.enrol("101-007", true);
    service.wait_until_sealed();
    service.wait_until_folded(&trial.id);
    let anonymous = service.anonymous();
    let page = anonymous.get("/").expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.text().contains("PAGES-1"), "strangers see which trials there are");
    assert!(!page.text().contains("101-007"));
    let monitor = service.client(Role::Monitor).get("/").expect(200);
    assert!(monitor.text().contains("PAGES-1"));
    for header in ["content-security-policy", "x-content-type-options"] {
        assert_ne!(page.header(header), "", "{header}");
    }
}

fn whoever_asks_too_often_waits_and_nobody_else(engine: Engine) {
    let mut service = Service::prepared(engine);
    service.set("TRIALSEAL_REQUESTS_PER_SECOND_BY_IDENTITY", "1");
    service.set("TRIALSEAL_REQUESTS_PER_SECOND_BY_ADDRESS", "1");
    service.start_again();
    let too_often = |ask: &dyn Fn() -> Answer| {
        let refused = (0..100).map(|_| ask()).find(|answer| answer.status == 429).expect("it waits in time");
        refused.problem(429, "too-many-requests");
        assert_eq!(refused.header("retry-after"), "1");
    };
    let (monitor, irb) = (service.client(Role::Monitor), service.client(Role::Irb));
    too_often(&|| monitor.get("/v1/trials"));
    irb.get("/v1/trials").expect(200);
    let (nobody, wrong) = (service.anonymous(), service.client_with("ts_wrong"));
    too_often(&|| nobody.get("/v1/policy"));
    too_often(&|| wrong.get("/v1/policy"));
    let forwarded = [("x-forwarded-for", "192.0.2.7")];
    nobody.send("GET", "/v1/policy", &forwarded, SendBody::none()).unwrap().expect(200);
    for _ in 0..20 {
        nobody.get("/healthz").expect(200);
        nobody.get("/log/checkpoint").expect(200);
    }
    let figures = service.client(Role::Admin).get("/metrics").text();
    for by in ["identity", "address"] {
        let line = format!("trialseal_requests_refused_total{{by=\"{by}\"}}");
        assert!(figures.contains(&line), "{figures}");
    }
}
