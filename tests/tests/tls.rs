//! A certificate authority of one's own: a monitor, a witness's mirror and the service believe it where they are told to, and
//! nobody else's, nor a certificate for another name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use trialseal_tests::{
    Authority, Engine, Listener, Monitor, Role, Service, Trial, Verifier, all_files, on_both_engines, program,
};

on_both_engines!(
    a_ledger_with_a_certificate_of_its_own_authority_is_followed_and_copied,
    witnesses_with_certificates_of_their_own_authority_are_asked,
);

const ORIGIN: &str = "ledger.example.org/test";

fn a_ledger_with_a_certificate_of_its_own_authority_is_followed_and_copied(engine: Engine) {
    let service = Service::start(engine);
    let _trial = Trial::open(&service, "TLS-1");
    service.wait_until_sealed();
    let (ours, theirs) = (Authority::new(&["localhost"]), Authority::new(&["localhost"]));
    let front = ours.front("localhost", &service.address());
    let ledger = front.address("localhost");
    let monitor = Monitor::of(&service, "TLS-1", &service.client(Role::Monitor));
    let (ours_file, theirs_file) = (ours.ca(), theirs.ca());

    monitor.check_at(&ledger, &["--first", "--ca", &ours_file]).assert_sound();
    monitor.check_at(&ledger, &["--ca", &ours_file]).assert_sound();
    let by_address = front.address("127.0.0.1");
    for (address, more, why) in [
        (&ledger, vec![], "UnknownIssuer"),
        (&ledger, vec!["--ca", &*theirs_file], "BadSignature"),
        (&by_address, vec!["--ca", &*ours_file], "not valid for name"),
    ] {
        let pass = monitor.check_at(address, &more);
        assert_eq!(
            (pass.code, &pass.report["findings"][0]["code"]),
            (2, &"unreadable".into()),
            "{}",
            pass.said
        );
        let message = pass.report["findings"][0]["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
    }
    // Another program's file that is no authority's is refused before anybody is asked.
    let policy = monitor.dir().with_file_name("policy");
    let refused = monitor.check_at(&ledger, &["--ca", policy.to_str().unwrap()]);
    assert_eq!(refused.code, 2);
    assert!(refused.said.contains("holds no certificate"), "{}", refused.said);

    a_mirror_is_kept(&service, &format!("{ledger}/log"), &ours, &theirs);
}

/// A witness keeps a copy of the log once its configuration names the authority.
fn a_mirror_is_kept(service: &Service, published: &str, ours: &Authority, theirs: &Authority) {
    let policy = service.anonymous().get("/v1/policy").expect(200).text();
    let log = policy.split_whitespace().nth(1).unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("w1");
    let start = || {
        let mut command = Command::new(program("trialseal-witness"));
        command.args(["run", "--name", "witness.example.org/w1", "--listen", "127.0.0.1:0"]);
        command.args(["--log", log, "--mirror", &format!("{published} {ORIGIN}"), "--folder"]).arg(&folder);
        Listener::on_output(command)
    };
    let copied = || {
        let files =
            if folder.join("mirror").is_dir() { all_files(&folder.join("mirror")) } else { Vec::new() };
        files.into_iter().find(|file| file.ends_with("checkpoint"))
    };
    let conf = folder.join("witness.conf");
    let configure = |authority: &Authority| {
        authority.copy_to(&folder.join("hospital.pem"));
        let text = fs::read_to_string(&conf).unwrap();
        if !text.contains("\nca ") {
            fs::write(&conf, text + "ca hospital.pem\n").unwrap();
        }
    };
    let seconds = |seconds| std::thread::sleep(std::time::Duration::from_secs(seconds));
    drop(start());
    configure(theirs);
    let witness = start();
    seconds(3);
    assert_eq!(copied(), None);
    drop(witness);
    configure(ours);
    let _witness = start();
    let checkpoint = service.wait("there is a copy", copied);
    Verifier::of(service).log(checkpoint.parent().unwrap()).assert_sound();
}

fn witnesses_with_certificates_of_their_own_authority_are_asked(engine: Engine) {
    let authority = Authority::new(&["localhost"]);
    let (mut service, witnesses) = Service::start_witnessed(engine, 1, "quorum w1\n");
    service.wait("the witness has cosigned", || {
        (service.anonymous().get("/log/checkpoint").status == 200).then_some(())
    });
    // The same witness, behind a proxy that speaks TLS.
    let front = authority.front("localhost", &witnesses.all[0].address);
    let policy = witnesses.policy();
    let text = fs::read_to_string(&policy).unwrap();
    let before = service.published_checkpoint();
    service.stop();
    fs::write(&policy, text.replace(&witnesses.all[0].address, &front.address("localhost"))).unwrap();

    service.start_again();
    let trial = Trial::open(&service, "TLS-2");
    trial.enrol("001", true);
    let size = || service.client(Role::Monitor).json("/v1/seals?limit=1")["newestSigned"].as_u64();
    let signed = size();
    service.wait("more is sealed", || (size() > signed).then_some(()));
    assert!(service.published_checkpoint() == before, "published without a witness that is believed");

    service.stop();
    service.set("TRIALSEAL_CA_FILE", &authority.ca());
    service.start_again();
    service
        .wait("the witness has cosigned again", || (service.published_checkpoint() != before).then_some(()));
    Verifier::of(&service).log(&service.published()).assert_sound();

    // A file that is none is said at the start, and by the doctor.
    service.stop();
    service.set("TRIALSEAL_CA_FILE", &policy);
    let doctor = service.command(&["doctor"]);
    assert!(!doctor.status.success());
    let said = String::from_utf8_lossy(&doctor.stderr).into_owned();
    assert!(
        said.contains("holds no certificate") && said.contains(Path::new(&policy).to_str().unwrap()),
        "{said}"
    );
}
