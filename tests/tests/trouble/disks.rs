//! A disk that is really full, and one that really cannot be written: file systems in memory, mounted where the service keeps
//! its ledger or its publication.
//!
//! Each test runs once more in a mount namespace of its own, so that nobody else sees the mounts and nothing is left of
//! them. Where that is not allowed the tests fail, as nothing else tries this.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use trialseal_tests::{Client, Engine, Role, Service};

use super::{PAUSE, Said, TRIAL, WITHIN, assert_nothing_lost, assert_told, given, insist, report};

/// Set where the mounts are the test's own.
const INSIDE: &str = "TRIALSEAL_TEST_OWN_MOUNTS";

/// Commands sent in vain before we give up filling the disk.
const MOST_COMMANDS: u32 = 5_000;

/// The ways into a mount namespace: as whoever has user namespaces, and as root.
const WAYS: [&str; 2] = ["-Urm", "-m"];

/// Runs `body` in a mount namespace of its own: in a process of its own, which is told to run this test alone.
fn with_own_mounts(test: &str, body: impl FnOnce()) {
    let is_inside = std::env::var_os(INSIDE).is_some();
    if is_inside {
        return body();
    }
    let may = |way: &&str| {
        let tried = Command::new("unshare").args([way, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let way = WAYS.into_iter().find(may).expect(
        "this test mounts file systems, in a mount namespace of its own, and may not: it needs unshare and mount (of \
         util-linux), and either user namespaces or root with CAP_SYS_ADMIN",
    );
    let mut again = Command::new("unshare");
    again.arg(way).arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]);
    let status = again.env(INSIDE, "1").status().unwrap();
    assert!(status.success(), "failed in a mount namespace of its own: {status}");
}

/// A small file system in memory.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one over a folder that nobody uses, and takes over what is in it.
    fn over(folder: &Path, megabytes: u32) -> Self {
        let aside = folder.with_extension("aside");
        run(&["cp", "-a", path(folder), path(&aside)]);
        run(&["mount", "-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=700"), "tmpfs", path(folder)]);
        run(&["cp", "-a", &format!("{}/.", aside.display()), path(folder)]);
        fs::remove_dir_all(aside).unwrap();
        Self { at: folder.to_owned() }
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
    }

    /// Gives the space back.
    fn clear(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Makes it one that cannot be written, as soon as no file on it is open for that.
    fn make_read_only(&self) {
        let deadline = Instant::now() + WITHIN;
        while !mounted_again("ro", &self.at) {
            assert!(Instant::now() < deadline, "somebody always writes");
            thread::sleep(PAUSE);
        }
    }

    fn make_writable(&self) {
        assert!(mounted_again("rw", &self.at));
    }
}

impl Drop for Disk {
    /// What was there before can be removed then.
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", path(&self.at)]).status();
    }
}

fn mounted_again(how: &str, at: &Path) -> bool {
    let options = format!("remount,{how}");
    Command::new("mount").args(["-o", &options, path(at)]).output().unwrap().status.success()
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Sends until three in a row are refused; answers their keys.
fn send_until_refused(client: &Client, said: &Said, participant: &str, round: &str) -> Vec<String> {
    let mut refused = Vec::new();
    for number in 0..MOST_COMMANDS {
        let key = format!("{round}-{number}");
        let answer = report(client, participant, &key);
        if answer.status == 201 {
            said.take(&answer.json());
            refused.clear();
        } else {
            assert_told(&answer);
            refused.push(key);
        }
        if refused.len() == 3 {
            println!("refused after {number} more commands");
            return refused;
        }
    }
    panic!("all is taken though the disk is full")
}

#[test]
fn a_full_disk_takes_nothing_and_the_service_goes_on_once_there_is_space() {
    with_own_mounts("disks::a_full_disk_takes_nothing_and_the_service_goes_on_once_there_is_space", || {
        let mut service = Service::start(Engine::Sqlite);
        let (said, verifier, people) = given(&service, 1);
        let client = service.client(Role::Investigator);
        service.stop();
        let disk = Disk::over(service.dir(), 32);
        service.start_again();

        disk.fill();
        let refused = send_until_refused(&client, &said, &people[0], "first");
        let page = client.get(&format!("/v1/trials/{TRIAL}/events?limit=1"));
        assert_eq!(page.status, 200, "reading goes on: {}", page.text());
        disk.clear();
        for key in &refused {
            insist(&said, || report(&client, &people[0], key));
        }
        assert_nothing_lost(&service, &said, &verifier);

        // A process that is started on it waits, as one that stands by, and serves once it can.
        disk.fill();
        send_until_refused(&client, &said, &people[0], "second");
        service.kill();
        service.start_standby();
        assert_told(&report(&client, &people[0], "too-early"));
        disk.clear();
        service.wait_until_ready();
        insist(&said, || report(&client, &people[0], "after"));
        assert_nothing_lost(&service, &said, &verifier);
        service.kill();
    });
}

#[test]
fn a_disk_that_cannot_be_written_is_named_at_the_start() {
    with_own_mounts("disks::a_disk_that_cannot_be_written_is_named_at_the_start", || {
        let mut service = Service::start(Engine::Sqlite);
        let (said, verifier, people) = given(&service, 1);
        let client = service.client(Role::Investigator);
        service.stop();
        let disk = Disk::over(service.dir(), 32);
        disk.make_read_only();
        assert!(!service.try_start_again());
        let log = service.log();
        let last = log.lines().last().unwrap();
        assert!(last.starts_with("trialseal: ") && last.contains("Read-only file system"), "{log}");
        disk.make_writable();
        service.start_again();
        insist(&said, || report(&client, &people[0], "after"));
        assert_nothing_lost(&service, &said, &verifier);
        service.kill();
    });
}

#[test]
fn recording_goes_on_while_the_publication_has_no_disk() {
    with_own_mounts("disks::recording_goes_on_while_the_publication_has_no_disk", || {
        let mut service = Service::start(Engine::Sqlite);
        let (said, verifier, people) = given(&service, 1);
        let client = service.client(Role::Investigator);
        service.stop();
        let disk = Disk::over(&service.published(), 16);
        service.start_again();
        let meanwhile = |trouble: &str, words: &str| {
            for number in 0..20 {
                let answer = report(&client, &people[0], &format!("{trouble}-{number}")).expect(201);
                said.take(&answer.json());
            }
            service.wait(words, || service.log().contains(words).then_some(()));
        };

        disk.fill();
        meanwhile("full", "No space left on device");
        disk.clear();
        assert_nothing_lost(&service, &said, &verifier);

        disk.make_read_only();
        meanwhile("read-only", "Read-only file system");
        disk.make_writable();
        assert_nothing_lost(&service, &said, &verifier);
        service.kill();
    });
}
