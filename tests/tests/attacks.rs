//! Every attack that an operator can try with the database, the keys and the disk in their hands, and which of the programs
//! that others run notices it, by what it can see from outside. What comes of it is the table in `docs/attacks.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_tests::{Client, Engine, Monitor, Pass, Role, Service, Trial, Verifier, Witnesses, bodies};

use front::{Front, Source};
use operator::{Telling, put};

#[path = "attacks/front.rs"]
mod front;
#[path = "attacks/operator.rs"]
mod operator;

const TRIAL: &str = "ATTACKED";

/// What noticed an attack.
struct Row {
    attack: &'static str,
    detector: &'static str,
    /// After how many more seals.
    seals: &'static str,
    finding: String,
}

/// An honest ledger, those who have looked at it, and what they were handed.
struct Scene {
    service: Service,
    monitor: Monitor,
    verifier: Verifier,
    /// Receipts that the site keeps, by what they are of.
    receipts: Vec<(&'static str, Value)>,
    reader: Client,
    kept: TempDir,
    rows: Vec<Row>,
}

impl Scene {
    /// A trial with one participant in it, which a monitor has followed until now with a token for headers alone.
    fn set() -> Self {
        let mut service = Service::start(Engine::Sqlite);
        let trial = Trial::open(&service, TRIAL);
        let participant = trial.enrol("001", true);
        for (week, value) in [("Week 1", "81.40"), ("Week 2", "79.20"), ("Week 3", "77.90")] {
            trial.about(&participant, "data", &bodies::data(week, value));
            service.wait_until_sealed();
        }
        let reader = service.new_client(Role::Researcher, &[TRIAL]);
        let monitor = Monitor::of(&service, TRIAL, &reader);
        monitor.check(&service, &["--first"]).assert_sound();
        let verifier = Verifier::of(&service);
        let sponsor = service.client(Role::Sponsor);
        let receipt = |kind: &'static str| {
            let events = reader.json(&trial.path("events?limit=1000"));
            let found = events["events"].as_array().unwrap().iter().find(|it| it["header"]["type"] == kind);
            let place = found.unwrap()["header"]["trialseq"].clone();
            (kind, sponsor.json(&trial.path(&format!("events/{place}/receipt"))))
        };
        let receipts = ["consent.version-published", "data.recorded"].map(receipt).to_vec();
        // What was asked for these is in the record, too.
        service.wait_until_sealed();
        monitor.check(&service, &[]).assert_sound();
        service.stop();
        let kept = tempfile::tempdir().unwrap();
        put(service.dir(), &kept.path().join("ledger"));
        put(&monitor.dir(), &kept.path().join("place"));
        Self { service, monitor, verifier, receipts, reader, kept, rows: Vec::new() }
    }

    /// All as it was before an attack; the service is stopped.
    fn as_it_was(&mut self) {
        self.service.kill();
        put(&self.kept.path().join("ledger"), self.service.dir());
        put(&self.kept.path().join("place"), &self.monitor.dir());
    }

    /// Tells the record over again with a change, and starts the service on it.
    fn tell(&mut self, change: impl FnOnce(&mut Telling)) {
        let signer = operator::signer(&self.service);
        self.tell_signed(change, signer);
        self.service.start_again();
    }

    /// The same, signed with a key of the operator's choice; the service stays stopped.
    fn tell_signed(&mut self, change: impl FnOnce(&mut Telling), signer: Signer) {
        self.as_it_was();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut telling = runtime.block_on(Telling::read(&self.service));
        change(&mut telling);
        operator::empty(&self.service);
        runtime.block_on(telling.write(&self.service, signer));
    }

    fn noticed(&mut self, attack: &'static str, detector: &'static str, seals: &'static str, finding: &str) {
        self.rows.push(Row { attack, detector, seals, finding: finding.to_owned() });
    }

    /// The monitor's next look at the service raises an alarm, and keeps what shows it.
    fn alarm(&mut self, attack: &'static str, code: &str) {
        let pass = self.monitor.check(&self.service, &[]);
        pass.assert_alarm(code);
        let evidence = self.evidence(&pass, code);
        for name in ["checkpoint-old", "checkpoint-new", "policy.txt", "finding.json"] {
            assert!(evidence[0].join(name).exists(), "{attack}: {name}");
        }
        self.noticed(attack, "monitor", "0", code);
    }

