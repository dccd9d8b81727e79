//! What lies on the disk, in the database and in the log tells nothing about anybody.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::io::{Cursor, Read};

use serde_json::json;
use trialseal_tests::{Engine, Role, Service, Trial, all_files, bodies, export, on_both_engines};

on_both_engines!(nothing_lies_open);

/// What must be found nowhere. Each is sent as something that people enter.
const SUBJECT: &str = "CANARY-SUBJECT-7731";
const VALUE: &str = "CANARYVALUE-81.407731";
const TERM: &str = "Canary term: fell off a perch";
const REASON: &str = "Canary reason: misread the scale";
const CELL: &str = "CANARYCELL-5512";
const CANARIES: [&str; 5] = [SUBJECT, VALUE, TERM, REASON, CELL];

/// Looks everywhere that somebody could look who has the disk, the database or the service's output.
struct Search<'a> {
    service: &'a Service,
    secrets: Vec<String>,
}

impl Search<'_> {
    /// Which of these texts stand where, as they are or as hex.
    fn found(&self, texts: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let mut look = |place: &str, bytes: &[u8]| {
            // What is no text in between is replaced, and hides none of it.
            let content = String::from_utf8_lossy(bytes);
            let here = texts.iter().filter(|text| content.contains(**text) || content.contains(&hex(text)));
            found.extend(here.map(|text| format!("{text} in {place}")));
        };
        for file in all_files(self.service.dir()) {
            // Some are gone before they are read.
            if let Ok(bytes) = fs::read(&file) {
                look(&file.display().to_string(), &bytes);
            }
        }
        look("the database", self.service.database().dump().as_bytes());
        look("the service's output", self.service.log().as_bytes());
        found
    }

    fn assert_nothing(&self, when: &str) {
        let secrets: Vec<&str> =
            CANARIES.into_iter().chain(self.secrets.iter().map(String::as_str)).collect();
        let found = self.found(&secrets);
        assert!(found.is_empty(), "{when}: {found:#?}");
    }
}

fn hex(text: &str) -> String {
    let mut hex = String::new();
    text.bytes().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
    hex
}

/// A laboratory file of about a megabyte with a canary in each row.
fn file() -> Vec<u8> {
    let columns: Vec<_> = ["STUDYID", "USUBJID", "LBORRES"]
        .iter()
        .map(|name| json!({"itemOID": name, "name": name, "label": name, "dataType": "string"}))
        .collect();
    let rows: Vec<_> =
        (0..2_000).map(|_| json!(["S", SUBJECT, format!("{CELL} {}", "x".repeat(500))])).collect();
    json!({
        "datasetJSONCreationDateTime": "2025-12-01T08:00:00", "datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.LB",
        "records": rows.len(), "name": "LB", "label": "LB", "columns": columns, "rows": rows,
    })
    .to_string()
    .into_bytes()
}

/// A file that is sent, with something to do when half of it is on its way.
struct Halfway<F: FnMut()> {
    file: Cursor<Vec<u8>>,
    at_half: Option<F>,
}

impl<F: FnMut()> Read for Halfway<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (at, all) = (self.file.position(), self.file.get_ref().len() as u64);
        if at > all / 2
            && let Some(mut at_half) = self.at_half.take()
        {
            at_half();
        }
        self.file.read(buffer)
    }
}

fn nothing_lies_open(engine: Engine) {
    let mut service = Service::start_with(engine, &[("TRIALSEAL_LOG", "debug")]);
    let trial = Trial::open(&service, "REST-1");
    let participant = trial.enrol(SUBJECT, true);
    trial.about(&participant, "data", &bodies::data("Baseline", VALUE));
    trial.about(&participant, "data/corrections", &bodies::correction("Baseline", VALUE, "81.4", REASON));
    trial.about(&participant, "adverse-events", &bodies::adverse_event(TERM));
    let investigator = service.client(Role::Investigator);
    // What is refused is not written down either.
    let taken = bodies::screening(&trial.site, SUBJECT);
    investigator.post(&trial.path("participants"), "refused", &taken).expect(409);
    let mut malformed = bodies::data("Baseline", VALUE);
    malformed["records"][0]["items"][0]["value"] = json!({"nested": VALUE});
    let malformed =
        investigator.post(&trial.path(&format!("participants/{participant}/data")), "odd", &malformed);
    malformed.expect(422).any_problem();
    service.client_with("CANARY-SUBJECT-7731").get("/v1/trials").expect(401);

    let secrets = [Role::Investigator, Role::Monitor, Role::Sponsor, Role::Irb]
        .map(|role| service.client(role).token().trim_start_matches("ts_").to_owned());
    {
        let search = Search { service: &service, secrets: secrets.to_vec() };
        search.assert_nothing("after commands");
        let spooled = RefCell::new(Vec::new());
        let at_half = || {
            let spool = service.dir().join("spool");
            *spooled.borrow_mut() = service.wait("something is spooled", || {
                let files = all_files(&spool);
                let begun =
                    files.iter().any(|file| fs::metadata(file).is_ok_and(|facts| facts.len() > 10_000));
                begun.then_some(files)
            });
            search.assert_nothing("while a file comes in");
        };
        let sent = Halfway { file: Cursor::new(file()), at_half: Some(at_half) };
        let import = investigator.post_reader(&trial.path("imports"), "file", sent).expect(202);
        assert!(!spooled.borrow().is_empty(), "nothing was spooled, and nothing was searched");
        search.assert_nothing("while a file is recorded");
        let done = trialseal_tests::wait_for_import(&service, &investigator, import.header("location"));
        assert_eq!((&done["state"], &done["rows"]), (&json!("done"), &json!(2_000)));
        service.wait_until_sealed();
        service.wait_until_folded(&trial.id);
        let dataset = export(&service, &service.client(Role::Monitor), &trial.id);
        assert!(dataset.len() > 10_000);
        service.client(Role::Monitor).get(&trial.path("participants")).expect(200);
        search.assert_nothing("after an export");

        // The search finds what may be found, so it would have found what may not.
        for public in ["data.recorded", "REST-1", "/v1/trials/{trial}/imports"] {
            assert!(!search.found(&[public]).is_empty(), "{public} is not found");
        }
    }
    service.stop();
    let search = Search { service: &service, secrets: secrets.to_vec() };
    search.assert_nothing("after the end");
    assert!(all_files(&service.dir().join("spool")).is_empty(), "files stay in the spool");
}
