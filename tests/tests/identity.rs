//! Who gets in by what, who gave it to them, and what the record says of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use trialseal_tests::{Answer, Browser, Client, Engine, Page, Role, Service, Trial, driver, on_both_engines};
use ureq::SendBody;

on_both_engines!(
    an_administrator_gives_tokens_and_takes_them_back,
    nobody_gives_more_than_they_may,
    what_is_given_on_the_server_is_in_the_record_before_it_counts,
    the_first_administrator_is_made_once,
    who_may_do_what_stands_in_the_record,
    people_log_in_and_out,
    an_account_is_disabled_at_once,
    whoever_takes_over_an_account_stands_in_the_record,
    forms_from_elsewhere_are_refused,
    whoever_guesses_has_to_wait_and_is_recorded,
    people_log_in_with_passkeys_in_a_browser,
);

const PASSWORD: &str = "canary-password-plum-orbit";

fn delete(client: &Client, path: &str) -> Answer {
    client.send("DELETE", path, &[], SendBody::none()).unwrap()
}

fn post(client: &Client, path: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json")];
    client.send("POST", path, &headers, body.to_string().as_str()).unwrap()
}

/// The actors who had access, by the record.
fn with_access(client: &Client, at: Option<&str>) -> Vec<String> {
    let path = at.map_or_else(|| "/v1/grants".to_owned(), |at| format!("/v1/grants?at={at}"));
    let grants = client.json(&path);
    let actors = grants["grants"].as_array().unwrap().iter().map(|grant| grant["actor"].as_str().unwrap());
    actors.map(str::to_owned).collect()
}

/// The link that a command on the server prints.
fn command(service: &Service, arguments: &[&str]) -> Result<String, String> {
    let output = service.command(arguments);
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

/// Where a link leads: it names the address that the settings give, which is not the one of this run.
fn here(service: &Service, link: &str) -> String {
    let path = link.split_once("/invitation/").unwrap().1;
    format!("{}/invitation/{path}", service.address())
}

fn choose(browser: &mut Browser, link: &str, password: &str) -> Page {
    browser.submit(link, &[("password", password), ("again", password)])
}

fn log_in(browser: &mut Browser, service: &Service, login: &str, password: &str) -> Page {
    browser.submit(&format!("{}/login", service.address()), &[("login", login), ("password", password)])
}

/// Somebody with an account, made by an administrator.
fn account(service: &Service, login: &str, role: &str) -> Value {
    let new =
        json!({"login": login, "role": role, "organisation": "Test", "actor": format!("person-{login}")});
    let made = post(&service.client(Role::Admin), "/v1/accounts", &new).expect(201).json();
    let page = choose(&mut Browser::new(), &here(service, made["link"].as_str().unwrap()), PASSWORD);
    assert!(page.url.ends_with("/login"), "{}", page.html);
    made
}

fn an_administrator_gives_tokens_and_takes_them_back(engine: Engine) {
    let service = Service::start(engine);
    let (trial, other) = (Trial::open(&service, "GIVEN-1"), Trial::open(&service, "GIVEN-2"));
    let admin = service.client(Role::Admin);
    let new = json!({
        "actor": "edc-7", "role": "monitor", "organisation": "CRO", "sourceSystem": "EDC 7", "trials": ["GIVEN-1"],
        "expiresInDays": 30,
    });
    let made = post(&admin, "/v1/tokens", &new).expect(201).json();
    let token = made["token"].as_str().unwrap();
    let holder = service.client_with(token);
    holder.get(&trial.path("events")).expect(200);
    holder.get(&other.path("events")).problem(404, "not-found");
    post(&holder, "/v1/tokens", &new).problem(403, "forbidden");

    let listed = admin.get("/v1/tokens").expect(200);
    assert!(!listed.text().contains(token) && !listed.text().contains("hash"), "{}", listed.text());
    let listed = listed.json();
    let row = listed["tokens"].as_array().unwrap().iter().find(|row| row["id"] == made["id"]).unwrap();
    assert_eq!((&row["actor"], &row["revoked"]), (&json!("edc-7"), &json!(false)));
    assert_eq!(row["trials"], json!(["GIVEN-1"]));
    assert!(row["expires"].as_str().unwrap().ends_with('Z'));

    let before = admin.json("/v1/grants")["at"].as_str().unwrap().to_owned();
    assert!(with_access(&admin, None).contains(&"edc-7".to_owned()));
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(delete(&admin, &format!("{path}?reason=Left")).status, 204);
    holder.get(&trial.path("events")).problem(401, "unauthenticated");
    assert_eq!(delete(&admin, &path).status, 204, "a second time changes nothing");
    delete(&admin, "/v1/tokens/0190aaaa-0000-7000-8000-000000000000").problem(404, "not-found");
    assert!(!with_access(&admin, None).contains(&"edc-7".to_owned()));
    assert!(with_access(&admin, Some(&before)).contains(&"edc-7".to_owned()), "who had access on that day");
    assert!(with_access(&admin, Some("2020-01-01T00:00:00.000000Z")).is_empty());
    admin.get("/v1/grants?at=yesterday").problem(400, "malformed");

    // Both stand in the record, under a seal, with the administrator as who did it.
    service.wait_until_sealed();
    let events = admin.json("/v1/trials/_ledger/events?limit=1000");
    let stream = format!("grant/{}", made["id"].as_str().unwrap());
    let of_grant: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["header"]["subject"] == stream)
        .collect();
    let kinds: Vec<_> = of_grant.iter().map(|event| event["header"]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["role.granted", "role.revoked"], "{events}");
    for event in of_grant {
        assert_eq!(event["header"]["actorrole"], "admin");
        let receipt = format!("/v1/trials/_ledger/events/{}/receipt", event["header"]["trialseq"]);
        admin.get(&receipt).expect(200);
    }
    assert!(!service.log().contains(token));
}

