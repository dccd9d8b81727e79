//! The command line of `trialseal-monitor`.

mod telling;
mod trusted;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use trialseal_runtime::clock::SystemClock;
use trialseal_runtime::settings::LogFormat;
use trialseal_runtime::telemetry;
use trialseal_seal::hash::sha256;
use trialseal_seal::policy::Policy;

use self::telling::{Telling, tell_test};
use self::trusted::{TakeTrust, Trusted};
use crate::compare::Other;
use crate::monitor::{Following, Monitor};
use crate::place::{LedgerUrl, is_this_machine};
use crate::report::Report;
use crate::state::{Folder, StateError};

/// The exit code where the place is lost, damaged, or not to be used.
pub const NO_PLACE: u8 = 3;
/// The exit code where the program cannot do its work, and where it is used wrongly.
pub const CANNOT_TELL: u8 = 2;

/// Largest policy, token or secret file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Follows a trialseal ledger from another machine, and says when it is not what it has to be.
///
/// Exit codes of `check`: 0 all is well; 1 alarm: something proves or strongly suggests misbehaviour; 2 cannot tell
/// (something could not be read; also: wrong usage); 3 the monitor's own place is lost or damaged. `run` goes on after 0, 1
/// and 2.
#[derive(Debug, Parser)]
#[command(name = "trialseal-monitor", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Which log lines to write, to standard error.
    #[arg(long, global = true, env = "TRIALSEAL_LOG", default_value = "info", value_name = "FILTER")]
    log_filter: String,
    /// The form of log lines.
    #[arg(long, global = true, env = "TRIALSEAL_LOG_FORMAT", value_enum, default_value_t = Format::Human)]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One pass.
    Check {
        #[command(flatten)]
        what: What,
        /// Print the report as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// A pass again and again.
    Run {
        #[command(flatten)]
        what: What,
        /// The seconds between two passes.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
        every: u64,
    },
    /// Gets whom to trust: the ledger's policy and export keys, compared with what others say, and kept as `trust.txt`.
    Trust(TakeTrust),
    /// Tell everybody who would be told of an alarm that this is a test.
    ///
    /// Exit codes: 0 all took it; 2 somebody did not.
    TellTest {
        /// The ledger's address, which stands in what is sent.
        #[arg(long, value_name = "URL")]
        ledger: String,
        #[command(flatten)]
        telling: Telling,
    },
}

#[derive(Debug, Args)]
struct What {
    /// The ledger's address, such as https://ledger.example.org.
    #[arg(long, value_name = "URL")]
    ledger: String,
    #[command(flatten)]
    trusted: Trusted,
    /// The monitor's folder: its place, its reports, the evidence.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// First start: take the ledger's past as it is shown now. Without it, a place has to be there.
    #[arg(long)]
    first: bool,
    /// A trial to follow, event by event; can be given several times.
    #[arg(long, value_name = "ID", requires = "token_file")]
    trial: Vec<String>,
    /// A file with a token that reads the trials' record.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Read all events of the trials again in every pass, those that were checked before as well.
    #[arg(long)]
    reread: bool,
    /// How old, in seconds, the newest seal may be; an idle ledger seals once a heartbeat, which is 60 seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    max_age: u64,
    /// A witness to compare with, by the prefix of its address; can be given several times.
    #[arg(long, value_name = "URL")]
    witness: Vec<String>,
    /// Another monitor's `checkpoint`, a file or an address; can be given several times.
    #[arg(long, value_name = "FILE_OR_URL")]
    peer: Vec<String>,
    #[command(flatten)]
    telling: Telling,
}

/// Carries a command out; gives the exit code.
///
/// # Errors
/// Where something that the command needs is not to be had.
pub fn run(cli: Cli) -> Result<u8> {
    let format = match cli.log_format {
        Format::Human => LogFormat::Human,
        Format::Json => LogFormat::Json,
    };
    telemetry::init(format, &cli.log_filter)?;
    let (what, every, json) = match cli.command {
        Command::Trust(take) => return take.run(),
        Command::Check { what, json } => (what, None, json),
        Command::Run { what, every } => (what, Some(Duration::from_secs(every)), false),
        Command::TellTest { ledger, telling } => return tell_test(&ledger, &telling),
    };
    let token = what.token_file.as_deref().map(read_word).transpose()?;
    check_address(&what.ledger, token.is_some())?;
    let (http, notices) = what.telling.open()?;
    let ledger = LedgerUrl::new(http.clone(), &what.ledger, token);
    let (policy, policy_text, trust) = what.trusted.read()?;
    if what.first {
        say_whom_is_trusted(&what.ledger, &policy);
    }
    let clock = SystemClock;
    let monitor = Monitor {
        ledger: &ledger,
        address: what.ledger.clone(),
        policy,
        policy_text,
        trust,
        trials: what.trial.clone(),
        reread: what.reread,
        max_age_seconds: what.max_age,
        others: what.others(),
        http,
        notices,
        clock: &clock,
    };
    let folder = Folder::take(&what.folder)?;
    let mut following = Following::open(folder, what.first)?;
    loop {
        let report = monitor.pass(&mut following)?;
        let Some(every) = every else {
            print(&report, json)?;
            return Ok(report.verdict.exit_code());
        };
        tracing::info!(
            verdict = report.verdict.words(),
            seals = report.log.as_ref().map(|log| log.size),
            "pass"
        );
        thread::sleep(every);
    }
}

