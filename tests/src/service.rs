//! A running service.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, Database, Engine, Proxy, Verifier, all_files, program};

/// How long a service may take until it is ready, and to do what it was asked for: a whole study on a busy machine.
const WITHIN: Duration = Duration::from_mins(3);

/// How long a service may take to end in order.
const STOP_WITHIN: Duration = Duration::from_secs(45);

/// How often we look.
const PAUSE: Duration = Duration::from_millis(20);

/// How often a port is tried that somebody else took in the moment since it was free.
const PORT_TRIES: u32 = 5;

/// A role that tokens are given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    Sponsor,
    Investigator,
    SiteStaff,
    Irb,
    Monitor,
    Inspector,
    Auditor,
    Unblinded,
    Researcher,
    /// For one of a trial: see [`Service::participant`].
    Participant,
    Admin,
}

impl Role {
    /// All that people have without being in the record themselves.
    pub const ALL: [Self; 10] = [
        Self::Sponsor,
        Self::Investigator,
        Self::SiteStaff,
        Self::Irb,
        Self::Monitor,
        Self::Inspector,
        Self::Auditor,
        Self::Unblinded,
        Self::Researcher,
        Self::Admin,
    ];

    /// As the service spells it.
    pub fn name(self) -> String {
        match self {
            Self::SiteStaff => "site-staff".to_owned(),
            role => format!("{role:?}").to_lowercase(),
        }
    }
}

