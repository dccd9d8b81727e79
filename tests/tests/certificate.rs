//! The service speaks TLS itself, and takes up a certificate that is replaced without being started again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use trialseal_runtime::client::Authorities;
use trialseal_tests::{Answer, Authority, Engine, Monitor, Role, Service, Trial, on_both_engines};

on_both_engines!(a_replaced_certificate_is_taken_up_and_half_of_one_is_not);

const NAME: &str = "127.0.0.1";

/// Writes certificate and key of an authority's server into files of their own.
fn put(authority: &Authority, certificate: Option<&Path>, key: Option<&Path>) {
    let both = fs::read_to_string(authority.certificate(NAME)).unwrap();
    let (public, private) = both.split_at(both.find("-----BEGIN PRIVATE KEY").unwrap());
    for (file, text) in [(certificate, public), (key, private)] {
        if let Some(file) = file {
            fs::write(file, text).unwrap();
        }
    }
}

/// Whether somebody who has not been connected before, and believes this authority, is answered.
fn is_answered(service: &Service, authority: &Authority) -> bool {
    let authorities = Authorities::with_file(Some(Path::new(&authority.ca()))).unwrap();
    let asked =
        authorities.agent(Duration::from_secs(20)).get(format!("{}/healthz", service.address())).call();
    asked.is_ok_and(|answer| answer.status() == 200)
}

fn a_replaced_certificate_is_taken_up_and_half_of_one_is_not(engine: Engine) {
    let (first, second) = (Authority::new(&[NAME]), Authority::new(&[NAME]));
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    put(&first, Some(&certificate), Some(&key));
    let service = Service::start_with(
        engine,
        &[
            ("TRIALSEAL_TLS_CERT_FILE", certificate.to_str().unwrap()),
            ("TRIALSEAL_TLS_KEY_FILE", key.to_str().unwrap()),
            ("TRIALSEAL_CA_FILE", &first.ca()),
            ("TRIALSEAL_LOG", "warn,trialseal_runtime::tls=info"),
        ],
    );
    let trial = Trial::open(&service, "TLS-3");
    trial.enrol("001", true);
    service.wait_until_sealed();
    let monitor = Monitor::of(&service, "TLS-3", &service.client(Role::Monitor));
    monitor.check_at(&service.address(), &["--first", "--ca", &first.ca()]).assert_sound();
    assert!(is_answered(&service, &first) && !is_answered(&service, &second));
    assert_eq!(in_plain(&service), "", "plain HTTP is answered on a port that speaks TLS");
    if engine == Engine::Postgres {
        // Who stands by answers in the same way, or a proxy would take it for dead.
        let beside = service.sharing_its_folder();
        assert!(is_answered(&beside, &first) && !beside.is_ready());
    }

    let health = service.anonymous().get("/healthz");
    assert_eq!(health.header("strict-transport-security"), "max-age=31536000");
    let figures = || service.client(Role::Admin).get("/metrics").text();
    service.wait("the end of the certificate is shown", || figures().contains(&end_of(&first)).then_some(()));

    put(&second, Some(&certificate), None);
    service.wait("half of a certificate is refused", || {
        service.log().contains("tls.certificate.refused").then_some(())
    });
    assert!(is_answered(&service, &first), "{}", service.log());
    put(&second, None, Some(&key));
    service.wait("the new certificate is shown", || is_answered(&service, &second).then_some(()));
    assert!(!is_answered(&service, &first));
    assert!(service.log().contains("tls.certificate.replaced"), "{}", service.log());
}

/// The line of the metrics that says when an authority's certificate ends, as OpenSSL tells it.
fn end_of(authority: &Authority) -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let end = said("openssl", &["x509", "-in", &authority.certificate(NAME), "-noout", "-enddate"]);
    let seconds = said("date", &["--date", end.trim_start_matches("notAfter="), "+%s"]);
    format!("trialseal_tls_certificate_not_after_seconds {seconds}\n")
}

#[test]
fn browsers_are_told_to_come_by_tls_where_they_do() {
    let mut service = Service::start(Engine::Sqlite);
    let told = |answer: Answer| answer.header("strict-transport-security").to_owned();
    assert_eq!(told(service.anonymous().get("/")), "");
    service.stop();
    service.set("TRIALSEAL_PUBLIC_ADDRESS", "https://ledger.example.org");
    service.start_again();
    let anonymous = service.anonymous();
    for path in ["/", "/log/checkpoint", "/v1/trials"] {
        assert_eq!(told(anonymous.get(path)), "max-age=31536000", "{path}");
    }
}

/// What a caller without TLS gets, if it is HTTP.
fn in_plain(service: &Service) -> String {
    let address = service.address();
    let mut connection = TcpStream::connect(address.trim_start_matches("https://")).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: ledger\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Whether it is closed or broken off does not matter.
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().filter(|line| line.contains("HTTP")).collect()
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_a_sentence() {
    let (first, second) = (Authority::new(&[NAME]), Authority::new(&[NAME]));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key, none) = (file("certificate.pem"), file("key.pem"), file("none.pem"));
    put(&first, Some(Path::new(&certificate)), None);
    put(&second, None, Some(Path::new(&key)));
    for (files, why) in [
        ((&certificate, &key), "cannot be used with the key in"),
        ((&key, &key), "holds no certificate in PEM"),
        ((&certificate, &certificate), "holds no private key in PEM"),
        ((&none, &key), "cannot read"),
        ((&certificate, &String::new()), "TRIALSEAL_TLS_KEY_FILE is not set"),
        ((&String::new(), &key), "TRIALSEAL_TLS_CERT_FILE is not set"),
    ] {
        let mut service = Service::prepared(Engine::Sqlite);
        service.set("TRIALSEAL_TLS_CERT_FILE", files.0);
        service.set("TRIALSEAL_TLS_KEY_FILE", files.1);
        for command in ["serve", "doctor"] {
            let output = service.command(&[command]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(why), "{command}: {said}");
        }
    }
}