fn who_may_do_what_stands_in_the_record(engine: Engine) {
    let service = Service::start(engine);
    let inspector = service.client(Role::Inspector);
    let told = inspector.json("/v1/permissions");
    let line = |list: &str, name: &str, of: &str| {
        let lines = told["policy"][list].as_array().unwrap().iter();
        lines.clone().find(|line| line[name] == of).unwrap_or_else(|| panic!("no {of} in {told}")).clone()
    };
    let enrol = line("commands", "command", "enrol-participant");
    assert_eq!(
        (&enrol["roles"], &enrol["task"]),
        (&json!(["investigator", "site-staff"]), &json!("enrolment"))
    );
    let reads = line("permissions", "permission", "read-participant-data");
    assert!(!reads["roles"].as_array().unwrap().contains(&json!("admin")), "{reads}");
    assert!(inspector.json("/v1/permissions?at=2020-01-01T00:00:00.000000Z").get("policy").is_none());
    inspector.get("/v1/permissions?at=yesterday").problem(400, "malformed");

    service.wait_until_sealed();
    let receipt = format!("/v1/trials/_ledger/events/{}/receipt", told["policy"]["trialseq"]);
    let receipt = service.client(Role::Monitor).json(&receipt);
    assert_eq!(receipt["header"]["type"], "policy.changed", "{receipt}");
}

