//! A monitor's mail goes to a mail server of somebody else, arrives whole, and is sent later where it could not be sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};
use trialseal_tests::{
    Authority, Engine, MailServer, Monitor, Role, Service, Trial, Witnesses, on_both_engines, program,
};

on_both_engines!(
    an_alarm_is_mailed_once_to_each_whatever_stood_in_the_way,
    whether_mail_arrives_can_be_tried,
);

/// The options about mail.
fn options(server: &str, credentials: &str, ca: &str, to: &[&str]) -> Vec<String> {
    let mut options = vec!["--ca", ca, "--smtp", server, "--smtp-credentials-file", credentials];
    options.extend(["--mail-from", "monitor@example.org"]);
    options.extend(to.iter().flat_map(|to| ["--mail-to", to]));
    options.into_iter().map(str::to_owned).collect()
}

fn header<'a>(message: &'a Value, name: &str) -> &'a str {
    let headers = message["headers"].as_array().unwrap();
    let found: Vec<_> = headers.iter().filter(|header| header[0] == name).collect();
    assert_eq!(found.len(), 1, "{name} in {message:#}");
    found[0][1].as_str().unwrap()
}

fn an_alarm_is_mailed_once_to_each_whatever_stood_in_the_way(engine: Engine) {
    let service = Service::start(engine);
    let _trial = Trial::open(&service, "MAIL-1");
    service.wait_until_sealed();
    let monitor = Monitor::of(&service, "MAIL-1", &service.client(Role::Monitor));
    monitor.check(&service, &["--first"]).assert_sound();
    // From here on its policy asks for a witness whom the ledger never asks.
    let log = service.anonymous().get("/v1/policy").expect(200).text().lines().next().unwrap().to_owned();
    let key = log.split_whitespace().nth(1).unwrap();
    let witnesses = Witnesses::start(key, 1, "quorum w1\n");
    monitor.set_policy(&format!("{log}\n{}", fs::read_to_string(witnesses.policy()).unwrap()));

    let (ours, theirs) = (Authority::new(&["localhost"]), Authority::new(&[]));
    let mut server = MailServer::start(&ours);
    let at = format!("smtp://localhost:{}", server.port);
    let (right, wrong) = (server.credentials("right"), server.credentials("wrong"));
    let to = ["alarms@example.org", "nobody@example.org"];
    let pass = |credentials: &str, ca: &str| {
        let options = options(&at, credentials, ca, &to);
        let pass = monitor.check(&service, &options.iter().map(String::as_str).collect::<Vec<_>>());
        pass.assert_alarm("quorum");
        let figures = fs::read_to_string(monitor.dir().join("metrics.prom")).unwrap();
        let waiting = figures.lines().find_map(|line| {
            line.strip_prefix("trialseal_monitor_notices_waiting{channel=\"mail\"} ")?.parse::<u64>().ok()
        });
        (waiting.unwrap(), pass.said)
    };

    server.stop();
    for (why, credentials, ca) in [
        ("Connection refused", &right, ours.ca()),
        ("BadSignature", &right, theirs.ca()),
        ("Authentication credentials invalid", &wrong, ours.ca()),
    ] {
        let (waiting, said) = pass(credentials, &ca);
        assert_eq!(waiting, 2, "{why}: {said}");
        let told_of = said.lines().filter(|line| line.contains("could not be told") && line.contains(why));
        assert_eq!(told_of.count(), 2, "{why}: {said}");
        if why == "Connection refused" {
            server.start_again();
        }
    }
    assert_eq!(server.messages(), Vec::<Value>::new());

    let (waiting, said) = pass(&right, &ours.ca());
    assert_eq!(waiting, 1, "{said}");
    assert!(said.contains("there is nobody of that name"), "{said}");
    let (waiting, _) = pass(&right, &ours.ca());
    assert_eq!((waiting, server.messages().len()), (1, 1), "each is told once");

    let message = server.messages().remove(0);
    assert_eq!(
        (&message["from"], &message["to"], &message["encrypted"], &message["defects"]),
        (&json!("monitor@example.org"), &json!(["alarms@example.org"]), &json!(true), &json!([]))
    );
    assert_eq!(header(&message, "Subject"), format!("[trialseal] alarm quorum: {}", service.address()));
    assert_eq!(header(&message, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(&message, "To"), "alarms@example.org");
    assert!(header(&message, "From").contains("monitor@example.org"));
    let id = header(&message, "Message-ID");
    assert!(id.starts_with("<msg_") && id.ends_with("@example.org>"), "{id}");
    let report: Value =
        serde_json::from_slice(&fs::read(monitor.dir().join("report.json")).unwrap()).unwrap();
    let finding = &report["findings"][0];
    let evidence = monitor.dir().join("evidence").join(report["evidence"][0].as_str().unwrap());
    let body = message["body"].as_str().unwrap();
    for part in [
        finding["message"].as_str().unwrap(),
        finding["record"].as_str().unwrap(),
        evidence.to_str().unwrap(),
        "docs/monitoring.md",
    ] {
        assert!(body.contains(part), "no {part} in {body}");
    }
}

fn whether_mail_arrives_can_be_tried(_: Engine) {
    let (ours, theirs) = (Authority::new(&["localhost"]), Authority::new(&[]));
    let mut server = MailServer::start(&ours);
    let at = format!("smtp://localhost:{}", server.port);
    let by_address = format!("smtp://127.0.0.1:{}", server.port);
    let encrypted_at_once = format!("smtps://localhost:{}", server.port);
    let unencrypted = format!("plain://localhost:{}", server.port);
    let (right, wrong) = (server.credentials("right"), server.credentials("wrong"));
    let (ours, theirs) = (ours.ca(), theirs.ca());
    let tell = |server: &str, credentials: &str, ca: &str, to: &str| {
        let mut command = Command::new(program("trialseal-monitor"));
        command.args(["tell-test", "--ledger", "https://ledger.example.org"]);
        let output = command.args(options(server, credentials, ca, &[to])).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), said.into_owned())
    };
    let told = tell(&at, &right, &ours, "alarms@example.org");
    assert_eq!(told.0, 0, "{}", told.1);
    let message = server.messages().remove(0);
    assert_eq!(header(&message, "Subject"), "[trialseal] test test: https://ledger.example.org");
    assert_eq!((&message["encrypted"], &message["defects"]), (&json!(true), &json!([])));
    assert!(message["body"].as_str().unwrap().contains("nothing is wrong"), "{message:#}");

    for (server, credentials, ca, to, why) in [
        (&at, &wrong, &ours, "alarms@example.org", "Authentication credentials invalid"),
        (&at, &right, &theirs, "alarms@example.org", "BadSignature"),
        (&by_address, &right, &ours, "alarms@example.org", "not valid for name"),
        (&encrypted_at_once, &right, &ours, "alarms@example.org", "not told"),
        (&unencrypted, &right, &ours, "alarms@example.org", "not told"),
        (&at, &right, &ours, "nobody@example.org", "there is nobody of that name"),
        (&at, &right, &ours, "alarms", "is no mail address"),
        (&"plain://mail.example.org".to_owned(), &right, &ours, "alarms@example.org", "encrypted"),
        (&at, &ours, &ours, "alarms@example.org", "does not hold a user's name"),
    ] {
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o600)).unwrap();
        let (code, said) = tell(server, credentials, ca, to);
        assert!(code == 2 && said.contains(why), "{why}: {said}");
    }
    fs::set_permissions(&right, fs::Permissions::from_mode(0o640)).unwrap();
    let (code, said) = tell(&at, &right, &ours, "alarms@example.org");
    assert!(code == 2 && said.contains("can be read by others"), "{said}");
    server.stop();
    let (code, said) = tell(&at, &server.credentials("right"), &ours, "alarms@example.org");
    assert!(code == 2 && said.contains("Connection refused"), "{said}");
    assert_eq!(server.messages().len(), 1);
}
