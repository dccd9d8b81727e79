//! Witnesses of a service, each the program that others run, in a process and a folder of its own.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{Engine, Service, program};

/// The witnesses w1, w2 … of a service.
#[derive(Debug)]
pub struct Witnesses {
    /// In the order of their names.
    pub all: Vec<Witness>,
    folder: TempDir,
}

/// One witness. Dropped, it is killed.
#[derive(Debug)]
pub struct Witness {
    arguments: Vec<String>,
    child: Option<Child>,
    /// The verifier key that it prints; the oldest, where it has several.
    pub key: String,
    /// Where it listens.
    pub address: String,
}

impl Witnesses {
    /// Starts `count` witnesses of a log, for a policy whose groups and quorum are `lines`.
    pub fn start(log: &str, count: u32, lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("trialseal-witnesses-").tempdir().unwrap();
        let all: Vec<_> = (1..=count).map(|number| Witness::start(folder.path(), number, log)).collect();
        let mut policy = String::new();
        for (witness, number) in all.iter().zip(1..) {
            writeln!(policy, "witness w{number} {} {}", witness.key, witness.address).unwrap();
        }
        fs::write(folder.path().join("policy"), policy + lines).unwrap();
        Self { all, folder }
    }

    /// The file that a service's setting names.
    pub fn policy(&self) -> String {
        self.folder.path().join("policy").to_str().unwrap().to_owned()
    }
}

impl Witness {
    fn start(folder: &Path, number: u32, log: &str) -> Self {
        let own = folder.join(format!("w{number}")).to_str().unwrap().to_owned();
        let name = format!("witness.example.org/w{number}");
        let arguments = ["run", "--folder", &own, "--name", &name, "--log", log, "--listen"];
        let arguments = arguments.map(str::to_owned).to_vec();
        let mut witness = Self { arguments, child: None, key: String::new(), address: String::new() };
        witness.spawn("127.0.0.1:0");
        // The place it has now is where it comes back to.
        let conf = folder.join(format!("w{number}/witness.conf"));
        let listen = witness.address.trim_start_matches("http://").to_owned();
        let text = fs::read_to_string(&conf).unwrap().replace("127.0.0.1:0", &listen);
        fs::write(&conf, text).unwrap();
        witness
    }

    fn spawn(&mut self, listen: &str) {
        let errors = File::options().create(true).append(true).open(format!("{}.log", self.arguments[2]));
        let mut child = Command::new(program("trialseal-witness"))
            .args(&self.arguments)
            .arg(listen)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let mut listening = None;
        for line in lines.map_while(Result::ok) {
            listening = line.strip_prefix("listening on ").map(str::to_owned);
            if listening.is_some() {
                break;
            }
            said.push(line);
        }
        self.address = listening.unwrap_or_else(|| panic!("a witness does not start: {said:?}"));
        self.key.clone_from(&said[0]);
        self.child = Some(child);
    }

    /// Runs a subcommand on its folder, and gives what that prints, the keys, line by line.
    pub fn command(&self, name: &str) -> Vec<String> {
        let mut command = Command::new(program("trialseal-witness"));
        let output = command.args([name, "--folder", &self.arguments[2]]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Has it cosign for one more key of a log, from its next start on.
    pub fn add_log(&self, key: &str) {
        let conf = Path::new(&self.arguments[2]).join("witness.conf");
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, format!("{text}log {key}\n")).unwrap();
    }

    /// Kills it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the witness runs already");
        let listen = self.address.trim_start_matches("http://").to_owned();
        self.spawn(&listen);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Service {
    /// Starts a service with a new ledger and `count` witnesses, for a policy whose groups and quorum are `lines`.
    pub fn start_witnessed(engine: Engine, count: u32, lines: &str) -> (Self, Witnesses) {
        let mut service = Self::prepared(engine);
        let output = service.command(&["keys"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let keys = String::from_utf8(output.stdout).unwrap();
        let log = keys.lines().find_map(|line| line.strip_prefix("log ")).unwrap();
        let witnesses = Witnesses::start(log, count, lines);
        service.set("TRIALSEAL_POLICY_FILE", &witnesses.policy());
        service.set("TRIALSEAL_WITNESS_PATIENCE_MS", "1000");
        service.start_again();
        (service, witnesses)
    }
}
