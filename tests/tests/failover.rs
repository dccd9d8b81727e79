//! PostgreSQL itself dies under load, and comes back, or another server takes its place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use trialseal_tests::{
    Client, Cluster, Database, Load, Proxy, Role, Service, Trial, Verifier, assert_kept, under_load,
};

/// Between two commands of one client.
const PAUSE: Duration = Duration::from_millis(20);

/// Acknowledgements from which it follows that the service goes on.
const GOING_ON: u64 = 150;

/// How often the server is killed.
const KILLS: u32 = 3;

/// A service on a server of its own, at an address that another server can take over.
struct Setup {
    proxy: Proxy,
    service: Service,
    trial: Trial,
    verifier: Verifier,
    clients: Vec<Client>,
}

impl Setup {
    fn on(server: &Cluster) -> Self {
        let proxy = Proxy::to(server.address());
        let database = Database::on(proxy.address());
        // The keys go down and over with the record.
        let keys = database.url_beside("keys");
        let settings = [("TRIALSEAL_SEAL_INTERVAL_MS", "100"), ("TRIALSEAL_KEY_DATABASE_URL", &keys)];
        let service = Service::start_behind(&proxy, database, &settings);
        let trial = Trial::open(&service, "FAILOVER-1");
        let verifier = Verifier::of(&service);
        let clients = vec![service.client(Role::Investigator)];
        service.client(Role::Monitor);
        Self { proxy, service, trial, verifier, clients }
    }

    /// Has the service record while something goes wrong, and holds what it said against what is there.
    fn nothing_is_lost(self, wrong: impl FnOnce(&Proxy, &Load)) {
        let (history, ()) = under_load(&self.clients, &self.trial, PAUSE, |load| {
            load.wait_for(GOING_ON);
            wrong(&self.proxy, load);
            load.wait_for(GOING_ON);
        });
        assert_kept(&self.service, &self.trial, history, &self.verifier);
    }
}

#[test]
fn a_server_that_is_killed_forgets_nothing() {
    let mut server = Cluster::start();
    Setup::on(&server).nothing_is_lost(|proxy, load| {
        for _ in 0..KILLS {
            server.kill();
            server.start_again();
            proxy.lead_to(server.address());
            load.wait_for(GOING_ON);
        }
    });
}

/// Has the server acknowledge nothing before its standby has it.
fn waits_for_standby(primary: &Cluster, synchronous_commit: &str) {
    primary.execute(&[
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
        &format!("ALTER SYSTEM SET synchronous_commit = {synchronous_commit}"),
        "SELECT pg_reload_conf()",
    ]);
}

/// A primary is killed, and its standby takes its place.
fn assert_followed(synchronous_commit: &str) {
    let mut primary = Cluster::start();
    let standby = Cluster::standby_of(primary.address());
    waits_for_standby(&primary, synchronous_commit);
    Setup::on(&primary).nothing_is_lost(|proxy, load| {
        primary.kill();
        standby.promote();
        proxy.lead_to(standby.address());
        load.wait_for(GOING_ON);
    });
}

#[test]
fn a_synchronous_standby_takes_over_and_nothing_is_lost() {
    assert_followed("on");
}

#[test]
fn a_standby_that_applies_before_it_answers_takes_over_and_nothing_is_lost() {
    assert_followed("remote_apply");
}

/// What an asynchronous standby has not got is lost with the primary. The log is ahead of the database then, and nobody
/// writes a second history of what was published.
#[test]
fn seals_that_a_standby_never_got_are_not_made_a_second_time() {
    let mut primary = Cluster::start();
    let replication = Proxy::to(primary.address());
    let standby = Cluster::standby_of(replication.address());
    waits_for_standby(&primary, "remote_apply");
    let Setup { proxy, mut service, trial, verifier, clients } = Setup::on(&primary);
    service.wait_until_sealed();
    // From here on the standby gets nothing, and nobody waits for it.
    primary.execute(&["ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()"]);
    replication.close();
    under_load(&clients, &trial, PAUSE, |load| load.wait_for(GOING_ON));
    service.wait_until_sealed();
    primary.kill();
    let published = service.published_checkpoint();
    standby.promote();
    proxy.lead_to(standby.address());
    assert!(!service.ends(), "the service goes on with a database that has lost seals");
    service.assert_nothing_sealed_since(&published, &verifier);
    // Nor does it begin to, however often it is started.
    assert!(!service.try_start_again());
    service.assert_nothing_sealed_since(&published, &verifier);
}
