//! The keys of log, exports and witnesses are changed under load: nothing acknowledged is lost, sealing goes on, and nobody
//! who follows is surprised.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use trialseal_tests::{
    Client, Engine, Load, Monitor, Role, Service, Trial, Verifier, Witnesses, assert_kept, export,
    on_both_engines, under_load,
};

on_both_engines!(all_keys_are_changed_under_load);

const TRIAL: &str = "ROTATED";
const LOG: &str = "ledger.example.org/test";
const W1: &str = "witness.example.org/w1";
/// Between two commands of one client.
const PAUSE: Duration = Duration::from_millis(50);
/// Acknowledgements from which it follows that the service goes on.
const GOING_ON: u64 = 40;

/// A service among its witnesses, with one who follows it.
struct Setup {
    service: Service,
    witnesses: Witnesses,
    reader: Client,
    monitor: Monitor,
    /// A verifier of before the change.
    old: Verifier,
    /// A dataset of before the change.
    dataset: PathBuf,
}

impl Setup {
    fn new(engine: Engine) -> (Self, Trial) {
        let (service, witnesses) = Service::start_witnessed(engine, 3, "group g 2 w1 w2 w3\nquorum g\n");
        let trial = Trial::open(&service, TRIAL);
        trial.enrol("001", true);
        service.wait_until_sealed();
        let reader = service.new_client(Role::Monitor, &[TRIAL]);
        let old = Verifier::of(&service);
        let monitor = Monitor::of(&service, TRIAL, &reader).beside(&witnesses);
        monitor.check(&service, &["--first"]).assert_sound();
        let dataset = old.room("before").join("dataset.zip");
        fs::write(&dataset, export(&service, &reader, TRIAL)).unwrap();
        (Self { service, witnesses, reader, monitor, old, dataset }, trial)
    }

    fn restart(&mut self) {
        self.service.stop();
        self.service.start_again();
    }

