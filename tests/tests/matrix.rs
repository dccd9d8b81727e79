//! Who may come through which door: every route of the API description, in every role, for a trial of their own and for one
//! out of their reach. A route without a line here fails, and so does a line without a route.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trialseal_tests::Role::{
    Admin, Auditor, Inspector, Investigator, Irb, Monitor, Participant, Researcher, SiteStaff, Sponsor,
    Unblinded,
};
use trialseal_tests::{
    Answer, Client, Engine, Rng, Role, Service, Signatory, Submitter, Trial, bodies, laboratory,
    on_both_engines, wait_for_import,
};
use ureq::SendBody;

on_both_engines!(each_role_comes_through_its_own_doors_and_no_other);

/// Who may, whatever the trial; the others are refused with 403. A trial out of reach is there for nobody: 404.
const MATRIX: &[(&str, &str, &[Role])] = &[
    ("GET", "/v1/trials", EVERYBODY),
    ("POST", "/v1/trials", &[Sponsor]),
    ("GET", "/v1/trials/{trial}/overview", EVERYBODY),
    ("GET", "/v1/trials/{trial}/events", SEES_EVENTS),
    ("GET", "/v1/trials/{trial}/events/{trialseq}/receipt", SEES_EVENTS),
    ("GET", "/v1/trials/{trial}/stream", SEES_EVENTS),
    ("GET", "/v1/trials/{trial}/growth", EVERYBODY),
    ("GET", "/v1/trials/{trial}/absence", OVERSEES),
    ("GET", "/v1/trials/{trial}/participants", READS_DATA),
    ("GET", "/v1/trials/{trial}/participants/{id}/timeline", READS_ONE),
    ("GET", "/v1/trials/{trial}/participants/{id}/access-log", READS_ONE),
    ("GET", "/v1/trials/{trial}/data", READS_DATA),
    ("GET", "/v1/trials/{trial}/erasures", READS_DATA),
    ("GET", "/v1/trials/{trial}/redactions", READS_DATA),
    ("GET", "/v1/trials/{trial}/legal-holds", READS_DATA),
    (
        "GET",
        "/v1/trials/{trial}/delegations",
        &[Sponsor, Investigator, SiteStaff, Irb, Monitor, Inspector, Auditor, Unblinded, Admin],
    ),
    ("POST", "/v1/trials/{trial}/protocol-versions", &[Sponsor]),
    ("POST", "/v1/trials/{trial}/consent-versions", &[Sponsor]),
    ("POST", "/v1/trials/{trial}/irb-decisions", &[Irb]),
    ("POST", "/v1/trials/{trial}/sites", &[Sponsor]),
    ("POST", "/v1/trials/{trial}/results", &[Sponsor]),
    ("POST", "/v1/trials/{trial}/participants", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/consents", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/consent-withdrawals", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/enrolment", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/randomisation", &[Unblinded]),
    ("GET", "/v1/trials/{trial}/participants/{participant}/allocation", &[Unblinded]),
    ("POST", "/v1/trials/{trial}/participants/{participant}/unblindings", &[Investigator]),
    ("POST", "/v1/trials/{trial}/participants/{participant}/visits", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/data", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/data/corrections", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/adverse-events", AT_SITES),
    ("POST", "/v1/trials/{trial}/participants/{participant}/disposition", AT_SITES),
    ("GET", "/v1/trials/{trial}/emergency-access", READS_DATA),
    // In this order nothing is erased or redacted, which the lines below could not do without.
    ("POST", "/v1/trials/{trial}/legal-holds", &[Sponsor, Irb]),
    ("POST", "/v1/trials/{trial}/participants/{participant}/erasure-requests", &[Investigator]),
    ("POST", "/v1/trials/{trial}/participants/{participant}/erasure-approvals", &[Irb]),
    ("POST", "/v1/trials/{trial}/participants/{participant}/redaction-requests", &[Investigator]),
    ("POST", "/v1/trials/{trial}/participants/{participant}/redaction-approvals", &[Irb]),
    ("POST", "/v1/trials/{trial}/legal-hold-releases", &[Irb]),
    ("GET", "/v1/trials/{trial}/submission-keys", EVERYBODY),
    ("POST", "/v1/trials/{trial}/submission-keys", SIGNS),
    ("POST", "/v1/trials/{trial}/submission-signing", &[Sponsor]),
    ("POST", "/v1/trials/{trial}/submission-key-revocations", SIGNS),
    ("GET", "/v1/trials/{trial}/signing-keys", EVERYBODY),
    ("POST", "/v1/trials/{trial}/signing-keys", AT_SITES),
    ("GET", "/v1/trials/{trial}/participants/{participant}/signatures", READS_ONE),
    ("POST", "/v1/trials/{trial}/participants/{participant}/signatures", AT_SITES),
    ("POST", "/v1/trials/{trial}/signing-key-revocations", AT_SITES),
    ("POST", OPENING, AT_SITES),
    ("POST", "/v1/trials/{trial}/delegations", &[Investigator]),
    // Of another one than that by which site staff came through the lines above.
    ("POST", "/v1/trials/{trial}/delegation-ends", &[Investigator]),
    ("POST", "/v1/trials/{trial}/imports", &[Sponsor, Investigator]),
    // How many rows, by which rules: nothing of what is in them.
    ("GET", "/v1/imports/{import}", EVERYBODY),
    ("POST", "/v1/trials/{trial}/exports", EXPORTS),
    // A monitor's, with all values: not for who gets but what participants agreed to.
    ("GET", "/v1/exports/{export}", EXPORTS_ALL),
    ("GET", "/v1/exports/{export}/dataset.zip", EXPORTS_ALL),
    ("GET", "/v1/seals", EVERYBODY),
    ("GET", "/v1/grants", OVERSEES),
    ("GET", "/v1/permissions", EVERYBODY),
    ("GET", "/v1/tokens", &[Admin]),
    ("POST", "/v1/tokens", &[Admin]),
    ("DELETE", "/v1/tokens/{token}", &[Admin]),
    ("GET", "/v1/accounts", &[Admin]),
    ("POST", "/v1/accounts", &[Admin]),
    ("POST", "/v1/accounts/{account}/invitations", &[Admin]),
    ("DELETE", "/v1/accounts/{account}", &[Admin]),
    ("GET", "/metrics", &[Admin]),
    // What strangers may as well.
    ("GET", "/healthz", EVERYBODY),
    ("GET", "/readyz", EVERYBODY),
    ("GET", "/log/{path}", EVERYBODY),
    ("GET", "/v1/policy", EVERYBODY),
    ("GET", "/v1/export-key", EVERYBODY),
    ("GET", "/v1/trust", EVERYBODY),
];
/// What is for those whom no grant lets into the trial (`tests/emergency.rs`). Behind the lines that read what it opens.
const OPENING: &str = "/v1/trials/{trial}/participants/{participant}/emergency-access";
const EVERYBODY: &[Role] = &[
    Sponsor,
    Investigator,
    SiteStaff,
    Irb,
    Monitor,
    Inspector,
    Auditor,
    Unblinded,
    Researcher,
    Participant,
    Admin,
];
/// What names others: not for a participant.
const SEES_EVENTS: &[Role] = &Role::ALL;
/// A participant as well, of themselves.
const READS_ONE: &[Role] =
    &[Sponsor, Investigator, SiteStaff, Irb, Monitor, Inspector, Unblinded, Participant];
const SIGNS: &[Role] = &[Sponsor, Investigator, SiteStaff, Irb, Unblinded];
const READS_DATA: &[Role] = &[Sponsor, Investigator, SiteStaff, Irb, Monitor, Inspector, Unblinded];
const AT_SITES: &[Role] = &[Investigator, SiteStaff];
const EXPORTS: &[Role] = &[Sponsor, Irb, Monitor, Inspector, Researcher];
const EXPORTS_ALL: &[Role] = &[Sponsor, Irb, Monitor, Inspector];
const OVERSEES: &[Role] = &[Irb, Monitor, Inspector, Auditor, Admin];

/// A grant that nobody has.
const NOBODY: &str = "0190aaaa-0000-7000-8000-000000000000";

/// To whom the investigators delegate all that there is.
const NURSE: &str = "nurse-1";

/// Things of one trial, to fill addresses with.
struct Things {
    trial: String,
    site: String,
    participant: String,
    import: String,
    export: String,
    /// The newest seal, which covers the trial.
    seal: u64,
}

impl Things {
    fn of(service: &Service, id: &str) -> Self {
        let trial = Trial::open(service, id);
        let participant = trial.enrol("101-001", true);
        trial.investigator("delegations", &bodies::delegation("DL-1", NURSE, &trial.site));
        let file = laboratory(&["101-001".to_owned()], 1, &mut Rng::new(1));
        let investigator = service.client(Investigator);
        let import = investigator.try_post_text(&trial.path("imports"), "k", &file).unwrap().expect(202);
        let import = import.header("location").to_owned();
        wait_for_import(service, &investigator, &import);
        service.wait_until_sealed();
        service.wait_until_folded(id);
        let export = service.client(Monitor).post(&trial.path("exports"), "k", &json!({})).expect(202);
        let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        Self {
            site: trial.site.clone(),
            participant,
            import: last(&import),
            export: last(export.header("location")),
            seal: service.client(Monitor).json("/v1/seals?limit=1")["newest"].as_u64().unwrap(),
            trial: trial.id,
        }
    }

    /// A path template with these things in it.
    fn fill(&self, template: &str) -> String {
        let path = template
            .replace("{trial}", &self.trial)
            .replace("{id}", &self.participant)
            .replace("{participant}", &self.participant)
            .replace("{trialseq}", "0")
            .replace("{import}", &self.import)
            .replace("{export}", &self.export)
            .replace("{path}", "checkpoint")
            .replace("{token}", NOBODY)
            .replace("{account}", NOBODY);
        if path.ends_with("/growth") { format!("{path}?from={0}&to={0}", self.seal) } else { path }
    }

    /// What is sent there: nothing is amiss with it but, perhaps, who sends it.
    fn body(&self, template: &str, sender: &Client) -> Value {
        // Names that nobody else has taken.
        let name: String = sender.token().chars().rev().take(12).collect();
        match template.rsplit_once('/').map_or(template, |(_, last)| last) {
            "trials" => bodies::registration(&self.trial),
            "protocol-versions" => bodies::protocol("9.0"),
            "consent-versions" => bodies::consent_version("9.0"),
            "irb-decisions" => bodies::approval(),
            "sites" => bodies::site("909"),
            "results" => bodies::results(),
            "participants" => bodies::screening(&self.site, "909-001"),
            "consents" => bodies::consent(true),
            "consent-withdrawals" => json!({"scope": ["samples"], "withdrawnOn": "2025-03-01"}),
            "enrolment" => json!({"enrolledOn": "2025-02-03"}),
            "randomisation" => bodies::randomisation("ACTIVE"),
            "emergency-access" => json!({"hours": 1, "reason": "Unconscious"}),
            "unblindings" => json!({"reason": "Unconscious in the emergency room"}),
            "visits" => bodies::visit("Baseline"),
            "data" => bodies::data("V1", "120"),
            "corrections" => bodies::correction("V1", "120", "130", "typing error"),
            "adverse-events" => bodies::adverse_event("headache"),
            "imports" => {
                let file = laboratory(&["101-001".to_owned()], 1, &mut Rng::new(2));
                serde_json::from_str(&file).unwrap()
            }
            "legal-holds" => json!({"hold": "FDA-1", "reason": "Inspection announced"}),
            "legal-hold-releases" => json!({"hold": "FDA-2", "reason": "Inspection closed"}),
            "delegations" => bodies::delegation("DL-2", "nurse-2", &self.site),
            "delegation-ends" => json!({"delegation": "DL-3", "reason": "Left the hospital"}),
            "erasure-requests" => json!({"askedOn": "2025-06-01", "reason": "Asked for by letter"}),
            "erasure-approvals" => json!({"reason": "No duty to keep the data is left"}),
            "redaction-requests" | "redaction-approvals" => {
                json!({"streamseq": 3, "pointer": "/record/LBORRES", "reason": "A name was typed here"})
            }
            "submission-keys" => json!({"key": Submitter::of(sender).jwk()}),
            "submission-signing" => json!({"required": false, "reason": "Not every site has a key"}),
            "submission-key-revocations" => {
                json!({"key": Submitter::of(sender).x(), "reason": "Lost with a laptop"})
            }
            "signing-keys" => Signatory::of(sender).registration(sender, &self.trial),
            "signatures" => {
                let path = format!("/v1/trials/{}/participants/{}", self.trial, self.participant);
                Signatory::of(sender).signature(sender, &path, "authorship")
            }
            "signing-key-revocations" => {
                json!({"credential": Signatory::of(sender).credential(), "reason": "Lost with a laptop"})
            }
            "tokens" => json!({"actor": name, "role": "researcher", "organisation": "Test"}),
            "accounts" => json!({"login": name, "role": "researcher", "organisation": "Test"}),
            "disposition" => json!({"status": "completed", "on": "2025-06-01"}),
            _ => json!({}),
        }
    }

    fn ask(&self, client: &Client, method: &str, template: &str) -> Answer {
        let path = self.fill(template);
        let key = template.rsplit('/').next().unwrap();
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        let answer = match method {
            // A live stream never ends by itself.
            _ if template.ends_with("/stream") => client.send("HEAD", &path, &[], SendBody::none()),
            // Keys are dealt with in signed requests.
            "POST" if template.contains("/submission-") => {
                let body = self.body(template, client);
                Submitter::of(client).post(client, &path, key, &body)
            }
            "POST" => client.send(method, &path, &headers, self.body(template, client).to_string()),
            _ => client.send(method, &path, &[], SendBody::none()),
        };
        answer.unwrap()
    }
}

/// Every route of the API description: method and path template.
fn described(service: &Service) -> BTreeSet<(String, String)> {
    let description = service.anonymous().json("/openapi.json");
    let mut routes = BTreeSet::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    routes
}

fn each_role_comes_through_its_own_doors_and_no_other(engine: Engine) {
    let service = Service::start(engine);
    let lines: BTreeSet<_> =
        MATRIX.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(lines.len(), MATRIX.len(), "a line stands there twice");
    assert_eq!(lines, described(&service), "the lines of the matrix, and the routes that there are");

    let (own, foreign) = (Things::of(&service, "OWN-1"), Things::of(&service, "ELSEWHERE-1"));
    let new_client = |role: Role| match role {
        SiteStaff => service.client_of(NURSE, role, &[&own.trial]),
        Participant => service.participant(&own.trial, &own.participant),
        _ => service.new_client(role, &[&own.trial]),
    };
    // There is no participant of all trials.
    let of_all = |role: Role| if role == Participant { new_client(role) } else { service.client(role) };
    let clients: Vec<_> = EVERYBODY.iter().map(|&role| (role, new_client(role), of_all(role))).collect();
    let mut wrong = Vec::new();
    for (method, template, roles) in MATRIX {
        for (role, client, of_all_trials) in &clients {
            let may = roles.contains(role);
            let mut expect = |whose: &str, client: &Client, things: &Things, holds: fn(u16) -> bool| {
                let answer = things.ask(client, method, template);
                if !holds(answer.status) {
                    wrong.push(format!("{method} {template} as {role:?}, {whose}: {}", answer.status));
                }
                if answer.text().contains(&foreign.trial) {
                    wrong.push(format!("{method} {template} as {role:?}, {whose}: names the other trial"));
                }
            };
            let is_let_in: fn(u16) -> bool = |status: u16| !matches!(status, 401 | 403 | 500..);
            // What has an id of its own is not there for those who may not see it.
            let has_an_id = template.contains("{export}");
            let is_refused: fn(u16) -> bool =
                if has_an_id { |status| matches!(status, 403 | 404) } else { |status| status == 403 };
            // Grants, and the list of trials that there are, are for those whose token reaches all trials.
            let is_of_all =
                ["absence", "grants", "tokens", "accounts", "invitations", "metrics", "{token}", "{account}"]
                    .iter()
                    .any(|ending| template.ends_with(ending));
            if is_of_all {
                expect("for all trials", of_all_trials, &own, if may { is_let_in } else { is_refused });
                continue;
            }
            let is_own =
                if may { |status: u16| !matches!(status, 401 | 403 | 404 | 500..) } else { is_refused };
            expect("for their trial", client, &own, is_own);
            if *template == OPENING {
                continue;
            }
            if ["{trial}", "{import}", "{export}"].iter().any(|part| template.contains(part)) {
                let is_gone =
                    if may { |status: u16| status == 404 } else { |status: u16| matches!(status, 403 | 404) };
                expect("for another trial", client, &foreign, is_gone);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    a_participant_reads_of_nobody_else(&service, &own);
}

/// Another participant of the same trial is not there for them, and their own list of readings names nobody else.
fn a_participant_reads_of_nobody_else(service: &Service, own: &Things) {
    let investigator = service.client(Investigator);
    let trial = format!("/v1/trials/{}", own.trial);
    let screened = investigator.post(
        &format!("{trial}/participants"),
        "other",
        &bodies::screening(&own.site, "101-777"),
    );
    let other = screened.expect(201).json()["participant"].as_str().unwrap().to_owned();
    service.wait_until_folded(&own.trial);
    let both = service.client(Monitor).json(&format!("{trial}/participants")).to_string();
    assert!(both.contains(&other) && both.contains(&own.participant), "{both}");

    let participant = service.participant(&own.trial, &own.participant);
    let get = |path: &str| participant.send("GET", path, &[], SendBody::none()).unwrap();
    for end in ["timeline", "access-log", "signatures"] {
        let [of_self, of_other] =
            [&own.participant, &other].map(|id| get(&format!("{trial}/participants/{id}/{end}")));
        assert_eq!((of_self.status, of_other.status), (200, 404), "{end}");
        assert!(!of_self.text().contains(&other), "{end} names somebody else");
    }
    let [of_self, of_other] =
        [&own.participant, &other].map(|id| get(&format!("{trial}/data?participant={id}")));
    assert_eq!((of_self.status, of_other.status), (200, 404));
    let log = get(&format!("{trial}/participants/{}/access-log?limit=1000", own.participant));
    let log: Value = serde_json::from_str(&log.text()).unwrap();
    let accesses = log["accesses"].as_array().unwrap();
    let by = |role: &str| accesses.iter().filter(|read| read["header"]["actorrole"] == role).count();
    assert!(by("participant") > 0, "that a participant reads is recorded as well: {log}");
    assert!(by("monitor") > 0, "{log}");
}
