//! The configuration: one file, read once at the start. A line is a word and its value; empty lines and those that begin
//! with `#` say nothing.
//!
//! ```text
//! name witness.example.org/w1
//! listen 127.0.0.1:8490
//! log ledger.example.org/main+0a1b2c3d+AW…
//! log sum.golang.org+033de0ae+Ac… go.sum database tree
//! mirror https://ledger.example.org/log ledger.example.org/main
//! ca hospital.pem
//! ```

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use trialseal_seal::note::{KeyKind, VerifierKey, check_key_name};

/// Where a witness listens that was not told another address.
pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8490);
/// The key's file, in the folder, where the configuration names no other.
const DEFAULT_KEY: &str = "witness.key";
/// What the ML-DSA-44 key's file is called where a first start makes one.
pub(crate) const ML_DSA_KEY: &str = "witness-ml-dsa.key";
/// The longest name and the longest origin, in bytes: a length that one byte can say (C2SP tlog-cosignature).
const MAX_NAME_BYTES: usize = 255;

/// What a witness is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Its name for ever, which stands in every cosignature.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Its key's file; below the folder unless absolute.
    pub(crate) key: PathBuf,
    /// The file of its ML-DSA-44 key, if it has one.
    pub(crate) ml_dsa_key: Option<PathBuf>,
    /// What all its addresses begin with: empty, or `/` and more.
    pub(crate) prefix: String,
    /// The logs it cosigns for.
    pub(crate) logs: Vec<Log>,
    /// Those of them that it keeps a copy of.
    pub(crate) mirrors: Vec<Mirrored>,
    /// The file of certificate authorities that are believed beside the public ones; below the folder unless absolute.
    pub(crate) ca: Option<PathBuf>,
}

/// A key that is trusted to sign a log's checkpoints. A log may have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// The first line of the log's checkpoints; most logs name their key so, too.
    pub(crate) origin: String,
    pub(crate) key: VerifierKey,
}

impl Log {
    /// Reads `<vkey> [origin]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (key, origin) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let key: VerifierKey = key.parse()?;
        ensure!(key.kind() == KeyKind::Ed25519, "the key is none that logs sign with");
        let origin = Some(origin.trim()).filter(|origin| !origin.is_empty()).unwrap_or(key.name());
        ensure!(origin.len() <= MAX_NAME_BYTES, "the origin has more than {MAX_NAME_BYTES} bytes");
        Ok(Self { origin: origin.to_owned(), key })
    }
}

/// A log to keep a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrored {
    /// Where it is published, without a slash at the end.
    pub(crate) url: String,
    pub(crate) origin: String,
}

impl Mirrored {
    /// Reads `<url> <origin>`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (url, origin) = text.split_once([' ', '\t']).context("an address and an origin are needed")?;
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        ensure!(host.is_some_and(|host| !host.is_empty()), "the address must begin with https:// or http://");
        Ok(Self { url: url.trim_end_matches('/').to_owned(), origin: origin.trim().to_owned() })
    }
}

impl Config {
    /// A witness with these and otherwise what is usual.
    pub(crate) fn new(name: &str, listen: SocketAddr, logs: Vec<Log>) -> Self {
        Self {
            name: name.to_owned(),
            listen,
            key: DEFAULT_KEY.into(),
            ml_dsa_key: None,
            prefix: String::new(),
            logs,
            mirrors: Vec::new(),
            ca: None,
        }
    }

    /// Reads the file's text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut lines = Lines::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                lines.take(line).with_context(|| format!("line {number}"))?;
            }
        }
        let name = lines.once.remove("name").context("there is no line `name`")?;
        ensure!(
            check_key_name(&name).is_ok() && !name.contains("://") && name.len() <= MAX_NAME_BYTES,
            "`name` must be a host and path without scheme, such as witness.example.org/w1, in at most \
             {MAX_NAME_BYTES} bytes"
        );
        let listen = lines.once.get("listen").map_or(Ok(DEFAULT_LISTEN), |text| text.parse());
        let prefix = lines.once.remove("prefix").unwrap_or_default();
        ensure!(is_prefix(&prefix), "`prefix` must begin with / and end with none, such as /w1");
        for Mirrored { origin, .. } in &lines.mirrors {
            let is_known = lines.logs.iter().any(|log| log.origin == *origin);
            ensure!(is_known, "there is no line `log` for the log that `mirror` names: {origin}");
        }
        Ok(Self {
            name,
            listen: listen.context("`listen` must be an IP address and a port, such as 127.0.0.1:8490")?,
            key: lines.once.remove("key").unwrap_or_else(|| DEFAULT_KEY.to_owned()).into(),
            ml_dsa_key: lines.once.remove("ml-dsa-key").map(PathBuf::from),
            prefix,
            logs: lines.logs,
            mirrors: lines.mirrors,
            ca: lines.once.remove("ca").map(PathBuf::from),
        })
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let Self { name, listen, key, ml_dsa_key, prefix, logs, mirrors, ca } = self;
        let mut text =
            format!("# A witness; see docs/witness.md. Read at its start.\nname {name}\nlisten {listen}\n");
        let mut line = |word: &str, value: &str| {
            // Writing into a text cannot fail.
            let _ = writeln!(text, "{word} {value}");
        };
        if key != Path::new(DEFAULT_KEY) {
            line("key", &key.to_string_lossy());
        }
        if let Some(key) = ml_dsa_key {
            line("ml-dsa-key", &key.to_string_lossy());
        }
        if !prefix.is_empty() {
            line("prefix", prefix);
        }
        for Log { origin, key } in logs {
            let origin = if origin == key.name() { String::new() } else { format!(" {origin}") };
            line("log", &format!("{key}{origin}"));
        }
        for Mirrored { url, origin } in mirrors {
            line("mirror", &format!("{url} {origin}"));
        }
        if let Some(file) = ca {
            line("ca", &file.to_string_lossy());
        }
        text
    }

    /// The keys of each log, by origin.
    pub(crate) fn keys(&self) -> HashMap<String, Vec<VerifierKey>> {
        let mut keys: HashMap<String, Vec<VerifierKey>> = HashMap::new();
        for Log { origin, key } in &self.logs {
            keys.entry(origin.clone()).or_default().push(key.clone());
        }
        keys
    }
}

