//! The service as a child process that never outlives us.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::Client;

/// How long a service may take until it is ready. A ledger of a million events opens within seconds.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// How long a service may take to finish what it has begun once it was told to stop; its roles have 30 s by default.
const STOP_WITHIN: Duration = Duration::from_secs(45);

/// How often we look.
const PAUSE: Duration = Duration::from_millis(100);

/// What the names of the service's settings begin with.
const SETTING: &str = "TRIALSEAL_";

/// Lines of the service's log that are shown when it does not start.
const LOG_LINES_SHOWN: usize = 20;

/// How to start a service.
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its folder.
    pub(crate) dir: PathBuf,
    /// Its port on loopback.
    pub(crate) port: u16,
    /// Its database, if it is not the SQLite file in its folder.
    pub(crate) database_url: Option<String>,
    /// Trials whose overview its front page shows to everybody.
    pub(crate) public_trials: Vec<String>,
    /// Its publication policy, if it asks for witnesses.
    pub(crate) policy: Option<PathBuf>,
    /// Whether one caller may ask as often as they like: a benchmark asks with few tokens what many people would.
    pub(crate) unlimited: bool,
}

impl Launch {
    /// The program with a subcommand and the options that all subcommands share.
    pub(crate) fn command(&self, subcommand: &[&str]) -> Command {
        self.with_options(Command::new(&self.program), subcommand)
    }

    fn with_options(&self, mut command: Command, subcommand: &[&str]) -> Command {
        command.args(subcommand).arg("--dir").arg(&self.dir).stdin(Stdio::null());
        without_settings(&mut command);
        if let Some(url) = &self.database_url {
            command.args(["--database-url", url, "--key-database-url", "file"]);
        }
        command
    }

    fn serve(&self) -> Command {
        let mut command = self.with_options(tied(&self.program), &["serve"]);
        command.args(["--port", &self.port.to_string()]);
        command.env("TRIALSEAL_PUBLIC_TRIALS", self.public_trials.join(","));
        if self.unlimited {
            command.env("TRIALSEAL_REQUESTS_PER_SECOND_BY_IDENTITY", "0");
            command.env("TRIALSEAL_REQUESTS_PER_SECOND_BY_ADDRESS", "0");
        }
        if let Some(policy) = &self.policy {
            command.env("TRIALSEAL_POLICY_FILE", policy);
        }
        command
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    fn open_log(&self) -> Result<File> {
        let path = self.log_path();
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// A program, to be started so that the kernel stops it should this process be killed: `setpriv`, part of every Debian,
/// asks for that and then becomes the program. Without it the program still stops whenever we end in order. In a process
/// group of its own it does not get the terminal's Ctrl-C beside our SIGTERM: a second signal ends it at once.
pub(super) fn tied(program: &Path) -> Command {
    let have_setpriv =
        Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success());
    let mut command = Command::new(if have_setpriv { Path::new("setpriv") } else { program });
    if have_setpriv {
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    }
    command.process_group(0);
    command
}

/// Settings that somebody has for a service of their own would silently make another one of this.
pub(super) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(SETTING) {
            command.env_remove(name);
        }
    }
}

/// A service that runs. Dropping it stops it.
pub(crate) struct Service {
    child: Child,
    launch: Launch,
    stopping: Arc<AtomicBool>,
}

impl Service {
    /// Starts a service and waits until it is ready.
    ///
    /// # Errors
    /// When the program is missing, the port is taken, or the service ends or hangs before it is ready.
    pub(crate) fn start(launch: Launch) -> Result<Self> {
        ensure!(
            launch.program.is_file(),
            "{} is missing: build it with `cargo build --release --bins`, or name it with --bin",
            launch.program.display()
        );
        let port = launch.port;
        if TcpListener::bind(("127.0.0.1", port)).is_err() {
            bail!("Port {port} is taken by another program; choose another one with --port.");
        }
        fs::create_dir_all(&launch.dir)
            .with_context(|| format!("{} cannot be made", launch.dir.display()))?;
        let log = launch.open_log()?;
        let child = launch
            .serve()
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be started", launch.program.display()))?;
        let mut service = Self { child, launch, stopping: Arc::default() };
        service.watch_signals()?;
        service.wait_until_ready()?;
        Ok(service)
    }

    /// The service's address.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.launch.port)
    }

    /// How it was started.
    pub(crate) fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Whether somebody asked us to stop (Ctrl-C, SIGTERM, a closed terminal).
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Most memory the service has used so far, in KiB (`VmHWM`).
    pub(crate) fn peak_memory_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|rest| rest.trim().strip_suffix(" kB")).context("there is no VmHWM")?;
        Ok(number.trim().parse()?)
    }

    /// Waits until the service ends by itself or by a signal.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Stops the service in order and waits for it.
    ///
    /// # Errors
    /// When it does not end in time, or does not end well.
    pub(crate) fn stop(mut self) -> Result<()> {
        match self.terminate()? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the service ended with {status}; its log is {}", self.log()),
            None => bail!("the service did not stop within {} s and was killed", STOP_WITHIN.as_secs()),
        }
    }

    fn log(&self) -> String {
        self.launch.log_path().display().to_string()
    }

    fn terminate(&mut self) -> Result<Option<ExitStatus>> {
        ask_to_stop(self.child.id(), &self.stopping)?;
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(PAUSE);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(None)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let client = Client::new(&self.address(), None);
        let started = Instant::now();
        let mut said_seconds = 0;
        loop {
            if client.is_ready() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the service ended with {status} before it was ready:\n{}", self.end_of_log());
            }
            let waited = started.elapsed();
            ensure!(
                waited < READY_WITHIN,
                "the service was not ready within {} s:\n{}",
                READY_WITHIN.as_secs(),
                self.end_of_log()
            );
            if waited.as_secs() >= said_seconds + 5 {
                said_seconds = waited.as_secs();
                eprintln!("waiting for the service, {said_seconds} s");
            }
            thread::sleep(PAUSE);
        }
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(self.launch.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    /// Hands the first SIGINT, SIGTERM or SIGHUP on to the service.
    fn watch_signals(&self) -> Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stopping = Arc::clone(&self.stopping);
        let pid = self.child.id();
        let (mut interrupt, mut terminate, mut hangup) = {
            let _context = runtime.enter();
            (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            )
        };
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            if let Err(error) = ask_to_stop(pid, &stopping) {
                eprintln!("the service cannot be told to stop: {error}");
            }
        });
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.terminate().is_err() {
            // The kernel does it when we end (`serve`).
            eprintln!("the service cannot be stopped");
        }
    }
}

/// Sends SIGTERM, once: a second one would end the service in the middle of what it finishes. By the shell's own `kill`, as
/// the standard library knows SIGKILL alone. The process may have ended meanwhile.
fn ask_to_stop(pid: u32, stopping: &AtomicBool) -> Result<()> {
    if stopping.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    Command::new("sh").args(["-c", "kill -TERM \"$0\" 2>&-", &pid.to_string()]).status()?;
    Ok(())
}

/// A port of loopback that nobody uses at this moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