fn nobody_gives_more_than_they_may(engine: Engine) {
    let service = Service::start(engine);
    let admin = service.client(Role::Admin);
    let actor = |client: &Client| {
        let rows = client.json("/v1/tokens");
        let own = rows["tokens"].as_array().unwrap().iter().find(|row| row["role"] == "admin").unwrap();
        own["actor"].as_str().unwrap().to_owned()
    };
    let own = actor(&admin);
    let new = |actor: &str, role: &str, trials: Value| json!({"actor": actor, "role": role, "organisation": "X", "trials": trials});
    post(&admin, "/v1/tokens", &new(&own, "monitor", Value::Null)).problem(403, "forbidden");
    post(&admin, "/v1/tokens", &new(&own, "admin", Value::Null)).expect(201);
    let account = json!({"actor": own, "login": "me", "role": "irb", "organisation": "X"});
    post(&admin, "/v1/accounts", &account).problem(403, "forbidden");

    let small = service.new_client(Role::Admin, &["ONE-1"]);
    for trials in [Value::Null, json!(["TWO-1"]), json!(["ONE-1", "TWO-1"])] {
        post(&small, "/v1/tokens", &new("x", "monitor", trials)).problem(403, "forbidden");
    }
    let made = post(&small, "/v1/tokens", &new("x", "monitor", json!(["ONE-1"]))).expect(201).json();
    let seen = small.json("/v1/tokens");
    assert!(seen["tokens"].as_array().unwrap().iter().all(|row| row["trials"] == json!(["ONE-1"])), "{seen}");
    small.get("/v1/grants").problem(403, "forbidden");
    let whole = admin.json("/v1/tokens")["tokens"].as_array().unwrap().len();
    assert!(whole > seen["tokens"].as_array().unwrap().len());
    assert_eq!(delete(&small, &format!("/v1/tokens/{}", made["id"].as_str().unwrap())).status, 204);

    for (wrong, said) in [
        (new("", "monitor", Value::Null), "actor"),
        (new("x", "system", Value::Null), "role"),
        (new("x", "monitor", json!(["a b"])), "trials"),
        // No way to ask for all of them.
        (new("x", "monitor", json!([])), "trials"),
        (json!({"actor": "x", "role": "irb", "organisation": "X", "expiresInDays": 0}), "expiresInDays"),
    ] {
        let problem = post(&admin, "/v1/tokens", &wrong).problem(422, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    for login in ["", "two words", "ümlaut"] {
        let new = json!({"login": login, "role": "irb", "organisation": "X"});
        post(&admin, "/v1/accounts", &new).problem(422, "invalid");
    }
}

fn what_is_given_on_the_server_is_in_the_record_before_it_counts(engine: Engine) {
    let service = Service::start(engine);
    let monitor = service.client(Role::Monitor);
    let first = monitor.json("/v1/grants");
    assert_eq!(first["grants"].as_array().unwrap().len(), 1, "{first}");
    assert_eq!(
        (&first["grants"][0]["role"], &first["grants"][0]["means"]),
        (&json!("monitor"), &json!("token"))
    );
    let sponsor = service.new_client(Role::Sponsor, &[]);
    sponsor.get("/v1/trials").expect(200);
    sponsor.get("/v1/trials").expect(200);
    let grants = monitor.json("/v1/grants");
    assert_eq!(grants["grants"].as_array().unwrap().len(), 2, "once each: {grants}");
}

fn the_first_administrator_is_made_once(engine: Engine) {
    let service = Service::start(engine);
    let create = ["admin", "create", "--organisation", "Example Hospital"];
    let link = command(&service, &create).unwrap();
    let again = command(&service, &create).unwrap_err();
    assert!(again.contains("there is an administrator already") && again.lines().count() == 1, "{again}");
    let mut browser = Browser::new();
    let first = here(&service, &link);
    assert!(browser.open(&first).html.contains("Choose a password"));

    // A lost link is replaced by another, and does not work any more.
    let second = here(&service, &command(&service, &["admin", "invite"]).unwrap());
    assert!(browser.open(&first).html.contains("This link does not work"));
    let weak = browser.submit(&second, &[("password", "short"), ("again", "short")]);
    assert!(weak.html.contains("12 characters"), "{}", weak.html);
    let differ = browser.submit(&second, &[("password", PASSWORD), ("again", "something else")]);
    assert!(differ.html.contains("differ"), "{}", differ.html);
    assert!(choose(&mut browser, &second, PASSWORD).url.ends_with("/login"));
    assert!(choose(&mut browser, &second, "another long password").html.contains("does not work"));

    assert!(log_in(&mut browser, &service, " Admin ", PASSWORD).html.contains("Logged in as <strong>admin"));
    let access = browser.open(&format!("{}/access", service.address()));
    assert!(access.html.contains("New account"), "{}", access.html);

    // They invite others on the page, and never know their passwords.
    let form = access.after("action=\"/access/accounts\"", "value");
    let invite = |browser: &mut Browser, form: &str| {
        browser.submit(
            &format!("{}/access/accounts", service.address()),
            &[("form", form), ("login", "irb-1"), ("role", "irb"), ("organisation", "Board"), ("trials", "")],
        )
    };
    assert_eq!(invite(&mut browser, "made up").status, 403);
    let page = invite(&mut browser, &form);
    let link = page.html.split_once("/invitation/").unwrap().1.split('<').next().unwrap();
    let mut irb = Browser::new();
    choose(&mut irb, &format!("{}/invitation/{link}", service.address()), "another long password");
    let home = log_in(&mut irb, &service, "irb-1", "another long password");
    assert!(
        home.html.contains("Logged in as <strong>irb") && !home.html.contains("/access"),
        "{}",
        home.html
    );
    assert_eq!(irb.open(&format!("{}/access", service.address())).status, 403);
    let twice = invite(&mut browser, &form);
    assert!(twice.html.contains("login name"), "{}", twice.html);

    let tokens = browser.submit(
        &format!("{}/access/tokens", service.address()),
        &[
            ("form", &form),
            ("actor", "edc"),
            ("role", "investigator"),
            ("organisation", "<b>"),
            ("days", "5"),
        ],
    );
    let token = tokens.html.split_once("<code>ts_").unwrap().1.split('<').next().unwrap();
    service.client_with(&format!("ts_{token}")).get("/v1/trials").expect(200);
    let access = browser.open(&format!("{}/access", service.address()));
    assert!(access.html.contains("&lt;b&gt;") && !access.html.contains("<b>"), "{}", access.html);
    let id = access.after("value=\"token\"", "value");
    let fields = [("form", form.as_str()), ("kind", "token"), ("id", &id), ("reason", "A test")];
    browser.submit(&format!("{}/access/end", service.address()), &fields);
    let who = service.client(Role::Monitor);
    let actors = with_access(&who, None);
    assert!(!actors.contains(&"edc".to_owned()) && actors.len() == 3, "{actors:?}");
}

fn people_log_in_and_out(engine: Engine) {
    let mut service = Service::prepared(engine);
    // Everything that our own code, and what it rests on, would ever say.
    service.set("TRIALSEAL_LOG", "trace");
    service.start_again();
    Trial::open(&service, "PEOPLE-1");
    let made = account(&service, "m.onitor@example", "monitor");
    let secret = made["link"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let mut browser = Browser::new();
    for (login, password) in [
        ("m.onitor@example", "wrong wrong wrong"),
        ("nobody", PASSWORD),
        ("canary-name typed", PASSWORD),
        ("", ""),
    ] {
        let page = log_in(&mut browser, &service, login, password);
        assert!(page.html.contains("Name or password is wrong"), "{}", page.html);
    }
    assert!(browser.set_cookies.is_empty());
    let home = log_in(&mut browser, &service, "M.Onitor@example", PASSWORD);
    assert!(home.url.ends_with('/') && home.html.contains("PEOPLE-1"), "{}", home.html);
    let set = browser.set_cookies.pop().unwrap();
    for flag in ["trialseal_session=ts_", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(flag), "{set}");
    }
    assert!(!set.contains("Secure"), "the service is not reached by https: {set}");
    assert_eq!(home.header("cache-control"), "no-store");

    // It counts for reading the API, and for what a page of ours sends; as a bearer token it is none.
    let address = service.address();
    let overview = format!("{address}/v1/trials/PEOPLE-1/overview");
    service.wait("the overview is folded", || (browser.open(&overview).status == 200).then_some(()));
    let exports = format!("{address}/v1/trials/PEOPLE-1/exports");
    for elsewhere in [&[][..], &[("origin", "https://evil.example")], &[("sec-fetch-site", "same-site")]] {
        assert_eq!(browser.submit_with(&exports, elsewhere, &[]).status, 401, "{elsewhere:?}");
    }
    assert_eq!(browser.submit(&exports, &[]).status, 202);
    let cookie = browser.cookie(&address, "trialseal_session").unwrap();
    service.client_with(&cookie).get("/v1/trials").problem(401, "unauthenticated");
    let stored = service.database().texts("SELECT CAST(count(*) AS TEXT) FROM session");
    assert_eq!(stored, ["1"]);

    let out = browser.submit(&format!("{address}/logout"), &[]);
    assert!(out.html.contains("Log in"), "{}", out.html);
    browser.set_cookie(&address, "trialseal_session", &cookie);
    assert!(!browser.open(&address).html.contains("PEOPLE-1"), "the session has not ended");

    let log = service.log();
    let token = service.client(Role::Admin).token().to_owned();
    for canary in [PASSWORD, "wrong wrong wrong", "canary-name", &secret, &cookie, &token] {
        assert!(!log.contains(canary), "the log holds {canary}");
    }
    assert!(log.contains("identity.login.failed"));
}

/// An administrator who makes another link for somebody can take it up themselves. The record shows both, and who.
fn whoever_takes_over_an_account_stands_in_the_record(engine: Engine) {
    let service = Service::start(engine);
    let made = account(&service, "victim", "monitor");
    let (admin, id) = (service.client(Role::Admin), made["id"].as_str().unwrap());
    let again = post(&admin, &format!("/v1/accounts/{id}/invitations"), &json!({})).expect(201).json();
    let link = here(&service, again["link"].as_str().unwrap());
    choose(&mut Browser::new(), &link, "a password of somebody else");
    log_in(&mut Browser::new(), &service, "victim", "a password of somebody else");

    let events = admin.json("/v1/trials/_ledger/events?limit=1000");
    let of_account: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["header"])
        .filter(|header| header["subject"] == format!("grant/{id}"))
        .map(|header| (header["type"].as_str().unwrap(), header["actorrole"].as_str().unwrap()))
        .collect();
    assert_eq!(
        of_account,
        [
            ("role.granted", "admin"),
            ("account.password-chosen", "monitor"),
            ("account.invited", "admin"),
            ("account.password-chosen", "monitor")
        ]
    );
}

fn an_account_is_disabled_at_once(engine: Engine) {
    let service = Service::start(engine);
    let made = account(&service, "leaver", "monitor");
    let (admin, address) = (service.client(Role::Admin), service.address());
    let mut browser = Browser::new();
    log_in(&mut browser, &service, "leaver", PASSWORD);
    let trials = format!("{address}/v1/trials");
    assert_eq!(browser.open(&trials).status, 200);
    let id = made["id"].as_str().unwrap();
    let again = post(&admin, &format!("/v1/accounts/{id}/invitations"), &json!({})).expect(201).json();
    assert_eq!(browser.open(&trials).status, 200, "a link that nobody took up changes nothing");
    assert!(with_access(&admin, None).contains(&"person-leaver".to_owned()));

    assert_eq!(delete(&admin, &format!("/v1/accounts/{id}?reason=Left")).status, 204);
    assert_eq!(browser.open(&trials).status, 401);
    let link = here(&service, again["link"].as_str().unwrap());
    assert!(choose(&mut browser, &link, "another long password").html.contains("does not work"));
    let page = log_in(&mut browser, &service, "leaver", PASSWORD);
    assert!(page.html.contains("Name or password is wrong"), "{}", page.html);
    post(&admin, &format!("/v1/accounts/{id}/invitations"), &json!({})).problem(409, "rule-refused");
    assert!(!with_access(&admin, None).contains(&"person-leaver".to_owned()));
    let listed = admin.json("/v1/accounts");
    assert_eq!(
        (&listed["accounts"][0]["disabled"], &listed["accounts"][0]["hasPassword"]),
        (&json!(true), &json!(true))
    );
    assert!(!listed.to_string().contains("argon2"), "{listed}");
    assert_ne!(command(&service, &["admin", "invite", "--login", "leaver"]).unwrap_err(), "");
}

fn forms_from_elsewhere_are_refused(engine: Engine) {
    let service = Service::start_with(engine, &[("TRIALSEAL_PUBLIC_ADDRESS", "https://ledger.example.org")]);
    let new = json!({"login": "person", "role": "monitor", "organisation": "Test"});
    let made = post(&service.client(Role::Admin), "/v1/accounts", &new).expect(201).json();
    assert!(
        made["link"].as_str().unwrap().starts_with("https://ledger.example.org/invitation/ts_"),
        "{made}"
    );
    let link = here(&service, made["link"].as_str().unwrap());
    let ours = [("origin", "https://ledger.example.org")];
    let mut browser = Browser::new();
    browser.submit_with(&link, &ours, &[("password", PASSWORD), ("again", PASSWORD)]);
    let login = format!("{}/login", service.address());
    let fields = [("login", "person"), ("password", PASSWORD)];
    for headers in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://ledger.example.org")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://ledger.example.org")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
    ] {
        assert_eq!(browser.submit_with(&login, headers, &fields).status, 403, "{headers:?}");
        let logout = format!("{}/logout", service.address());
        assert_eq!(browser.submit_with(&logout, headers, &[]).status, 403, "{headers:?}");
    }
    assert!(browser.set_cookies.is_empty());
    for headers in [&ours[..], &[("sec-fetch-site", "same-origin")]] {
        browser.submit_with(&login, headers, &fields);
        let set = browser.set_cookies.pop().unwrap();
        for flag in ["__Host-trialseal_session=ts_", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(flag) && !set.contains("Domain"), "{set}");
        }
    }
    // Where the service is reached by https, the cookie's plain name does not count.
    let cookie = browser.cookie(&login, "__Host-trialseal_session").unwrap();
    let trials = format!("{}/v1/trials", service.address());
    assert_eq!(browser.open(&trials).status, 200);
    let mut other = Browser::new();
    other.set_cookie(&trials, "trialseal_session", &cookie);
    assert_eq!(other.open(&trials).status, 401);
}

