//! What a trial sends, step by step.

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};

use crate::{Client, Role, Service};

/// The bodies of requests, with dates that follow one another.
pub mod bodies {
    use serde_json::{Value, json};

    /// SHA-256 of a document that nobody wrote.
    pub const DOCUMENT: &str = "1111111111111111111111111111111111111111111111111111111111111111";

    /// `POST /v1/trials`
    pub fn registration(id: &str) -> Value {
        json!({"id": id, "title": "A trial of tests", "sponsor": "Test Sponsor", "phase": "phase3"})
    }

    /// `POST …/protocol-versions`
    pub fn protocol(version: &str) -> Value {
        json!({
            "version": version,
            "documentSha256": DOCUMENT,
            "primaryOutcomes": [{"id": "systolic-pressure", "measure": "Change of pressure", "timeFrame": "12 weeks"}],
            "secondaryOutcomes": [],
            "sampleSize": 50,
            "changeSummary": "First version",
            "reconsent": "none",
        })
    }

    /// `POST …/consent-versions`
    pub fn consent_version(version: &str) -> Value {
        json!({"version": version, "language": "en", "documentSha256": DOCUMENT, "protocolVersion": "1.0"})
    }

    /// `POST …/delegations`, of all there is.
    pub fn delegation(name: &str, delegate: &str, site: &str) -> Value {
        json!({
            "delegation": name, "delegate": delegate, "site": site, "from": "2025-01-15",
            "tasks": [
                "screening", "consent", "enrolment", "visits", "data-entry", "adverse-events", "disposition",
            ],
        })
    }

    /// `POST …/irb-decisions`
    pub fn approval() -> Value {
        json!({
            "irb": "Test IRB", "decision": "approved", "decidedOn": "2025-01-10", "expiresOn": "2030-01-10",
            "protocolVersion": "1.0", "consentVersions": ["1.0"],
        })
    }

    /// `POST …/sites`
    pub fn site(number: &str) -> Value {
        json!({
            "number": number, "name": "Test Clinic", "investigator": "Dr Test", "country": "IE",
            "activatedOn": "2025-01-20",
        })
    }

    /// `POST …/participants`
    pub fn screening(site: &str, number: &str) -> Value {
        json!({"site": site, "subjectNumber": number, "screenedOn": "2025-02-01"})
    }

    /// `POST …/consents`
    pub fn consent(research: bool) -> Value {
        json!({
            "consentVersion": "1.0", "language": "en", "signedBy": "participant", "signedOn": "2025-02-02",
            "discussedBy": "Dr Test", "discussedOn": "2025-02-02",
            "sharing": {"research": research, "samples": false, "contact": false},
        })
    }

    /// A randomisation to an arm.
    pub fn randomisation(arm: &str) -> Value {
        json!({"randomisedOn": "2025-02-04", "armCode": arm, "randomisationNumber": "R-1", "kit": "K-1"})
    }

    /// `POST …/visits`
    pub fn visit(name: &str) -> Value {
        json!({"visit": name, "occurredOn": "2025-03-01"})
    }

    /// `POST …/data`: one record of one item.
    pub fn data(visit: &str, value: &str) -> Value {
        json!({"records": [{
            "visit": visit, "form": "VS", "itemGroup": "IG.VS", "collectedOn": "2025-03-01",
            "items": [{"itemOid": "IT.VS.WEIGHT", "value": value, "unit": "kg"}],
        }]})
    }

    /// `POST …/data/corrections` of what [`data`] recorded.
    pub fn correction(visit: &str, old: &str, new: &str, reason: &str) -> Value {
        json!({
            "visit": visit, "form": "VS", "itemGroup": "IG.VS", "itemOid": "IT.VS.WEIGHT",
            "old": old, "new": new, "unit": "kg", "reason": reason,
        })
    }

    /// `POST …/adverse-events`
    pub fn adverse_event(term: &str) -> Value {
        json!({
            "term": term, "seriousness": [], "severity": "MILD", "startedOn": "2025-03-03",
            "relatedness": "NOT RELATED",
        })
    }

