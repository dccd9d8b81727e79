//! Settings: one struct, read once from the environment; every name with its default and meaning in [`SETTINGS`].

mod names;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use names::{SETTINGS, Setting};

/// The longest origin; it stands in every seal and every checkpoint.
const MAX_ORIGIN_BYTES: usize = 255;
/// No sense in more than a TiB for any limit in bytes.
const MAX_BYTES: u64 = 1 << 40;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder for the embedded database, keys, the published log, spooled uploads and exports.
    pub dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The service's certificate and its key, where it speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Which database to use.
    pub database: Database,
    /// Connections to the database at the most.
    pub database_connections: u32,
    /// Where the data keys lie.
    pub key_database: Database,
    /// The ledger's origin, where it was chosen; a ledger that exists keeps the one it has.
    pub origin: Option<String>,
    /// File of the key that wraps the data keys.
    pub master_key_file: PathBuf,
    /// The token that has that key, where it lies in no file.
    pub token: Option<TokenSettings>,
    /// File of the publication policy without its log; nobody is asked for anything where there is none.
    pub policy_file: Option<PathBuf>,
    /// File of certificate authorities that are believed beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// How long a witness may take to answer.
    pub witness_patience: Duration,
    /// Who puts times on published notes, if anybody.
    pub timestamps: Option<TimestampSettings>,
    /// Time between seals while there is something new.
    pub seal_interval: Duration,
    /// Time between seals while there is nothing new.
    pub heartbeat: Duration,
    /// Which log lines to write, in the form of tracing-subscriber's `EnvFilter`.
    pub log: String,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Largest body of a command, in bytes.
    pub body_bytes: usize,
    /// What the writer takes at a time and lets wait.
    pub writer: WriterLimits,
    /// What imports may take.
    pub imports: ImportLimits,
    /// Exports that are worked on at a time.
    pub export_jobs: usize,
    /// What finished exports may take.
    pub export_files: ExportFileLimits,
    /// Where people reach the service, such as `https://ledger.example.org`, without a slash at its end.
    pub public_address: Option<String>,
    /// Addresses of proxies that are believed about whom they forward for.
    pub proxies: Vec<IpAddr>,
    /// How often somebody may ask.
    pub requests: RequestLimits,
    /// File that says which OpenID Connect provider vouches for people, and for what.
    pub oidc_file: Option<PathBuf>,
    /// Ids of the trials whose overview the front page shows to everybody.
    pub public_trials: Vec<String>,
    /// Time that roles have to end after SIGTERM.
    pub shutdown: Duration,
}

/// A certificate with those between it and its authority, and its private key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// File of the certificates, the service's own first.
    pub certificate: PathBuf,
    /// File of the key.
    pub key: PathBuf,
}

/// A PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// The library that speaks with it.
    pub module: PathBuf,
    /// Its label.
    pub label: String,
    /// File of its user's PIN.
    pub pin_file: PathBuf,
}

/// Who puts times on published notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampSettings {
    /// The address of an RFC 3161 authority.
    pub url: String,
    /// File of the certificates that its answers are checked with, in PEM.
    pub ca_file: PathBuf,
    /// Time from one timestamp to the next.
    pub interval: Duration,
}

/// Limits of the writer of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterLimits {
    /// Events in one transaction at the most.
    pub batch_events: usize,
    /// Events that may wait.
    pub queue_events: usize,
    /// Bytes of events that may wait.
    pub queue_bytes: usize,
    /// How long a command waits for a place in the queue.
    pub patience: Duration,
    /// Recorded events that may wait for their seal before appends are slowed down.
    pub unsealed_events: u64,
}

/// How often somebody may ask, in requests a second; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// One actor.
    pub by_identity: u32,
    /// One address of callers who are nobody.
    pub by_address: u32,
}

/// Limits of imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// Disk for all waiting files together, in bytes.
    pub spool_bytes: u64,
    /// Imports that are worked on at a time.
    pub jobs: usize,
}

/// Limits of finished exports. A dataset can be made again, so its file is not kept for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportFileLimits {
    /// How long each file is kept.
    pub keep: Duration,
    /// Disk for all files together, in bytes; the oldest make room.
    pub bytes: u64,
}

impl Default for ExportFileLimits {
    fn default() -> Self {
        Self { keep: Duration::from_hours(24), bytes: 64 << 30 }
    }
}