fn whoever_guesses_has_to_wait_and_is_recorded(engine: Engine) {
    let mut service = Service::start(engine);
    account(&service, "victim", "monitor");
    let mut browser = Browser::new();
    let login = format!("{}/login", service.address());
    let from = |browser: &mut Browser, address: &str, name: &str, password: &str| {
        let headers = [("sec-fetch-site", "same-origin"), ("x-forwarded-for", address)];
        browser.submit_with(&login, &headers, &[("login", name), ("password", password)])
    };
    // A name that nobody has waits like one that somebody has, and from any address.
    for name in ["victim", "nobody"] {
        for n in 0..5 {
            let page = from(&mut browser, &format!("192.0.2.{n}"), name, "a wrong password");
            assert!(page.html.contains("Name or password is wrong"), "{n}: {}", page.html);
        }
        let page = from(&mut browser, "192.0.2.99", name, PASSWORD);
        assert!(
            page.html.contains("too many attempts") && page.header("retry-after") == "1",
            "{}",
            page.html
        );
    }
    // An administrator's metrics show it; the right password works once the wait is over.
    let admin = service.client(Role::Admin);
    let metrics = admin.get("/metrics").text();
    assert!(metrics.contains("trialseal_login_failures_total{reason=\"locked-out\"} 2"), "{metrics}");
    service.wait("the wait is over", || {
        from(&mut browser, "192.0.2.99", "victim", PASSWORD).html.contains("Logged in").then_some(())
    });

    // However often it was tried, the record has one event of it.
    let failed = |service: &Service| {
        let events = service.client(Role::Monitor).json("/v1/trials/_ledger/events?limit=1000");
        let events = events["events"].as_array().unwrap().clone();
        events.into_iter().filter(|event| event["header"]["type"] == "login.failed").collect::<Vec<_>>()
    };
    service.stop();
    service.start_again();
    let events = failed(&service);
    let attempts: i64 = events.iter().map(|event| event["data"]["attempts"].as_i64().unwrap()).sum();
    assert!((1..=2).contains(&events.len()) && attempts >= 12, "{events:?}");
    let event = events.last().unwrap();
    assert_eq!(event["data"]["accounts"][0]["actor"], "person-victim", "{event}");
    assert!(!event.to_string().contains("nobody"), "{event}");
}

