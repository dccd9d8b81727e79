//! A PostgreSQL server of a test's own, to be killed, copied and followed by a standby.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where Debian keeps the server's programs, a folder a version.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// How long a server may take until it answers, with the recovery after a crash.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Whom the server runs as where the tests run as root, which PostgreSQL refuses.
const USER: &str = "postgres";

/// A server. Dropped, it is killed, and its files are removed.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Cluster {
    /// Makes a server and starts it. It waits for its disk, as servers do that keep what they promise.
    pub fn start() -> Self {
        let mut cluster = Self::new();
        cluster.run("initdb", &["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync"]);
        cluster.start_again();
        cluster
    }

    /// Makes a server that follows the one at an address, and starts it.
    pub fn standby_of(primary: SocketAddr) -> Self {
        let mut cluster = Self::new();
        let (host, port) = (primary.ip().to_string(), primary.port().to_string());
        // With -R it will be a standby. The way to the primary is plain, for the proxy has to read along.
        let connection = format!("host={host} port={port} user={USER} sslmode=disable gssencmode=disable");
        cluster.run("pg_basebackup", &["-R", "-c", "fast", "--no-sync", "-d", &connection]);
        cluster.start_again();
        cluster
    }

    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("trialseal-cluster-").tempdir().unwrap();
        if let Some((user, group)) = server_user() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        Self { folder, programs: programs(), port: 0, server: None }
    }

    /// Starts the server, at another port than before, and waits until it answers.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the server runs already");
        self.port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = as_server_user(&["--pdeathsig", "QUIT"], &self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.arg("-k").arg(self.folder.path());
        let server = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        self.server = Some(server.unwrap());
        let deadline = Instant::now() + READY_WITHIN;
        while !self.answers() {
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "no PostgreSQL:\n{}", self.said());
            thread::sleep(PAUSE);
        }
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        let status = ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status();
        status.unwrap().success()
    }

    /// Kills the server and all its processes at once, as `kill -9` does.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // The server itself first, or else it would start what it misses.
        let processes = children(server.id());
        server.kill().unwrap();
        server.wait().unwrap();
        let numbers: Vec<String> = processes.iter().map(u32::to_string).collect();
        // Some end by themselves meanwhile.
        let _ended = Command::new("kill").arg("-KILL").args(numbers).stderr(Stdio::null()).status();
        let deadline = Instant::now() + READY_WITHIN;
        while processes.iter().any(|process| is_alive(*process)) {
            assert!(Instant::now() < deadline, "processes of PostgreSQL do not end");
            thread::sleep(PAUSE);
        }
    }

    /// Ends the time as a standby: the server takes writes from now on.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "--wait"]);
    }

    /// Where the server is.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Runs statements that must go well, each on its own.
    pub fn execute(&self, statements: &[&str]) {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", "postgres", "-h", "127.0.0.1"]);
        command.args(["-p", &self.port.to_string()]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{statements:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs one of the server's programs on its data.
    fn run(&self, name: &str, arguments: &[&str]) {
        let mut command = as_server_user(&[], &self.programs.join(name));
        // Programs look at the folder that they are started in, which is not the server's to see.
        command.current_dir(self.folder.path()).arg("-D").arg(self.data()).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("What PostgreSQL said:\n{}", self.said());
        }
        self.kill();
    }
}

/// The programs of the newest version.
fn programs() -> PathBuf {
    let versions = fs::read_dir(PROGRAMS).unwrap_or_else(|error| panic!("{PROGRAMS}: {error}"));
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| folder.join("bin/initdb").is_file())
        .max_by_key(|folder| version(folder));
    newest.unwrap_or_else(|| panic!("no PostgreSQL in {PROGRAMS}")).join("bin")
}

/// The number of the user that the server runs as, and that of their group; `None` where that is whoever runs the tests.
fn server_user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", USER]), id(&["-g", USER])))
}

fn as_server_user(options: &[&str], program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(options);
    if server_user().is_some() {
        command.args(["--reuid", USER, "--regid", USER, "--init-groups"]);
    }
    command.arg("--").arg(program);
    command
}

/// The processes that a process has started and that are still there.
fn children(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// Whether a process runs. One that is dead and whose end nobody has asked for does not.
fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}
