//! One person's way through the trial, as the commands that record it.

use serde_json::{Value, json};

use super::super::{AMENDMENT_DAY, Chain, Step, date, step};
use super::{Complaint, Fate, Measured, Person, VISITS, decimal};
use crate::service::Role;

impl Person {
    /// Everything that is sent about this person, by day.
    pub(super) fn course(&self) -> Chain {
        let mut chain = vec![self.screening()];
        if self.fate == Fate::FailsAtOnce {
            return chain;
        }
        let first_form = if self.screened < AMENDMENT_DAY { "1.0" } else { "2.0" };
        chain.push(self.consent(self.screened, first_form));
        if self.fate == Fate::FailsLater {
            let reason = "Serum creatinine above the limit of the protocol";
            chain.push(self.disposition(self.screened + 5, "screen-failed", reason));
            return chain;
        }
        let mut owes_consent = first_form == "1.0";
        for (visit, measured) in self.measured.iter().enumerate() {
            let day = self.visit_day(visit);
            if owes_consent && day >= AMENDMENT_DAY {
                chain.push(self.consent(day, "2.0"));
                owes_consent = false;
            }
            if visit == 0 {
                chain.push(self.about(day, "enrolment", "enrolment", json!({"enrolledOn": date(day)})));
            }
            chain.extend(self.visit(visit, day, *measured));
        }
        chain.extend(self.complaints.iter().map(|complaint| self.adverse_event(*complaint)));
        chain.extend(self.ending());
        // Stable, so that what happens on one day keeps its order.
        chain.sort_by_key(|step| step.day);
        chain
    }

    fn screening(&self) -> Step {
        let mut body = json!({
            "site": format!("{{{}}}", self.site.number),
            "subjectNumber": self.number,
            "screenedOn": date(self.screened),
        });
        if self.fate == Fate::FailsAtOnce {
            body["screenFailed"] =
                json!({"on": date(self.screened), "reason": "Systolic blood pressure below 140 mmHg"});
        }
        let name = format!("{}.screening", self.number);
        let mut step = step(self.screened, Role::Investigator, &name, "participants", body);
        step.learns = Some(("participant", self.number.clone()));
        step
    }

    fn consent(&self, day: u64, version: &str) -> Step {
        let body = json!({
            "consentVersion": version,
            "language": self.site.language,
            "signedBy": "participant",
            "signedOn": date(day),
            "discussedBy": self.site.investigator,
            "discussedOn": date(day),
            "sharing": {"research": self.shares_for_research, "samples": false, "contact": false},
        });
        self.about(day, &format!("consent.{version}"), "consents", body)
    }

    fn visit(&self, visit: usize, day: u64, measured: Measured) -> Chain {
        let Some((name, _)) = VISITS.get(visit) else { return Chain::new() };
        let right = decimal(measured.weight_hectograms);
        let written = if self.mistakes.contains(&visit) { measured.mistaken_weight() } else { right.clone() };
        let key = format!("visit.{}", visit + 1);
        let mut chain = vec![
            self.about(day, &key, "visits", json!({"visit": name, "occurredOn": date(day)})),
            self.about(day, &format!("{key}.data"), "data", measured.body(name, day, &written)),
        ];
        if written != right {
            let body = json!({
                "visit": name, "form": "VS", "itemGroup": "IG.VS", "itemOid": "IT.VS.WEIGHT",
                "old": written, "new": right, "unit": "kg",
                "reason": "Digits transposed on entry", "source": "Scale printout in the source document",
            });
            let mut correction = self.about(day + 2, &format!("{key}.correction"), "data/corrections", body);
            correction.is_worth_a_receipt = true;
            chain.push(correction);
        }
        chain
    }

    fn adverse_event(&self, complaint: Complaint) -> Step {
        let Complaint { term, after, lasts, is_serious } = complaint;
        let begun = self.visit_day(0) + after;
        let body = json!({
            "term": term,
            "seriousness": if is_serious { vec!["hospitalization"] } else { vec![] },
            "severity": if is_serious { "SEVERE" } else { "MILD" },
            "startedOn": date(begun),
            "endedOn": date(begun + lasts),
            "outcome": "RECOVERED/RESOLVED",
            "relatedness": if is_serious { "POSSIBLY RELATED" } else { "UNLIKELY RELATED" },
        });
        self.about(begun, &format!("adverse-event.{after}"), "adverse-events", body)
    }

    fn ending(&self) -> Chain {
        let day = self.last_day() + 4;
        match self.fate {
            Fate::FailsAtOnce | Fate::FailsLater => Chain::new(),
            Fate::Withdraws => {
                let body = json!({
                    "scope": ["intervention", "follow-up", "future-data"],
                    "withdrawnOn": date(day),
                    "reason": "No longer wishes to take part",
                });
                vec![
                    self.about(day, "consent-withdrawal", "consent-withdrawals", body),
                    self.disposition(day, "discontinued", "Withdrawal by participant"),
                ]
            }
            Fate::Discontinues => vec![self.disposition(day, "discontinued", "Moved away")],
            Fate::Completes => vec![self.disposition(day, "completed", "All visits done")],
        }
    }

    fn disposition(&self, day: u64, status: &str, reason: &str) -> Step {
        let body = json!({"status": status, "on": date(day), "reason": reason});
        self.about(day, "disposition", "disposition", body)
    }

    fn about(&self, day: u64, name: &str, path: &str, body: Value) -> Step {
        let path = format!("participants/{{{}}}/{path}", self.number);
        step(day, Role::Investigator, &format!("{}.{name}", self.number), &path, body)
    }
}

impl Measured {
    /// The weight with its first two digits exchanged, as happens to people who type.
    fn mistaken_weight(&self) -> String {
        let mut digits = decimal(self.weight_hectograms).into_bytes();
        digits.swap(0, 1);
        String::from_utf8_lossy(&digits).into_owned()
    }

    /// The vital signs and the laboratory's values of a visit; `weight` is what was written down.
    fn body(self, visit: &str, day: u64, weight: &str) -> Value {
        let item = |oid: &str, value: &str, unit: &str| json!({"itemOid": oid, "value": value, "unit": unit});
        let whole = |oid: &str, value: u32, unit: &str| item(oid, &value.to_string(), unit);
        json!({"records": [
            {"visit": visit, "form": "VS", "itemGroup": "IG.VS", "collectedOn": date(day), "items": [
                whole("IT.VS.SYSBP", self.systolic, "mmHg"),
                whole("IT.VS.DIABP", self.diastolic, "mmHg"),
                whole("IT.VS.PULSE", self.pulse, "beats/min"),
                item("IT.VS.WEIGHT", weight, "kg"),
            ]},
            {"visit": visit, "form": "LB", "itemGroup": "IG.LB", "collectedOn": date(day), "items": [
                item("IT.LB.GLUC", &decimal(self.glucose_tenths), "mmol/L"),
                item("IT.LB.K", &decimal(self.potassium_tenths), "mmol/L"),
                whole("IT.LB.CREAT", self.creatinine, "umol/L"),
            ]},
        ]})
    }
}