/// The browser makes the passkeys and answers by itself: another implementation than ours.
fn people_log_in_with_passkeys_in_a_browser(engine: Engine) {
    let service = Service::start(engine);
    let admin = service.client(Role::Admin);
    let known = account(&service, "known", "monitor");
    let new =
        json!({"login": "invited", "role": "monitor", "organisation": "Test", "actor": "person-invited"});
    let made = post(&admin, "/v1/accounts", &new).expect(201).json();
    let invitation = format!("/invitation/{}", made["link"].as_str().unwrap().rsplit('/').next().unwrap());

    let pictures = tempfile::tempdir().unwrap();
    // Passkeys belong to a name.
    let address = service.address().replace("127.0.0.1", "localhost");
    let mut script = driver("passkeys.mjs");
    script.args([&address, &invitation, "known", PASSWORD]).arg(pictures.path());
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["errors"], json!([]), "{said}");
    let text = |name: &str| said[name].as_str().unwrap();
    assert!(said["own"][0].as_str().unwrap().starts_with("Phone"), "{said}");
    assert!(text("account").contains("person-invited"), "{said}");
    assert!(
        !text("loggedOut").contains("Logged in as") && text("loggedIn").contains("Logged in as"),
        "{said}"
    );
    assert!(said["unverified"]["url"].as_str().unwrap().ends_with("/login"), "{said}");
    assert!(text("removed").contains("No account is logged in to by this passkey"), "{said}");

    let accounts = admin.json("/v1/accounts");
    let state_of = |account: &Value| {
        let found = accounts["accounts"].as_array().unwrap().iter().find(|row| row["id"] == account["id"]);
        ["hasPassword", "hasPasskey"].map(|member| found.unwrap()[member] == true)
    };
    assert_eq!((state_of(&made), state_of(&known)), ([false, true], [true, false]));
    let events = admin.json("/v1/trials/_ledger/events?limit=1000");
    let kinds_of = |account: &Value| -> Vec<String> {
        let stream = format!("grant/{}", account["id"].as_str().unwrap());
        let headers = events["events"].as_array().unwrap().iter().map(|event| &event["header"]);
        let own = headers.filter(|header| header["subject"] == stream);
        own.map(|header| header["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds_of(&made), ["role.granted", "account.passkey-registered"]);
    let registered_and_removed = ["account.passkey-registered", "account.passkey-removed"];
    assert_eq!(kinds_of(&known)[2..], registered_and_removed, "{events}");

    // A form of another site's page changes nothing, nor does one without the text of ours.
    let mut elsewhere = Browser::new();
    log_in(&mut elsewhere, &service, "known", PASSWORD);
    let to = format!("{}/account/passkeys/end", service.address());
    let fields = [("form", "0".repeat(64)), ("credential", "Y3I".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(elsewhere.submit(&to, &fields).status, 403);
    let headers = [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")];
    for to in ["login/challenge", "account/confirm"] {
        let to = format!("{}/{to}", service.address());
        let fields = [("form", ""), ("password", PASSWORD)];
        assert!(matches!(elsewhere.submit_with(&to, &headers, &fields).status, 401 | 403), "{to}");
    }
    let log = service.log();
    assert!(!log.contains(&invitation["/invitation/".len()..]), "the log holds the link");
}