/// Which database to use.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// The embedded one, in this file.
    Sqlite(PathBuf),
    /// PostgreSQL, or what speaks its protocol, at this address. The address may hold a password, so `Debug` hides it.
    Postgres(String),
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// A setting with a value that it cannot have. Shows the value, unless it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, but it must be {expected}")]
pub struct SettingsError {
    name: &'static str,
    value: String,
    expected: String,
}

impl SettingsError {
    fn new((name, ..): Setting, value: &str, expected: impl Into<String>) -> Self {
        Self { name, value: format!("{value:?}"), expected: expected.into() }
    }

    /// Of a value that may hold a password.
    fn hidden((name, ..): Setting, expected: &str) -> Self {
        let value = "something else (not shown, as it may hold a password)".to_owned();
        Self { name, value, expected: expected.to_owned() }
    }

    fn absent((name, ..): Setting, expected: &str) -> Self {
        Self { name, value: "not set".to_owned(), expected: expected.to_owned() }
    }

    /// The name of the setting.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Events of the largest append, a command's or a chunk's of an import: with less room it could never be recorded.
const LARGEST_APPEND_EVENTS: usize = 1_000;

/// Room for four such appends of a few megabytes.
const LEAST_QUEUE_BYTES: usize = 32 << 20;

impl Settings {
    /// The settings of this process: what `flags` (the command line) knows by the setting's name, then its environment.
    pub fn from_process(flags: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        // Bytes that are no UTF-8 become replacement characters, so that the value is refused and not passed over.
        let environment =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self::from_env(|name| flags(name).or_else(|| environment(name)))
    }

    /// The settings that `lookup` knows, defaults for all others. An empty value counts as not set.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let env = Env(lookup);
        let dir = PathBuf::from(env.text(names::DIR));
        let listen: IpAddr = env.parsed(names::LISTEN, "an IP address, such as 127.0.0.1")?;
        let port = env.number(names::PORT, 0..=u16::MAX)?;
        let database = env.database(&dir)?;
        Ok(Self {
            listen: SocketAddr::new(listen, port),
            tls: env.tls()?,
            key_database: env.key_database(&dir, &database)?,
            database,
            database_connections: env.number(names::DATABASE_CONNECTIONS, 2..=1000)?,
            origin: env.origin()?,
            master_key_file: env
                .set(names::MASTER_KEY_FILE)
                .map_or_else(|| dir.join("keys/master.key"), PathBuf::from),
            token: env.token()?,
            policy_file: env.set(names::POLICY_FILE).map(PathBuf::from),
            ca_file: env.set(names::CA_FILE).map(PathBuf::from),
            witness_patience: Duration::from_millis(env.number(names::WITNESS_PATIENCE_MS, 10..=60_000)?),
            timestamps: env.timestamps()?,
            seal_interval: Duration::from_millis(env.number(names::SEAL_INTERVAL_MS, 10..=3_600_000)?),
            heartbeat: Duration::from_secs(env.number(names::HEARTBEAT_SECONDS, 1..=86_400)?),
            log: env.text(names::LOG),
            log_format: env.log_format()?,
            body_bytes: env.number(names::BODY_BYTES, 1 << 10..=64 << 20)?,
            writer: WriterLimits {
                batch_events: env.number(names::BATCH_EVENTS, LARGEST_APPEND_EVENTS..=100_000)?,
                queue_events: env.number(names::QUEUE_EVENTS, LARGEST_APPEND_EVENTS..=10_000_000)?,
                queue_bytes: env.number(names::QUEUE_BYTES, LEAST_QUEUE_BYTES..=16 << 30)?,
                patience: Duration::from_millis(env.number(names::QUEUE_PATIENCE_MS, 0..=60_000)?),
                unsealed_events: env.number(names::UNSEALED_EVENTS, 1..=100_000_000)?,
            },
            imports: ImportLimits {
                file_bytes: env.number(names::IMPORT_FILE_BYTES, 1 << 10..=MAX_BYTES)?,
                spool_bytes: env.number(names::IMPORT_SPOOL_BYTES, 1 << 10..=MAX_BYTES)?,
                jobs: env.number(names::IMPORT_JOBS, 1..=64)?,
            },
            export_jobs: env.number(names::EXPORT_JOBS, 1..=64)?,
            export_files: ExportFileLimits {
                keep: Duration::from_secs(env.number(names::EXPORT_KEEP_SECONDS, 60..=31_536_000)?),
                bytes: env.number(names::EXPORT_BYTES, 1 << 20..=MAX_BYTES)?,
            },
            public_address: env.public_address()?,
            proxies: env.proxies()?,
            requests: RequestLimits {
                by_identity: env.number(names::REQUESTS_PER_SECOND_BY_IDENTITY, 0..=1_000_000)?,
                by_address: env.number(names::REQUESTS_PER_SECOND_BY_ADDRESS, 0..=1_000_000)?,
            },
            oidc_file: env.set(names::OIDC_FILE).map(PathBuf::from),
            public_trials: env.list(names::PUBLIC_TRIALS),
            shutdown: Duration::from_secs(env.number(names::SHUTDOWN_SECONDS, 1..=600)?),
            dir,
        })
    }
}