impl What {
    fn others(&self) -> Vec<Other> {
        let witnesses = self.witness.iter().cloned().map(Other::Witness);
        witnesses.chain(self.peer.iter().cloned().map(Other::Peer)).collect()
    }
}

/// A token is sent to nobody who could read it on the way.
fn check_address(url: &str, with_token: bool) -> Result<()> {
    if url.starts_with("https://") {
        return Ok(());
    }
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("the ledger's address {url} begins with neither https:// nor http://")
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().filter(|authority| !authority.contains('@'));
    let authority = authority.unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let host = host.map_or(authority, |(host, _)| host);
    ensure!(!with_token || is_this_machine(host), "a token is sent over https:// alone, or to this machine");
    Ok(())
}

/// Trust on first use is said loudly: what is trusted from here on, and what was not checked.
fn say_whom_is_trusted(ledger: &str, policy: &Policy) {
    eprintln!("First start. From here on, {ledger} is held to what it shows now. You trust, by your policy:");
    for log in policy.logs() {
        eprintln!("  log      {log}");
        eprintln!("           SHA-256 of the key {}", sha256(log.public_key()));
    }
    for witness in policy.witnesses() {
        eprintln!("  witness  {} {}", witness.name, witness.key);
        eprintln!("           SHA-256 of the key {}", sha256(witness.key.public_key()));
    }
    if !policy.asks_for_witnesses() {
        eprintln!(
            "  No witness is asked for: only comparing with others can show that you are shown a log of your own."
        );
    }
    eprintln!("Compare these with what the ledger's operator and the witnesses publish elsewhere.");
    eprintln!("The notes of the past are not read: `trialseal-verify log` checks them.");
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("{}: {}", report.verdict.words(), report.ledger);
    if let Some(log) = &report.log {
        println!("  {} seals, {} of them new; root {}", log.size, log.new_seals, log.root);
    }
    for trial in &report.trials {
        println!("  trial {}: {} events, {} of them new", trial.trial, trial.events, trial.new_events);
    }
    for finding in &report.findings {
        let kind = if finding.is_alarm() { "alarm" } else { "missing" };
        let line = format!("{kind}: {}: {} [{}]", finding.record, finding.message, finding.code);
        println!("  {}", line.chars().filter(|c| !c.is_control()).collect::<String>());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    file.with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= MAX_FILE_BYTES, "{} is larger than this program reads", path.display());
    Ok(bytes)
}

/// The one word in a file.
fn read_word(path: &Path) -> Result<String> {
    let text = String::from_utf8(read(path)?).ok();
    let word = text.as_deref().map(str::trim).filter(|word| word.bytes().all(|byte| byte.is_ascii_graphic()));
    let word = word.filter(|word| !word.is_empty());
    Ok(word.with_context(|| format!("{} does not hold one word", path.display()))?.to_owned())
}

/// The exit code for an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<StateError>() {
        Some(StateError::Lost(_) | StateError::Damaged(_) | StateError::NotFirst(_)) => NO_PLACE,
        _ => CANNOT_TELL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        let here =
            ["http://127.0.0.1:8480", "http://localhost/a", "http://[::1]:1", "http://[::1]", "https://a"];
        for url in here {
            assert!(check_address(url, true).is_ok(), "{url}");
        }
        let elsewhere =
            ["http://a", "http://127.0.0.1.a", "http://localhost.a:80", "http://localhost:1@a", "ftp://a"];
        for url in elsewhere {
            assert!(check_address(url, true).is_err(), "{url}");
        }
        assert!(check_address("http://a", false).is_ok());
    }
}