    /// `POST …/results`
    pub fn results() -> Value {
        json!({
            "outcomes": [{
                "outcome": "systolic-pressure", "measure": "Change of pressure", "value": "-4.0", "unit": "mmHg",
                "timeFrame": "12 weeks", "analysisPopulation": "All",
            }],
            "analysedOn": "2025-12",
        })
    }
}

/// A trial, and all that the service acknowledged of it.
#[derive(Debug)]
pub struct Trial {
    /// Its id.
    pub id: String,
    /// The id of its first site, once there is one.
    pub site: String,
    sponsor: Client,
    investigator: Client,
    irb: Client,
    acknowledged: RefCell<Vec<Value>>,
    commands: Cell<usize>,
    next: Cell<u32>,
}

impl Trial {
    /// Registers a trial.
    pub fn register(service: &Service, id: &str) -> Self {
        let trial = Self {
            id: id.to_owned(),
            site: String::new(),
            sponsor: service.client(Role::Sponsor),
            investigator: service.client(Role::Investigator),
            irb: service.client(Role::Irb),
            acknowledged: RefCell::default(),
            commands: Cell::new(0),
            next: Cell::new(0),
        };
        let answer =
            trial.sponsor.post("/v1/trials", "registration", &bodies::registration(id)).expect(201).json();
        trial.note(&answer);
        trial
    }

    /// Registers a trial and opens its site.
    pub fn open(service: &Service, id: &str) -> Self {
        let mut trial = Self::register(service, id);
        trial.sponsor("protocol-versions", &bodies::protocol("1.0"));
        trial.sponsor("consent-versions", &bodies::consent_version("1.0"));
        trial.irb("irb-decisions", &bodies::approval());
        let site = trial.sponsor("sites", &bodies::site("101"));
        site["site"].as_str().unwrap().clone_into(&mut trial.site);
        trial
    }

    /// Screens somebody who signs a consent and is enrolled; answers their id.
    pub fn enrol(&self, number: &str, research: bool) -> String {
        let participant = self.screen(number);
        self.about(&participant, "consents", &bodies::consent(research));
        self.about(&participant, "enrolment", &json!({"enrolledOn": "2025-02-03"}));
        participant
    }

    /// Screens somebody; answers their id.
    pub fn screen(&self, number: &str) -> String {
        let answer = self.investigator("participants", &bodies::screening(&self.site, number));
        answer["participant"].as_str().unwrap().to_owned()
    }

    /// Has the investigator record something about a participant.
    pub fn about(&self, participant: &str, route: &str, body: &Value) -> Value {
        self.investigator(&format!("participants/{participant}/{route}"), body)
    }

    /// Has the sponsor record something.
    pub fn sponsor(&self, route: &str, body: &Value) -> Value {
        self.send(&self.sponsor, route, body)
    }

    /// Has the IRB record something.
    pub fn irb(&self, route: &str, body: &Value) -> Value {
        self.send(&self.irb, route, body)
    }

    /// Has the investigator record something.
    pub fn investigator(&self, route: &str, body: &Value) -> Value {
        self.send(&self.investigator, route, body)
    }

    /// Imports a file, and answers how that ended.
    pub fn import(&self, service: &Service, file: &[u8]) -> Value {
        let path = self.path("imports");
        let answer = self.investigator.post_reader(&path, &self.key(), file).expect(202);
        crate::wait_for_import(service, &self.investigator, answer.header("location"))
    }

    /// The address of something below the trial.
    pub fn path(&self, route: &str) -> String {
        format!("/v1/trials/{}/{route}", self.id)
    }

    /// The events that the service acknowledged, in order.
    pub fn acknowledged(&self) -> Vec<Value> {
        self.acknowledged.borrow().clone()
    }

    /// How many commands these were.
    pub fn acknowledged_commands(&self) -> usize {
        self.commands.get()
    }

    fn send(&self, client: &Client, route: &str, body: &Value) -> Value {
        let answer = client.post(&self.path(route), &self.key(), body).expect(201).json();
        self.note(&answer);
        answer
    }

    fn key(&self) -> String {
        format!("key-{}", self.next.replace(self.next.get() + 1))
    }

    fn note(&self, answer: &Value) {
        self.commands.set(self.commands.get() + 1);
        self.acknowledged.borrow_mut().extend(answer["events"].as_array().unwrap().iter().cloned());
    }
}