impl Settings {
    /// Whether browsers come by TLS: to the service itself, or to what stands in front of it.
    pub fn is_reached_by_tls(&self) -> bool {
        let address = self.public_address.as_deref();
        self.tls.is_some() || address.is_some_and(|address| address.starts_with("https://"))
    }
}

/// The names in this process's environment that look like a setting and are none: misspelt ones, most likely.
pub fn unknown_in_process() -> Vec<String> {
    unknown(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()))
}

/// Those of `names` that look like a setting and are none. What begins with `TRIALSEAL_TEST_` is for tests.
fn unknown(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known =
        |name: &str| name.starts_with("TRIALSEAL_TEST_") || SETTINGS.iter().any(|(known, ..)| *known == name);
    names.into_iter().filter(|name| name.starts_with("TRIALSEAL_") && !known(name)).collect()
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Reads single settings.
struct Env<F>(F);

impl<F: Fn(&str) -> Option<String>> Env<F> {
    fn set(&self, (name, ..): Setting) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, setting: Setting) -> String {
        self.set(setting).unwrap_or_else(|| setting.1.to_owned())
    }

    fn parsed<T: FromStr>(&self, setting: Setting, expected: &str) -> Result<T, SettingsError> {
        let text = self.text(setting);
        text.parse().map_err(|_| SettingsError::new(setting, &text, expected))
    }

    /// Entries parted by commas.
    fn list(&self, setting: Setting) -> Vec<String> {
        let text = self.set(setting).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    fn number<T>(&self, setting: Setting, range: RangeInclusive<T>) -> Result<T, SettingsError>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.parsed(setting, &expected)?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(SettingsError::new(setting, &self.text(setting), expected))
        }
    }

    fn database(&self, dir: &Path) -> Result<Database, SettingsError> {
        let text = self.text(names::DATABASE_URL);
        if text == "sqlite" {
            return Ok(Database::Sqlite(dir.join("trialseal.db")));
        }
        match text.split_once(':') {
            // Neither a URL nor `:memory:`, which would be another database for every connection.
            Some(("sqlite", path))
                if !path.is_empty() && !path.starts_with("//") && !path.starts_with(':') =>
            {
                Ok(Database::Sqlite(path.into()))
            }
            _ if is_postgres(&text) => Ok(Database::Postgres(text)),
            _ => Err(SettingsError::hidden(names::DATABASE_URL, "`sqlite`, `sqlite:PATH` or `postgres://…`")),
        }
    }

    /// Beside a record in PostgreSQL it has to be said: several machines may serve that, and a file is on one of them.
    fn key_database(&self, dir: &Path, record: &Database) -> Result<Database, SettingsError> {
        let setting = names::KEY_DATABASE_URL;
        let expected = "`file` where one machine alone serves this ledger, or a PostgreSQL database of its own \
                        (`postgres://…`)";
        let file = || Ok(Database::Sqlite(dir.join("keys/data-keys.sqlite")));
        match (self.set(setting), record) {
            (None, Database::Sqlite(_)) => file(),
            (None, Database::Postgres(_)) => Err(SettingsError::absent(setting, expected)),
            (Some(text), _) if text == "file" => file(),
            (Some(text), _) if is_postgres(&text) => Ok(Database::Postgres(text)),
            (Some(_), _) => Err(SettingsError::hidden(setting, expected)),
        }
    }

    /// An origin is the name of the log's key as well: neither spaces nor `+` can stand in one (C2SP signed-note).
    fn origin(&self) -> Result<Option<String>, SettingsError> {
        let Some(origin) = self.set(names::ORIGIN) else { return Ok(None) };
        let good = origin.len() <= MAX_ORIGIN_BYTES
            && !origin.contains("://")
            && !origin.starts_with('/')
            && !origin.ends_with('/')
            && origin.chars().all(|c| c.is_ascii_graphic() && c != '+');
        let expected = "a host and path without scheme, such as ledger.example.org/main, in at most 255 visible ASCII \
                        characters without +";
        if good { Ok(Some(origin)) } else { Err(SettingsError::new(names::ORIGIN, &origin, expected)) }
    }

    /// A scheme and a host, perhaps with a port: pages lie at its root.
    fn public_address(&self) -> Result<Option<String>, SettingsError> {
        let Some(address) = self.set(names::PUBLIC_ADDRESS) else { return Ok(None) };
        let trimmed = address.trim_end_matches('/');
        let host = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if host.is_some_and(|host| !host.is_empty() && host.chars().all(allowed)) {
            return Ok(Some(trimmed.to_ascii_lowercase()));
        }
        let expected = "a scheme and a host without a path, such as https://ledger.example.org";
        Err(SettingsError::new(names::PUBLIC_ADDRESS, &address, expected))
    }

    /// Both files or none: with one of them alone somebody believes that TLS is spoken, or is not.
    fn tls(&self) -> Result<Option<TlsFiles>, SettingsError> {
        let absent = |setting, other: Setting| {
            SettingsError::absent(setting, &format!("a file in PEM, for {} is set", other.0))
        };
        match (self.set(names::TLS_CERT_FILE), self.set(names::TLS_KEY_FILE)) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                Ok(Some(TlsFiles { certificate: certificate.into(), key: key.into() }))
            }
            (Some(_), None) => Err(absent(names::TLS_KEY_FILE, names::TLS_CERT_FILE)),
            (None, Some(_)) => Err(absent(names::TLS_CERT_FILE, names::TLS_KEY_FILE)),
        }
    }

    /// All three or none: with one of them alone somebody believes that the key lies on a token.
    fn token(&self) -> Result<Option<TokenSettings>, SettingsError> {
        let (module, label, pin_file) = (names::PKCS11_MODULE, names::PKCS11_TOKEN, names::PKCS11_PIN_FILE);
        let missing = match (self.set(module), self.set(label), self.set(pin_file)) {
            (None, None, None) => return Ok(None),
            (Some(module), Some(label), Some(pin_file)) => {
                return Ok(Some(TokenSettings { module: module.into(), label, pin_file: pin_file.into() }));
            }
            (None, ..) => module,
            (_, None, _) => label,
            (.., None) => pin_file,
        };
        Err(SettingsError::absent(missing, "set where another TRIALSEAL_PKCS11_… setting is"))
    }

    fn timestamps(&self) -> Result<Option<TimestampSettings>, SettingsError> {
        let interval = Duration::from_secs(self.number(names::TSA_INTERVAL_SECONDS, 1..=86_400)?);
        let (Some(url), ca_file) = (self.set(names::TSA_URL), self.set(names::TSA_CA_FILE)) else {
            return Ok(None);
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(SettingsError::new(names::TSA_URL, &url, "an http or https address"));
        }
        let expected = "a file of certificates in PEM, for the answers of TRIALSEAL_TSA_URL are checked";
        let ca_file = ca_file.ok_or_else(|| SettingsError::new(names::TSA_CA_FILE, "", expected))?;
        Ok(Some(TimestampSettings { url, ca_file: ca_file.into(), interval }))
    }

    fn proxies(&self) -> Result<Vec<IpAddr>, SettingsError> {
        let text = self.text(names::PROXIES);
        let addresses = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let addresses: Result<_, _> = addresses.map(str::parse).collect();
        addresses
            .map_err(|_| SettingsError::new(names::PROXIES, &text, "IP addresses with commas between them"))
    }

    fn log_format(&self) -> Result<LogFormat, SettingsError> {
        let text = self.text(names::LOG_FORMAT);
        match text.as_str() {
            "human" => Ok(LogFormat::Human),
            "json" => Ok(LogFormat::Json),
            _ => Err(SettingsError::new(names::LOG_FORMAT, &text, "`human` or `json`")),
        }
    }
}