    /// The folders of evidence for a code.
    fn evidence(&self, pass: &Pass, code: &str) -> Vec<PathBuf> {
        let names = pass.report["evidence"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let of_code = names.filter(|name| name.contains(&format!("-{code}-")));
        of_code.map(|name| self.monitor.dir().join("evidence").join(name)).collect()
    }

    /// The receipts that were handed out before are as good as ever: they show what stood there.
    fn receipts_hold(&self) {
        for (kind, receipt) in &self.receipts {
            let verdict = self.verifier.document("receipt", receipt);
            assert_eq!(verdict.code, 0, "{kind}: {:#}", verdict.report);
        }
    }
}

#[test]
fn every_attack_is_noticed_or_said_not_to_be() {
    let mut scene = Scene::set();
    nothing_but_telling_it_again(&mut scene);
    in_the_database(&mut scene);
    tell_it_otherwise(&mut scene);
    with_another_key(&mut scene);
    put_back_an_old_copy(&mut scene);
    to_one_reader(&mut scene);
    to_one_witness(&mut scene);
    keep_it_back(&mut scene);
    let lines: Vec<String> = scene
        .rows
        .iter()
        .map(|row| format!("| {} | {} | {} | `{}` |", row.attack, row.detector, row.seals, row.finding))
        .collect();
    println!("{}", lines.join("\n"));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/attacks.md");
    let page = fs::read_to_string(page).unwrap();
    for line in &lines {
        assert!(page.lines().any(|known| known == line), "docs/attacks.md lacks this line:\n{line}");
    }
    let table = page.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")).count();
    assert_eq!(table, lines.len(), "docs/attacks.md has lines that nothing came to");
}

fn drop_last(telling: &mut Telling) {
    telling.events.remove(telling.last_of(TRIAL));
}

/// The control: told over again without a change, the ledger is what it was to the byte, and nobody notices anything.
fn nothing_but_telling_it_again(scene: &mut Scene) {
    scene.tell(|_| {});
    let log = scene.kept.path().join("ledger/log");
    for file in trialseal_tests::all_files(&log) {
        let name = file.strip_prefix(&log).unwrap();
        let again = fs::read(scene.service.published().join(name)).unwrap_or_default();
        assert!(again == fs::read(&file).unwrap(), "{} is another file", name.display());
    }
    scene.monitor.check(&scene.service, &["--reread"]).assert_sound();
    scene.receipts_hold();
}

/// A stored value, changed behind the service's back.
fn in_the_database(scene: &mut Scene) {
    scene.as_it_was();
    let database = scene.service.database();
    for trigger in database.texts("SELECT name FROM sqlite_master WHERE type = 'trigger'") {
        database.execute(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    let row = format!("trial = '{TRIAL}' AND trialseq = 8");
    let body = database.texts(&format!("SELECT hex(body) FROM event WHERE {row}")).remove(0);
    let digit = u8::from_str_radix(&body[80..81], 16).unwrap() ^ 1;
    let changed = format!("{}{digit:x}{}", &body[..80], &body[81..]);
    database.execute(&format!("UPDATE event SET body = x'{changed}' WHERE {row}")).unwrap();
    scene.service.start_again();
    let answer = scene.service.client(Role::Monitor).get(&format!("/v1/trials/{TRIAL}/events/8/receipt"));
    answer.problem(500, "damaged");
    scene.noticed("a stored value is changed, and nothing else", "any reader of it", "0", "damaged");
}

/// The record told otherwise, and everything below the seals made anew to fit.
fn tell_it_otherwise(scene: &mut Scene) {
    scene.tell(|telling| {
        let place = telling.first("data.recorded");
        let data = telling.events[place].data.to_string().replace("81.40", "71.40");
        telling.events[place].data = serde_json::from_str(&data).unwrap();
    });
    scene.alarm("a value is changed, and everything below the seals made to fit", "split");
    scene.receipts_hold();

    scene.tell(drop_last);
    scene.alarm("the last event is dropped", "split");

    scene.tell(|telling| drop(telling.events.remove(telling.first("data.recorded"))));
    scene.alarm("an event in the middle is dropped", "split");

    scene.tell(|telling| {
        let place = telling.first("data.recorded");
        let mut second = telling.events[place].clone();
        second.header.id = second.header.id.replacen(|digit: char| digit != '0' && digit != '-', "0", 1);
        telling.events.insert(place, second);
    });
    scene.alarm("an event is slipped in, dated back", "split");

    scene.tell(|telling| {
        let place = telling.first("participant.enrolled");
        telling.events.swap(place, place - 1);
        let (time, seal) = (telling.events[place].header.time, telling.events[place].seal);
        (telling.events[place - 1].header.time, telling.events[place - 1].seal) = (time, seal);
    });
    scene.alarm("two events change places", "split");

    scene.tell(|telling| {
        let place = telling.first("consent.version-published");
        let hash = telling.events[place].data["documentSha256"].as_str().unwrap().to_owned();
        let data = telling.events[place].data.to_string().replace(&hash, &"ab".repeat(32));
        telling.events[place].data = serde_json::from_str(&data).unwrap();
    });
    scene.alarm("the form that participants signed is replaced by another", "split");
    scene.receipts_hold();
}

/// A log that is signed anew with a key that the operator has just made.
fn with_another_key(scene: &mut Scene) {
    let other = Signer::new("ledger.example.org/test", KeyKind::Ed25519, &[9; 32]).unwrap();
    scene.tell_signed(drop_last, other);
    let log = scene.service.published();
    let front = Front::start(move |_| Source::Folder(log.clone()));
    let pass = scene.monitor.check_at(&front.address, &[]);
    pass.assert_alarm("log-signature-missing");
    scene.noticed("the log is signed anew with another key", "monitor", "0", "log-signature-missing");
    let verdict = scene.verifier.log(&scene.service.published());
    assert_eq!(verdict.code, 1, "{:#}", verdict.report);
    let found = verdict.report["findings"].as_array().unwrap().iter();
    assert!(found.clone().any(|it| it["code"] == "log-signature-missing"), "{:#}", verdict.report);
    scene.noticed("the log is signed anew with another key", "verifier", "0", "log-signature-missing");
}

/// Database and log of an earlier day, put back, and gone on with.
fn put_back_an_old_copy(scene: &mut Scene) {
    scene.as_it_was();
    scene.service.start_again();
    let investigator = scene.service.client(Role::Investigator);
    let participants = investigator.json(&format!("/v1/trials/{TRIAL}/participants"));
    let participant = participants["participants"][0]["participant"].as_str().unwrap().to_owned();
    let path = format!("/v1/trials/{TRIAL}/participants/{participant}/data");
    let record = |scene: &Scene, number: u32, value: &str| {
        let body = bodies::data(&format!("Day {number}"), value);
        scene
            .service
            .client(Role::Investigator)
            .post(&path, &format!("day-{number}-{value}"), &body)
            .expect(201);
        scene.service.wait_until_sealed();
    };
    (1..=4).for_each(|number| record(scene, number, "80.00"));
    let seen = scene.monitor.check(&scene.service, &[]);
    seen.assert_sound();
    let seen = seen.report["log"]["size"].as_u64().unwrap();

    scene.service.kill();
    put(&scene.kept.path().join("ledger"), scene.service.dir());
    scene.service.start_again();
    let attack = "an old copy of database and log is put back, and gone on with";
    let pass = scene.monitor.check(&scene.service, &[]);
    pass.assert_alarm("rolled-back");
    scene.noticed(attack, "monitor", "0", "rolled-back");
    let size = |scene: &Scene| {
        scene.service.client(Role::Monitor).json("/v1/seals?limit=1")["newest"].as_u64().unwrap() + 1
    };
    let (mut number, mut seals) = (1, 0);
    while size(scene) <= seen {
        record(scene, number, "70.00");
        (number, seals) = (number + 1, seals + 1);
    }
    assert!(seals > 0);
    let pass = scene.monitor.check(&scene.service, &[]);
    pass.assert_alarm("split");
    assert!(scene.evidence(&pass, "split")[0].join("beginning.json").exists());
    scene.noticed(attack, "monitor", "as many as were taken back", "split");
}

/// Two ledgers under one key: what is shown depends on who asks.
fn to_one_reader(scene: &mut Scene) {
    // The other ledger, which lacks the last event, in a folder of its own.
    scene.tell(drop_last);
    scene.service.stop();
    let other = tempfile::tempdir().unwrap();
    put(scene.service.dir(), other.path());
    let mut second = Service::prepared(Engine::Sqlite);
    put(other.path(), second.dir());
    second.start_again();
    scene.as_it_was();
    scene.service.start_again();
    let (honest, forged) = (scene.service.address(), second.address());

    // A reader who has seen nothing before is led there from the beginning.
    let newcomer = Monitor::of(&scene.service, TRIAL, &scene.reader);
    newcomer.check_at(&forged, &["--first"]).assert_sound();
    let peer = scene.monitor.dir().join("checkpoint").to_str().unwrap().to_owned();
    let pass = newcomer.check_at(&forged, &["--peer", &peer]);
    pass.assert_alarm("split");
    scene.noticed(
        "two maps for one seal: another ledger for one reader from the beginning",
        "monitor with a peer",
        "0",
        "split",
    );

    // The log is the one that everybody sees, and the trial another.
    let lead = {
        let (honest, forged) = (honest.clone(), forged.clone());
        move |path: &str| {
            Source::Service(if path.starts_with("/log/") { honest.clone() } else { forged.clone() })
        }
    };
    let front = Front::start(lead);
    let pass = scene.monitor.check_at(&front.address, &["--reread"]);
    assert_eq!(pass.code, 1, "{:#}", pass.report);
    let code = pass.report["findings"][0]["code"].as_str().unwrap().to_owned();
    scene.noticed(
        "another head of the trial for one reader, under the log that all see",
        "monitor",
        "0",
        &code,
    );

    // A receipt from there does not prove anything to whoever has the honest log's checkpoint: the two logs are of one size.
    let theirs =
        second.new_client(Role::Researcher, &[TRIAL]).json(&format!("/v1/trials/{TRIAL}/events/8/receipt"));
    scene.verifier.document("receipt", &theirs).assert_sound();
    second.kill();
}

/// Has a witness that has cosigned nothing of a log yet cosign its checkpoint; the status of its answer.
fn offer(service: &Service, witness: &str) -> u16 {
    let note = fs::read_to_string(service.published().join("checkpoint")).unwrap();
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let request = agent.post(format!("{witness}/add-checkpoint"));
    request.send(format!("old 0\n\n{note}")).unwrap().status().as_u16()
}

/// A log that one witness cosigns and nobody else sees.
fn to_one_witness(scene: &mut Scene) {
    let signer = operator::signer(&scene.service);
    let witnesses = Witnesses::start(&signer.verifier_key().to_string(), 1, "quorum none\n");
    let address = witnesses.all[0].address.clone();
    scene.tell_signed(drop_last, signer);
    assert_eq!(offer(&scene.service, &address), 200);
    scene.as_it_was();
    // It has seen another log of this size, and cosigns no second one.
    assert_eq!(offer(&scene.service, &address), 409);
    scene.noticed("another log for one witness", "that witness", "0", "409");
    scene.service.start_again();
    let pass = scene.monitor.check(&scene.service, &["--witness", &address]);
    pass.assert_alarm("split");
    scene.noticed("another log for one witness", "monitor with that witness", "0", "split");
}

/// Less than there is: seals that are withheld, a ledger that stands still, an old checkpoint for ever.
fn keep_it_back(scene: &mut Scene) {
    scene.as_it_was();
    scene.service.start_again();
    let old = scene.kept.path().join("ledger/log");
    let address = scene.service.address();
    let front = Front::start(move |path| {
        if path.starts_with("/log/") { Source::Folder(old.clone()) } else { Source::Service(address.clone()) }
    });
    // Shown the old log for ever, whoever asks often enough misses the heartbeat.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let pass = scene.monitor.check_at(&front.address, &["--max-age", "1"]);
    pass.assert_alarm("silent");
    scene.noticed("an old checkpoint is served for ever", "monitor", "0", "silent");

    // A witness was shown a seal that this reader is not.
    scene.service.client(Role::Monitor).get(&format!("/v1/trials/{TRIAL}/events")).expect(200);
    scene.service.wait_until_sealed();
    let signer = operator::signer(&scene.service);
    let witnesses = Witnesses::start(&signer.verifier_key().to_string(), 1, "quorum none\n");
    assert_eq!(offer(&scene.service, &witnesses.all[0].address), 200);
    let pass = scene.monitor.check_at(&front.address, &["--witness", &witnesses.all[0].address]);
    assert_eq!(pass.code, 2, "{:#}", pass.report);
    assert!(pass.report["findings"].as_array().unwrap().iter().any(|it| it["code"] == "other-ahead"));
    scene.noticed("a seal is withheld", "monitor with a witness", "0", "other-ahead");

    scene.service.kill();
    let log = scene.service.published();
    let frozen = Front::start(move |_| Source::Folder(log.clone()));
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let pass = scene.monitor.check_at(&frozen.address, &["--max-age", "1"]);
    pass.assert_alarm("silent");
    scene.noticed("the ledger stands still", "monitor", "0", "silent");
}
