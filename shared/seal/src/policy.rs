//! Whom a reader trusts: which logs, which witnesses, and how many of them (C2SP tlog-policy).

use std::collections::{HashMap, HashSet};

use crate::checkpoint::{Checkpoint, verify_cosignature, verify_log_signature};
use crate::encoding::decimal;
use crate::note::{KeyKind, SignedNote, VerifierKey};
use crate::refused::{At, Code, Refused, Result, ensure};

/// A policy: logs, witnesses, groups of them, and a quorum.
#[derive(Clone, Debug)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    parties: Vec<Party>,
    quorum: Quorum,
}

/// Who has to have agreed.
#[derive(Clone, Copy, Debug)]
enum Quorum {
    None,
    Party(usize),
}

/// A witness or a group, named by its place among the parties. Groups name only what stands before them, so that there
/// are no circles.
#[derive(Clone, Debug)]
enum Party {
    Witness { name: String, key: Box<VerifierKey> },
    Group { threshold: usize, members: Vec<usize> },
}

/// What a note that meets the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The earliest time, in POSIX seconds, at which enough witnesses had cosigned; unknown where the policy asks for
    /// none.
    pub quorum_time: Option<u64>,
    /// The witnesses of the policy that could not be heard, because this verifier does not know their kind of key
    /// (ML-DSA-44), by their names in the policy.
    pub silent: Vec<String>,
}

impl Policy {
    /// Reads a policy. Fields are separated by spaces and tabs; empty lines and those that begin with `#` say nothing.
    pub fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader::default();
        for (number, line) in text.split('\n').enumerate() {
            let fields: Vec<_> = line.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
            if fields.first().is_some_and(|first| !first.starts_with('#')) {
                reader.line(&fields).at(format_args!("policy line {}", number + 1))?;
            }
        }
        let quorum = reader.quorum.ok_or_else(|| Refused::new(Code::PolicyQuorum))?;
        Ok(Self { logs: reader.logs, parties: reader.parties, quorum })
    }

    /// The text of a policy that trusts one log and asks for no witness.
    pub fn text_for_log(log: &VerifierKey) -> String {
        format!("log {log}\nquorum none\n")
    }

    /// The logs the policy trusts.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The witnesses the policy knows: their names in the policy and their keys.
    pub fn witnesses(&self) -> impl Iterator<Item = (&str, &VerifierKey)> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness { name, key } => Some((name.as_str(), key.as_ref())),
            Party::Group { .. } => None,
        })
    }

    /// Whether the policy asks for any witness at all.
    pub fn asks_for_witnesses(&self) -> bool {
        matches!(self.quorum, Quorum::Party(_))
    }

    /// Checks a checkpoint's note: a log of the policy whose name is the origin signed it, no signature of a known key
    /// is wrong, and the quorum of witnesses is met.
    pub fn check(&self, note: &str) -> Result<Accepted> {
        let note = SignedNote::parse(note)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        self.check_log(&note, &checkpoint)?;
        let times = self.times(&note)?;
        let quorum_time = match self.quorum {
            Quorum::Party(party) => Some(times[party].ok_or_else(|| Refused::new(Code::Quorum))?),
            Quorum::None => None,
        };
        let silent = self.witnesses().filter(|(_, key)| key.kind() == KeyKind::MlDsa44);
        let silent = silent.map(|(name, _)| name.to_owned()).collect();
        Ok(Accepted { checkpoint, quorum_time, silent })
    }

    fn check_log(&self, note: &SignedNote, checkpoint: &Checkpoint) -> Result<()> {
        let mut signed = false;
        for line in &note.signatures {
            for log in self.logs.iter().filter(|log| line.is_by(log)) {
                verify_log_signature(log, &note.text, line)?;
                signed |= log.name() == checkpoint.origin;
            }
        }
        ensure(signed, Code::LogSignatureMissing)
    }

    /// When each party had agreed: a witness with the earliest of its cosignatures, a group with that member by which
    /// its threshold was reached. Members stand before their groups, so one pass is enough.
    fn times(&self, note: &SignedNote) -> Result<Vec<Option<u64>>> {
        let mut times: Vec<Option<u64>> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            let time = match party {
                Party::Witness { key, .. } if key.kind() == KeyKind::MlDsa44 => None,
                Party::Witness { name, key } => {
                    let lines = note.signatures.iter().filter(|line| line.is_by(key));
                    let cosigned = lines.map(|line| verify_cosignature(key, &note.text, line).at(name));
                    cosigned.collect::<Result<Vec<_>>>()?.into_iter().min()
                }
                Party::Group { threshold, members } => {
                    let mut agreed: Vec<_> = members.iter().filter_map(|member| times[*member]).collect();
                    agreed.sort_unstable();
                    agreed.get(threshold - 1).copied()
                }
            };
            times.push(time);
        }
        Ok(times)
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<VerifierKey>,
    parties: Vec<Party>,
    names: HashMap<String, usize>,
    keys: HashSet<Vec<u8>>,
    used: HashSet<usize>,
    quorum: Option<Quorum>,
}

impl Reader {
    fn line(&mut self, fields: &[&str]) -> Result<()> {
        match fields {
            ["log", key] | ["log", key, _] => {
                let key = self.key(key, |kind| kind == KeyKind::Ed25519)?;
                self.logs.push(key);
                Ok(())
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                let key = self.key(key, |kind| kind != KeyKind::Ed25519)?;
                self.define(name, Party::Witness { name: (*name).into(), key: Box::new(key) })
            }
            ["group", name, threshold, members @ ..] => {
                let group = self.group(threshold, members)?;
                self.define(name, group)
            }
            ["quorum", name] => {
                ensure(self.quorum.is_none(), Code::PolicyQuorum)?;
                self.quorum =
                    Some(if *name == "none" { Quorum::None } else { Quorum::Party(self.place(name)?) });
                Ok(())
            }
            _ => Err(Refused::new(Code::PolicyLine)),
        }
    }

    /// A key of an allowed kind that stands on no line before, under whatever name or type.
    fn key(&mut self, text: &str, allowed: impl Fn(KeyKind) -> bool) -> Result<VerifierKey> {
        let key = VerifierKey::parse(text)?;
        ensure(allowed(key.kind()), Code::KeyKind)?;
        ensure(self.keys.insert(key.public_key().to_vec()), Code::PolicyKeyTwice)?;
        Ok(key)
    }

    fn group(&mut self, threshold: &str, names: &[&str]) -> Result<Party> {
        let members: Vec<_> = names.iter().map(|name| self.place(name)).collect::<Result<_>>()?;
        for member in &members {
            ensure(self.used.insert(*member), Code::PolicyMemberTwice)?;
        }
        let threshold = match threshold {
            "all" => Some(members.len()),
            "any" => Some(1),
            number => decimal(number).and_then(|number| usize::try_from(number).ok()),
        };
        let threshold = threshold.filter(|threshold| (1..=members.len()).contains(threshold));
        Ok(Party::Group { threshold: threshold.ok_or_else(|| Refused::new(Code::PolicyThreshold))?, members })
    }

    fn define(&mut self, name: &str, party: Party) -> Result<()> {
        let free = name != "none" && !self.names.contains_key(name);
        ensure(free, Code::PolicyName)?;
        self.names.insert(name.into(), self.parties.len());
        self.parties.push(party);
        Ok(())
    }

    fn place(&self, name: &str) -> Result<usize> {
        self.names.get(name).copied().ok_or_else(|| Refused::new(Code::PolicyUnknownName))
    }
}
