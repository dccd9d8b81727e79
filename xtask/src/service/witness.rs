//! Three witnesses for a service, each a process with a folder and a key of its own. They stand for those that others run:
//! on one machine, in one person's hands, their word is worth no more than the ledger's.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::Launch;
use super::child::{tied, without_settings};

/// Their names.
const NAMES: [&str; 3] = ["w1", "w2", "w3"];

/// How many of them a checkpoint needs.
const QUORUM: usize = 2;

/// Witnesses that run. Dropping them stops them.
pub(crate) struct Witnesses {
    _children: Vec<Witness>,
    policy: PathBuf,
}

impl Witnesses {
    /// Starts the witnesses of a service that is not running yet, and writes the policy that asks for them. `None` where
    /// its ledger was begun without: no policy can begin to ask later.
    ///
    /// # Errors
    /// When the program is missing, or a witness does not start.
    pub(crate) fn start(program: &Path, launch: &Launch) -> Result<Option<Self>> {
        let folder = launch.dir.join("witnesses");
        let policy = folder.join("policy.txt");
        if launch.dir.join("origin").is_file() && !policy.is_file() {
            return Ok(None);
        }
        ensure!(program.is_file(), "{} is missing: build it as the service was built", program.display());
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let log = log_key(launch)?;
        let mut lines = String::new();
        let mut children = Vec::new();
        for name in NAMES {
            let witness = Witness::start(program, &folder, name, &log)?;
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "witness {name} {} {}", witness.key, witness.address);
            children.push(witness);
        }
        let _ = write!(lines, "group witnesses {QUORUM} {}\nquorum witnesses\n", NAMES.join(" "));
        fs::write(&policy, lines).with_context(|| format!("{} cannot be written", policy.display()))?;
        Ok(Some(Self { _children: children, policy }))
    }

    /// The policy, for the service's setting.
    pub(crate) fn policy(&self) -> &Path {
        &self.policy
    }
}

/// The key of the ledger's log, which is made with the ledger where there is none yet.
fn log_key(launch: &Launch) -> Result<String> {
    let output = launch.command(&["keys"]).output().context("the service's program cannot be started")?;
    ensure!(
        output.status.success(),
        "the ledger's keys cannot be had: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let key = text.lines().find_map(|line| line.strip_prefix("log ")).context("the log has no key")?;
    Ok(key.to_owned())
}

struct Witness {
    child: Child,
    key: String,
    address: String,
}

impl Witness {
    fn start(program: &Path, folder: &Path, name: &str, log: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.log"));
        let errors = OpenOptions::new().create(true).append(true).open(&path);
        let mut command = tied(program);
        without_settings(&mut command);
        let child = command
            .args(["run", "--listen", "127.0.0.1:0", "--name", &format!("localhost/{name}"), "--log", log])
            .arg("--folder")
            .arg(folder.join(name))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.with_context(|| format!("{} cannot be written", path.display()))?)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let mut witness = Self { child, key: String::new(), address: String::new() };
        let output = witness.child.stdout.take().context("a witness has no output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            if let Some(address) = line.strip_prefix("listening on ") {
                address.clone_into(&mut witness.address);
                return Ok(witness);
            }
            if witness.key.is_empty() {
                witness.key = line;
            }
        }
        bail!("witness {name} did not start: {}", fs::read_to_string(&path).unwrap_or_default().trim())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // What it has said is on the disk.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