/// Lines as they are read.
#[derive(Default)]
struct Lines {
    once: HashMap<&'static str, String>,
    logs: Vec<Log>,
    mirrors: Vec<Mirrored>,
}

impl Lines {
    fn take(&mut self, line: &str) -> Result<()> {
        let (word, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let value = value.trim();
        ensure!(!value.is_empty(), "`{word}` needs a value");
        let word = match word {
            "log" => {
                let log = Log::parse(value)?;
                ensure!(!self.logs.contains(&log), "this log stands there already");
                self.logs.push(log);
                return Ok(());
            }
            "mirror" => {
                let mirror = Mirrored::parse(value)?;
                let is_new = self.mirrors.iter().all(|there| there.origin != mirror.origin);
                ensure!(is_new, "a mirror of this log stands there already");
                self.mirrors.push(mirror);
                return Ok(());
            }
            "name" => "name",
            "listen" => "listen",
            "key" => "key",
            "ml-dsa-key" => "ml-dsa-key",
            "prefix" => "prefix",
            "ca" => "ca",
            _ => bail!("there is no setting `{word}`"),
        };
        ensure!(self.once.insert(word, value.to_owned()).is_none(), "`{word}` stands there already");
        Ok(())
    }
}

fn is_prefix(prefix: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    prefix.is_empty() || prefix.starts_with('/') && !prefix.ends_with('/') && prefix.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use trialseal_seal::note::Signer;

    use super::*;

    fn key(name: &str, kind: KeyKind) -> String {
        Signer::new(name, kind, &[1; 32]).unwrap().verifier_key().to_string()
    }

    #[test]
    fn a_file_is_read_as_it_is_written() {
        let (a, b) = (key("ledger.example.org/a", KeyKind::Ed25519), key("b.example", KeyKind::Ed25519));
        let text = format!(
            "# mine\n\nname witness.example.org/w1\n listen\t0.0.0.0:80 \nkey /run/secrets/w1\nml-dsa-key pq\nprefix /w/1\nlog {a}\n\
             log {b} go.sum database tree\nlog {b} ledger.example.org/a\n\
             mirror https://b.example/log/ go.sum database tree\nca hospital.pem\n"
        );
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.name, "witness.example.org/w1");
        assert_eq!((config.listen.to_string(), config.prefix.as_str()), ("0.0.0.0:80".to_owned(), "/w/1"));
        let origins: Vec<_> = config.logs.iter().map(|log| log.origin.as_str()).collect();
        assert_eq!(origins, ["ledger.example.org/a", "go.sum database tree", "ledger.example.org/a"]);
        assert_eq!(config.keys()["ledger.example.org/a"].len(), 2, "a log may have several keys");
        let mirror = Mirrored { url: "https://b.example/log".into(), origin: "go.sum database tree".into() };
        assert_eq!(config.mirrors, [mirror]);
        assert_eq!(config.ca.as_deref(), Some(Path::new("hospital.pem")));
        assert_eq!(Config::parse(&config.text()).unwrap(), config);

        let plain = Config::parse("name w\n").unwrap();
        assert_eq!(plain, Config::new("w", DEFAULT_LISTEN, Vec::new()));
        assert_eq!(Config::parse(&plain.text()).unwrap(), plain);
    }

    #[test]
    fn a_file_that_says_something_else_is_refused_with_its_line() {
        let log = key("ledger.example.org/a", KeyKind::Ed25519);
        let witness = key("witness.example.org/w1", KeyKind::Cosignature);
        for (text, expected) in [
            (String::new(), "there is no line `name`"),
            ("name a\nname b".to_owned(), "line 2: `name` stands there already"),
            ("name a\nwitness b".to_owned(), "line 2: there is no setting `witness`"),
            ("name".to_owned(), "line 1: `name` needs a value"),
            ("name a b".to_owned(), "`name` must be a host and path"),
            ("name https://witness.example.org/w1".to_owned(), "`name` must be a host and path"),
            ("name a\nlisten here".to_owned(), "`listen` must be an IP address and a port"),
            ("name a\nprefix w".to_owned(), "`prefix` must begin with /"),
            ("name a\nprefix /w/{x}".to_owned(), "`prefix` must begin with /"),
            ("name a\nlog x".to_owned(), "line 2: this is not a verifier key"),
            (format!("name a\nlog {log} {}", "o".repeat(256)), "line 2: the origin has more than 255 bytes"),
            (format!("name a\nlog {witness}"), "line 2: the key is none that logs sign with"),
            (format!("name a\nlog {log}\nlog {log}"), "line 3: this log stands there already"),
            ("name a\nmirror b.example b".to_owned(), "line 2: the address must begin with https://"),
            ("name a\nmirror https://b.example".to_owned(), "line 2: an address and an origin are needed"),
            ("name a\nmirror https://b b\nmirror https://c b".to_owned(), "line 3: a mirror of this log"),
            (
                "name a\nmirror https://b b".to_owned(),
                "there is no line `log` for the log that `mirror` names: b",
            ),
        ] {
            let error = format!("{:#}", Config::parse(&text).unwrap_err());
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