    /// Carries out `trialseal keys`, and gives what it prints.
    fn keys(&self, arguments: &[&str]) -> String {
        let output = self.service.command(&[&["keys"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Carries out `trialseal keys` where that is refused with these words.
    fn refused(&self, arguments: &[&str], words: &str) {
        let output = self.service.command(&[&["keys"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words) && said.lines().count() == 1, "{said}");
    }

    /// Waits until a new checkpoint is published that bears so many signatures of a name.
    fn wait_for_signatures(&self, name: &str, count: usize) {
        let before = self.service.published_checkpoint();
        self.service.wait("a checkpoint bears the signatures", || {
            let note = self.service.published_checkpoint();
            let lines = String::from_utf8(note.clone()).unwrap();
            let found = lines.matches(&format!("\u{2014} {name} ")).count();
            (note != before && found == count).then_some(())
        });
    }

    fn policy(&self) -> String {
        self.service.anonymous().get("/v1/policy").expect(200).text()
    }

    /// Log and export keys, each with a successor.
    fn rotate_keys(&mut self, load: &Load) {
        self.refused(&["retire", "log"], "has no successor");
        let log = self.keys(&["rotate", "log"]);
        self.keys(&["rotate", "export"]);
        self.refused(&["rotate", "log"], "is there already");
        self.refused(&["retire", "log"], "has signed nothing yet");
        load.wait_for(GOING_ON);
        self.restart();
        self.wait_for_signatures(LOG, 2);
        load.wait_for(GOING_ON);
        assert_eq!(self.policy().matches("log ").count(), 2, "{}", self.policy());
        // Whoever knows the old keys alone follows, and so do the witnesses.
        self.monitor.check(&self.service, &[]).assert_sound();
        let log = log.trim().trim_start_matches("log ").to_owned();
        for witness in &mut self.witnesses.all {
            witness.add_log(&log);
            witness.kill();
            witness.start_again();
        }
        self.monitor.check(&self.service, &[]).assert_sound();
    }

    /// A witness has a successor of its key, and the policy asks for the one or the other.
    fn rotate_witness(&mut self, load: &Load) {
        let witness = &mut self.witnesses.all[0];
        let keys = witness.command("rotate");
        witness.kill();
        witness.start_again();
        let file = self.witnesses.policy();
        let policy = fs::read_to_string(&file).unwrap();
        let next = format!("witness w1-next {} {}\n", keys[1], self.witnesses.all[0].address);
        let policy =
            policy.replace("group g 2 w1 w2 w3", "group w1-any any w1 w1-next\ngroup g 2 w1-any w2 w3");
        fs::write(&file, next + &policy).unwrap();
        self.restart();
        self.wait_for_signatures(W1, 2);
        load.wait_for(GOING_ON);
        self.monitor.check(&self.service, &[]).assert_sound();
    }

    /// The old keys go: readers have had the time to take the policy that names both.
    fn retire(&mut self, load: &Load) {
        let before = self.keys(&[]);
        let witness = &mut self.witnesses.all[0];
        witness.kill();
        witness.command("retire");
        witness.start_again();
        let file = self.witnesses.policy();
        let policy = fs::read_to_string(&file).unwrap();
        let url = format!(" {}", self.witnesses.all[0].address);
        let without = |line: &str| {
            if line.starts_with("witness w1 ") { line.replace(&url, "") } else { line.to_owned() }
        };
        fs::write(&file, policy.lines().map(|line| without(line) + "\n").collect::<String>()).unwrap();
        self.keys(&["retire", "log"]);
        self.keys(&["retire", "export"]);
        let after = self.keys(&[]);
        assert_eq!((before.lines().count(), after.lines().count()), (4, 2));
        assert!(after.lines().all(|key| before.contains(key)), "{before}{after}");
        load.wait_for(GOING_ON);
        self.restart();
        self.wait_for_signatures(LOG, 1);
        load.wait_for(GOING_ON);
    }
}

fn all_keys_are_changed_under_load(engine: Engine) {
    let (mut setup, trial) = Setup::new(engine);
    let clients = vec![setup.service.client(Role::Investigator)];
    setup.service.client(Role::Monitor);
    let (history, ()) = under_load(&clients, &trial, PAUSE, |load| {
        setup.rotate_keys(load);
        setup.rotate_witness(load);
        // Datasets are signed with both keys meanwhile.
        let both = setup.old.room("both").join("dataset.zip");
        fs::write(&both, export(&setup.service, &setup.reader, TRIAL)).unwrap();
        setup.old.dataset(&both).assert_sound();
        Verifier::of(&setup.service).dataset(&both).assert_sound();
        setup.monitor.change_policy(&setup.service);
        setup.monitor.check(&setup.service, &[]).assert_sound();
        setup.retire(load);
        setup.monitor.check(&setup.service, &[]).assert_sound();
    });
    let Setup { mut service, reader, monitor, old, dataset, .. } = setup;

    // Whoever missed it is told what it may be, and accepts nothing.
    let pass = Monitor::of(&service, TRIAL, &reader);
    let log = old.log(&service.published());
    log.assert_names("checkpoint");
    let finding = &log.report["findings"][0];
    assert_eq!(finding["code"], "log-signature-missing");
    assert!(finding.to_string().contains("the log's key was changed"), "{finding}");
    pass.check(&service, &["--first"]).assert_sound();

    // Old datasets hold under the old key, new ones under the new, and under a list of both all do.
    let new = Verifier::of(&service);
    let after = new.room("after").join("dataset.zip");
    fs::write(&after, export(&service, &reader, TRIAL)).unwrap();
    new.dataset(&after).assert_sound();
    new.dataset(&dataset).assert_names("manifest.dsse.json");
    old.dataset(&dataset).assert_sound();
    old.dataset(&after).assert_names("manifest.dsse.json");
    let archive = new.and_keys_of(&old);
    archive.dataset(&dataset).assert_sound();
    archive.dataset(&after).assert_sound();

    assert_kept(&service, &trial, history, &new);
    monitor.check(&service, &["--reread"]).assert_sound();

    // A key that nobody registered signs nothing, and what it would sign no policy lists.
    service.stop();
    let published = service.published_checkpoint();
    let key = service.dir().join("keys/log.key");
    fs::remove_file(&key).unwrap();
    fs::copy(service.dir().join("keys/export.key"), &key).unwrap();
    assert!(!service.try_start_again(), "it serves");
    assert!(service.log().contains("is not the one that this ledger registered"), "{}", service.log());
    assert_eq!(service.published_checkpoint(), published);
}
