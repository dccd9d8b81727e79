//! Whom a reader of one ledger trusts, in one text: its policy and its export keys, with a fingerprint to compare.
//!
//! The text is published in more than one place, and a reader keeps it. Its first line is [`HEADING`]; behind it stand the
//! lines of a tlog-policy, and `export <verifier key>` for each export key (section 9 of the format). It is written in
//! one way only: fields separated by one space, no empty lines, no comments, no addresses, each line ended by a newline. So its
//! *fingerprint*, the SHA-256 of its bytes, is the same wherever the keys are the same, and `sha256sum` prints it.

use std::{fmt, iter};

use crate::dataset::ExportKey;
use crate::hash::{Hash, sha256};
use crate::policy::Policy;
use crate::refused::{At, Code, Refused, Result, ensure};

/// The first line.
pub const HEADING: &str = "trialseal/trust/v1";
/// How the line of an export key begins.
const EXPORT: &str = "export ";

/// Reads a fingerprint as people write it down: in groups, parted by spaces or colons, in small or large letters.
pub fn read_fingerprint(text: &str) -> Result<Hash> {
    let digits = text.chars().filter(|c| !c.is_whitespace() && *c != ':');
    digits.collect::<String>().to_ascii_lowercase().parse()
}

/// A policy and export keys that belong together.
#[derive(Clone, Debug)]
pub struct Trust {
    text: String,
    policy: Policy,
    export_keys: Vec<ExportKey>,
}

impl Trust {
    /// The policy of this text, and these export keys. Each key has to be that of a ledger whose log is in the policy, and
    /// to stand in no other place ([`Code::KeyReused`], [`Code::AnotherLedger`]).
    pub fn new(policy_text: &str, export_keys: Vec<ExportKey>) -> Result<Self> {
        let policy = Policy::parse(policy_text)?;
        for (place, key) in export_keys.iter().enumerate() {
            key.check_unused(&policy)?;
            ensure(!export_keys[..place].contains(key), Code::KeyReused)?;
            ensure(policy.logs().iter().any(|log| log.name() == key.origin()), Code::AnotherLedger)?;
        }
        let lines = policy_text.lines().filter_map(|line| {
            let fields: Vec<_> = line.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
            let known = match *fields.first()? {
                "log" => 2,
                "witness" => 3,
                comment if comment.starts_with('#') => return None,
                _ => fields.len(),
            };
            Some(fields.get(..known)?.join(" "))
        });
        let keys = export_keys.iter().map(|key| format!("{EXPORT}{key}"));
        let text = iter::once(HEADING.to_owned()).chain(lines).chain(keys).map(|line| line + "\n").collect();
        Ok(Self { text, policy, export_keys })
    }

    /// Reads the text. What is written in another way than [`new`](Self::new) writes it has another fingerprint, and is refused
    /// ([`Code::TrustForm`]).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refused::new(Code::TrustForm))?;
        let lines = text.strip_prefix(HEADING).and_then(|rest| rest.strip_prefix('\n'));
        let lines = lines.ok_or_else(|| Refused::new(Code::WrongFormat))?;
        let (mut policy, mut export_keys) = (String::new(), Vec::new());
        for (number, line) in lines.split_inclusive('\n').enumerate() {
            match line.strip_prefix(EXPORT) {
                Some(key) => {
                    let place = format!("line {}", number + 2);
                    export_keys.push(key.trim_end_matches('\n').parse::<ExportKey>().at(&place)?);
                }
                None => policy.push_str(line),
            }
        }
        let trust = Self::new(&policy, export_keys)?;
        ensure(trust.text == text, Code::TrustForm)?;
        Ok(trust)
    }

    /// What the text's bytes hash to: what two people read to each other.
    pub fn fingerprint(&self) -> Hash {
        sha256(self.text.as_bytes())
    }

    /// Which logs and which witnesses are trusted.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The lines of the policy, for programs that know no export keys.
    pub fn policy_text(&self) -> String {
        let lines = self.text.split_inclusive('\n').skip(1);
        lines.filter(|line| !line.starts_with(EXPORT)).collect()
    }

    /// The keys one of which has to have signed a dataset.
    pub fn export_keys(&self) -> &[ExportKey] {
        &self.export_keys
    }

    /// The lines that stand in `other` and not here.
    pub fn missing<'a>(&self, other: &'a Self) -> Vec<&'a str> {
        other.text.lines().filter(|line| self.text.lines().all(|own| own != *line)).collect()
    }
}

/// The text.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