/// `trialseal serve` in a folder and on a database of its own, or beside another on the same. Dropped, it is killed; folder
/// and database are removed with the last one on them.
#[derive(Debug)]
pub struct Service {
    child: Option<Child>,
    /// What a shell does before it becomes `trialseal serve`.
    shell: &'static str,
    database: Arc<Database>,
    /// The key database, where it is not a file in `dir`.
    keys: Option<Arc<Database>>,
    dir: Arc<TempDir>,
    /// Beside `dir`, which belongs to the service.
    log: PathBuf,
    _logs: TempDir,
    settings: Vec<(&'static str, String)>,
    address: Arc<RwLock<String>>,
    clients: RefCell<HashMap<Role, Client>>,
    next: Cell<u32>,
}

impl Service {
    /// Starts a service with a new ledger.
    pub fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[])
    }

    /// Starts a service with a new ledger and other settings than the tests usually have.
    pub fn start_with(engine: Engine, settings: &[(&'static str, &str)]) -> Self {
        Self::start_under("", engine, settings)
    }

    /// As [`Service::start_with`], in a process in which a shell has carried out these commands.
    pub fn start_under(shell: &'static str, engine: Engine, settings: &[(&'static str, &str)]) -> Self {
        let dir = folder();
        let database = Database::make(engine, dir.path());
        let url = database.url();
        Self::start_in(shell, dir, database, url, settings)
    }

    /// Starts a service with a new ledger on a PostgreSQL database that it reaches through a proxy; to its keys it has a way of
    /// its own.
    pub fn start_behind(proxy: &Proxy, database: Database, settings: &[(&'static str, &str)]) -> Self {
        let url = database.url_at(proxy.address());
        Self::start_in("", folder(), database, url, settings)
    }

    fn start_in(
        shell: &'static str,
        dir: TempDir,
        database: Database,
        url: String,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let mut service = Self::prepared_in(dir, database, url, settings);
        service.shell = shell;
        service.launch();
        service
    }

    /// A service that is not running yet, and has no ledger.
    pub fn prepared(engine: Engine) -> Self {
        let dir = folder();
        let database = Database::make(engine, dir.path());
        let url = database.url();
        Self::prepared_in(dir, database, url, &[])
    }

    /// As [`Service::prepared`], on a database whose address the service is told so.
    pub fn prepared_on(database: Database, url: &str) -> Self {
        Self::prepared_in(folder(), database, url.to_owned(), &[])
    }

    /// Sets one more setting for the next start.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.settings.push((name, value.to_owned()));
    }

    fn prepared_in(dir: TempDir, database: Database, url: String, settings: &[(&'static str, &str)]) -> Self {
        let keys = (database.engine() == Engine::Postgres).then(Database::on_postgres);
        let mut all = vec![
            ("TRIALSEAL_DATABASE_URL", url),
            ("TRIALSEAL_KEY_DATABASE_URL", keys.as_ref().map_or("file".to_owned(), Database::url)),
            ("TRIALSEAL_SEAL_INTERVAL_MS", "200".to_owned()),
            // What goes well is not shown where a test fails.
            ("TRIALSEAL_LOG", "warn".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("TRIALSEAL_ORIGIN", "ledger.example.org/test".to_owned()),
            // Tests ask with one token what many people would.
            ("TRIALSEAL_REQUESTS_PER_SECOND_BY_IDENTITY", "0".to_owned()),
            ("TRIALSEAL_REQUESTS_PER_SECOND_BY_ADDRESS", "0".to_owned()),
        ];
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Self::new(Arc::new(database), keys.map(Arc::new), Arc::new(dir), all)
    }

    fn new(
        database: Arc<Database>,
        keys: Option<Arc<Database>>,
        dir: Arc<TempDir>,
        settings: Vec<(&'static str, String)>,
    ) -> Self {
        let logs = tempfile::Builder::new().prefix("trialseal-log-").tempdir().unwrap();
        Self {
            child: None,
            shell: "",
            database,
            keys,
            log: logs.path().join("log"),
            _logs: logs,
            dir,
            settings,
            address: Arc::default(),
            clients: RefCell::default(),
            next: Cell::new(0),
        }
    }

    /// Starts another process on the same folder and database, which stands by.
    pub fn sharing_its_folder(&self) -> Self {
        let (database, dir) = (Arc::clone(&self.database), Arc::clone(&self.dir));
        let mut beside = Self::new(database, self.keys.clone(), dir, self.settings.clone());
        beside.start_standby();
        beside
    }

    /// Starts another process on the same databases, in a folder of its own with the same key files. It stands by.
    pub fn with_its_keys(&self) -> Self {
        self.with_its_keys_and(self.settings.clone())
    }

    /// As [`Service::with_its_keys`], where the other process reaches the database through a proxy of its own.
    pub fn with_its_keys_behind(&self, proxy: &Proxy) -> Self {
        let mut settings = self.settings.clone();
        settings.push(("TRIALSEAL_DATABASE_URL", self.database.url_at(proxy.address())));
        self.with_its_keys_and(settings)
    }

    fn with_its_keys_and(&self, settings: Vec<(&'static str, String)>) -> Self {
        let dir = tempfile::Builder::new().prefix("trialseal-").tempdir().unwrap();
        fs::create_dir(dir.path().join("keys")).unwrap();
        for key in all_files(&self.dir().join("keys")) {
            fs::copy(&key, dir.path().join("keys").join(key.file_name().unwrap())).unwrap();
        }
        let mut beside = Self::new(Arc::clone(&self.database), self.keys.clone(), Arc::new(dir), settings);
        beside.start_standby();
        beside
    }

    /// The service's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The folder of the published log.
    pub fn published(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// Where the service answers.
    pub fn address(&self) -> String {
        self.address.read().unwrap().clone()
    }

    /// The service's database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Everything the service has written to its standard output and error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Somebody in a role, with a token for all trials.
    pub fn client(&self, role: Role) -> Client {
        if let Some(client) = self.clients.borrow().get(&role) {
            return client.clone();
        }
        let client = self.new_client(role, &[]);
        self.clients.borrow_mut().insert(role, client.clone());
        client
    }

    /// Somebody new in a role, with a token for some trials; for all if none is named.
    pub fn new_client(&self, role: Role, trials: &[&str]) -> Client {
        let number = self.next.replace(self.next.get() + 1);
        self.client_of(&format!("{}-{number}", role.name()), role, trials)
    }

    /// A person in a role, with a token for some trials; for all if none is named.
    pub fn client_of(&self, actor: &str, role: Role, trials: &[&str]) -> Client {
        let trials: Vec<_> = trials.iter().flat_map(|trial| ["--trial", trial]).collect();
        self.client_made_with(actor, role, &trials)
    }

    /// A participant of a trial.
    pub fn participant(&self, trial: &str, id: &str) -> Client {
        let options = ["--trial", trial, "--participant", id];
        self.client_made_with(&format!("participant-{id}"), Role::Participant, &options)
    }

    fn client_made_with(&self, actor: &str, role: Role, options: &[&str]) -> Client {
        let name = role.name();
        let mut arguments =
            vec!["token", "create", "--actor", actor, "--role", &name, "--organisation", "Test"];
        arguments.extend(options);
        let output = self.command(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Client::new(self.agent(), Arc::clone(&self.address), Some(token))
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Client {
        Client::new(self.agent(), Arc::clone(&self.address), None)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        // The last one counts, as it does for the process.
        self.settings.iter().rev().find(|(set, _)| *set == name).map(|(_, value)| value.as_str())
    }

    /// Callers of a service that speaks TLS believe the authority that it believes.
    fn agent(&self) -> ureq::Agent {
        let tls = self.setting("TRIALSEAL_TLS_CERT_FILE");
        Client::agent(tls.and_then(|_| self.setting("TRIALSEAL_CA_FILE")).map(Path::new))
    }

    /// Somebody who shows this as a token.
    pub fn client_with(&self, token: &str) -> Client {
        Client::new(self.agent(), Arc::clone(&self.address), Some(token.to_owned()))
    }

    /// Runs a subcommand of `trialseal` on the service's ledger.
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    /// Begins a subcommand of `trialseal` on the service's ledger, whose output goes nowhere.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        self.program(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The number of the service's process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the service runs").id()
    }

    /// Kills the service at once, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks the service to end, and waits until it has ended well.
    pub fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait_for_end();
        assert!(status.success(), "the service ended with {status}:\n{}", self.end_of_log());
    }

    /// Sends the service a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let process = self.child.as_ref().expect("the service runs").id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", name, &process]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Waits until the service has ended by itself.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the service runs");
        let deadline = Instant::now() + STOP_WITHIN;
        loop {
            match child.try_wait().unwrap() {
                Some(status) => return status,
                None if Instant::now() > deadline => {
                    child.kill().unwrap();
                    panic!("the service does not end:\n{}", self.end_of_log());
                }
                None => thread::sleep(PAUSE),
            }
        }
    }

    /// Starts the service where another one may be elected: waits until it answers at all.
    pub fn start_standby(&mut self) {
        assert!(self.child.is_none(), "the service runs already");
        self.spawn();
        assert!(self.comes_to_answer("/healthz"), "the service does not answer:\n{}", self.end_of_log());
    }

    /// Whether the service is ready: of several on one ledger, the one that is elected.
    pub fn is_ready(&self) -> bool {
        let ready = self.anonymous().send("GET", "/readyz", &[], ureq::SendBody::none());
        ready.is_ok_and(|answer| answer.status == 200)
    }

    /// Waits until the service has ended by itself; answers whether it ended well.
    pub fn ends(&mut self) -> bool {
        let mut child = self.child.take().expect("the service runs");
        let status = self.wait("the service ends", || child.try_wait().unwrap());
        status.success()
    }

    /// The newest checkpoint that everybody can read.
    pub fn published_checkpoint(&self) -> Vec<u8> {
        fs::read(self.published().join("checkpoint")).unwrap()
    }

    /// The service has refused to seal on top of a database that knows less than is published, and has said what to do. The
    /// log is what it was, and verifies.
    pub fn assert_nothing_sealed_since(&self, published: &[u8], verifier: &Verifier) {
        let log = self.log();
        for words in
            ["the published checkpoint has size", "Nothing will be sealed; restore the newest database"]
        {
            assert!(log.contains(words), "the service does not say {words:?}:\n{}", self.end_of_log());
        }
        assert_eq!(self.published_checkpoint(), published, "another checkpoint was published");
        verifier.log(&self.published()).assert_sound();
    }

    /// Starts the service again on the same ledger, after [`Service::kill`] or [`Service::stop`].
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the service runs already");
        self.launch();
    }

    /// Starts the service again where that may fail, as what it has stored is damaged. Answers whether it is ready.
    pub fn try_start_again(&mut self) -> bool {
        self.spawn();
        self.comes_to_answer("/readyz")
    }

    /// Waits until the service says that it is ready.
    pub fn wait_until_ready(&self) {
        let anonymous = self.anonymous();
        self.wait("the service is ready", || (anonymous.get("/readyz").status == 200).then_some(()));
    }

    /// Waits until all that is recorded is under a published seal; answers how many events that is.
    pub fn wait_until_sealed(&self) -> u64 {
        let (anonymous, monitor) = (self.anonymous(), self.client(Role::Monitor));
        self.wait("everything is sealed", || {
            // A service that has just been in trouble may not be ready yet.
            let ready = anonymous.get("/readyz");
            let recorded = (ready.status == 200).then(|| ready.json()["events"].as_u64().unwrap())?;
            let newest = monitor.json("/v1/seals?limit=1")["newest"].as_u64()?;
            let page = monitor.json(&match newest {
                0 => "/v1/seals".to_owned(),
                newest => format!("/v1/seals?after={}", newest - 1),
            });
            let sealed = page["seals"][0]["seal"]["events"].as_u64()?;
            (sealed == recorded).then_some(recorded)
        })
    }

    /// Waits until all that is recorded is in a trial's read models.
    pub fn wait_until_folded(&self, trial: &str) {
        let monitor = self.client(Role::Monitor);
        let recorded = self.anonymous().json("/readyz")["events"].as_u64().unwrap();
        for model in ["overview", "participants", "data"] {
            self.wait(model, || {
                let answer = monitor.get(&format!("/v1/trials/{trial}/{model}"));
                let folded = answer.status == 200 && answer.json()["position"].as_u64()? >= recorded;
                folded.then_some(())
            });
        }
    }

    /// Asks again and again until there is something.
    pub fn wait<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(found) = ask() {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{}", self.end_of_log());
            thread::sleep(PAUSE);
        }
    }

    fn launch(&mut self) {
        for _ in 0..PORT_TRIES {
            self.spawn();
            if self.comes_to_answer("/readyz") {
                return;
            }
            if !self.end_of_log().contains("cannot listen") {
                break;
            }
        }
        panic!("the service does not become ready:\n{}", self.end_of_log());
    }

    fn spawn(&mut self) {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let scheme = if self.setting("TRIALSEAL_TLS_CERT_FILE").is_some() { "https" } else { "http" };
        *self.address.write().unwrap() = format!("{scheme}://127.0.0.1:{port}");
        let log = self.open_log();
        let serve = self.program(&["serve", "--port", &port.to_string()]);
        let mut command = if self.shell.is_empty() { serve } else { under(self.shell, &serve) };
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.child = Some(child);
    }

    /// Waits until a route is answered with 200; `false` where the service ends before.
    fn comes_to_answer(&mut self, route: &str) -> bool {
        let anonymous = self.anonymous();
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline {
            let answer = anonymous.send("GET", route, &[], ureq::SendBody::none());
            if answer.is_ok_and(|answer| answer.status == 200) {
                return true;
            }
            if self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some()) {
                self.child = None;
                return false;
            }
            thread::sleep(PAUSE);
        }
        self.kill();
        false
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("trialseal"));
        command.args(arguments).arg("--dir").arg(self.dir()).stdin(Stdio::null());
        command.envs(self.settings.iter().map(|(name, value)| (*name, value)));
        command
    }

    fn open_log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(&self.log).unwrap()
    }

    fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("The end of the service's log:\n{}", self.end_of_log());
        }
        self.kill();
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("trialseal-").tempdir().unwrap()
}

/// The same command, become by a shell that has carried out other commands before.
fn under(shell: &str, command: &Command) -> Command {
    let mut all = Command::new("sh");
    all.arg("-c")
        .arg(format!("{shell}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args());
    all.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    all
}

/// Whether an answer of a job says that it came to its end.
pub(crate) fn is_over(job: &Value) -> bool {
    matches!(job["state"].as_str(), Some("done" | "refused" | "failed"))
}
