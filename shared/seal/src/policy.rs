//! Whom a reader trusts: which logs, which witnesses, and how many of them (C2SP tlog-policy).

use std::collections::{HashMap, HashSet};

use crate::checkpoint::{Checkpoint, verify_cosignature, verify_log_signature};
use crate::encoding::decimal;
use crate::note::{KeyKind, NoteSignature, SignedNote, VerifierKey};
use crate::refused::{At, Code, Refusals, Refused, Result, ensure};

/// Bytes of an ML-DSA-44 cosignature: a time of 8 and a signature of 2,420. A line of another length cannot be one.
const ML_DSA_44_COSIGNATURE_BYTES: usize = 8 + 2420;

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
    Witness(Box<Witness>),
    Group { threshold: usize, members: Vec<usize> },
}

/// A witness as a policy names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its name in the policy.
    pub name: String,
    /// The key that it cosigns with.
    pub key: VerifierKey,
    /// Where it can be asked (C2SP tlog-witness), in case the policy says so.
    pub url: Option<String>,
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

/// What a note says, and what the policy has against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The checkpoint, where the note can be read; it is to be trusted only where nothing was refused.
    pub checkpoint: Option<Checkpoint>,
    /// As [`Accepted::quorum_time`], where the quorum is met.
    pub quorum_time: Option<u64>,
    /// Everything that was refused, each independently of the others.
    pub refused: Vec<Refused>,
}

impl Policy {
    /// Reads a policy from text, as [`from_bytes`](Self::from_bytes) does.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_bytes(text.as_bytes())
    }

    /// Reads a policy. Fields are separated by spaces and tabs; empty lines and those that begin with `#` say nothing.
    /// Bytes that are not ASCII are taken as they are, whether or not they are UTF-8; control characters other than tab
    /// and newline are refused wherever they stand (C2SP tlog-policy, "Character set").
    pub fn from_bytes(text: &[u8]) -> Result<Self> {
        let allowed = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
        let mut reader = Reader::default();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let place = format!("policy line {}", number + 1);
            ensure(line.iter().all(allowed), Code::PolicyCharacter).at(&place)?;
            let fields = line.split(|byte| b" \t".contains(byte)).filter(|field| !field.is_empty());
            let fields: Vec<_> = fields.collect();
            if fields.first().is_some_and(|first| !first.starts_with(b"#")) {
                reader.line(&fields).at(&place)?;
            }
        }
        let quorum = reader.quorum.ok_or_else(|| Refused::new(Code::PolicyQuorum))?;
        Ok(Self { logs: reader.logs, parties: reader.parties, quorum })
    }

    /// The text of a policy that trusts one log and asks for no witness.
    pub fn text_for_log(log: &VerifierKey) -> String {
        format!("log {log}\nquorum none\n")
    }

    /// The same logs, and no witness is asked for: what a checkpoint has to meet before it has been cosigned.
    #[must_use]
    pub fn without_witnesses(&self) -> Self {
        Self { logs: self.logs.clone(), parties: Vec::new(), quorum: Quorum::None }
    }

    /// The logs the policy trusts.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The witnesses the policy knows.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness(witness) => Some(witness.as_ref()),
            Party::Group { .. } => None,
        })
    }

    /// Whether the policy asks for any witness at all.
    pub fn asks_for_witnesses(&self) -> bool {
        matches!(self.quorum, Quorum::Party(_))
    }

    /// The names of the policy's witnesses that cannot be heard here, because their kind of key (ML-DSA-44) is not
    /// known.
    pub fn silent(&self) -> Vec<String> {
        let silent = self.witnesses().filter(|witness| witness.key.kind() == KeyKind::MlDsa44);
        silent.map(|witness| witness.name.clone()).collect()
    }

    /// Checks a checkpoint's note: a log of the policy whose name is the origin signed it, no signature of a known key
    /// is wrong, and the quorum of witnesses is met. The refusal is the first one that [`examine`](Self::examine) gives.
    pub fn check(&self, note: &str) -> Result<Accepted> {
        let Examined { checkpoint, quorum_time, refused } = self.examine(note);
        match (refused.into_iter().next(), checkpoint) {
            (None, Some(checkpoint)) => Ok(Accepted { checkpoint, quorum_time, silent: self.silent() }),
            (Some(refused), _) => Err(refused),
            (None, None) => Err(Refused::new(Code::CheckpointMalformed)),
        }
    }

    /// Checks a note as [`check`](Self::check) does, and goes on behind what it refuses.
    pub fn examine(&self, note: &str) -> Examined {
        let mut refusals = Refusals::default();
        let note = refusals.take(SignedNote::parse(note));
        let checkpoint = note.as_ref().and_then(|note| refusals.take(Checkpoint::parse(&note.text)));
        let quorum_time = note.zip(checkpoint.as_ref()).and_then(|(note, checkpoint)| {
            self.check_log(&note, checkpoint, &mut refusals);
            self.check_quorum(&note, &mut refusals)
        });
        Examined { checkpoint, quorum_time, refused: refusals.into_vec() }
    }

    /// As [`examine`](Self::examine), of bytes that may be no text.
    pub fn examine_bytes(&self, note: &[u8]) -> Examined {
        std::str::from_utf8(note).map_or_else(
            |_| Examined {
                checkpoint: None,
                quorum_time: None,
                refused: vec![Refused::new(Code::NoteMalformed)],
            },
            |note| self.examine(note),
        )
    }

    fn check_log(&self, note: &SignedNote, checkpoint: &Checkpoint, refusals: &mut Refusals) {
        let mut signed = false;
        for line in &note.signatures {
            for log in self.logs.iter().filter(|log| line.is_by(log)) {
                refusals.take(verify_log_signature(log, &note.text, line));
                signed |= log.name() == checkpoint.origin;
            }
        }
        refusals.check(signed, Code::LogSignatureMissing);
    }

    /// Checks all cosignatures and, where none is wrong, that they are enough; gives back since when they were. A quorum
    /// that only signatures of silent witnesses could have met is neither met nor missed.
    fn check_quorum(&self, note: &SignedNote, refusals: &mut Refusals) -> Option<u64> {
        let mut wrong = Refusals::default();
        let times = self.times(|name, key| {
            let lines = note.signatures.iter().filter(|line| line.is_by(key));
            let lines = lines.filter(|_| key.kind() != KeyKind::MlDsa44);
            lines.filter_map(|line| wrong.take(verify_cosignature(key, &note.text, line).at(name))).min()
        });
        let Quorum::Party(party) = self.quorum else {
            refusals.extend(wrong.into_vec());
            return None;
        };
        if times[party].is_none() && wrong.is_empty() {
            let with_silent = self.times(|_, key| {
                let may_be_right = |line: &&NoteSignature| {
                    key.kind() != KeyKind::MlDsa44 || line.signature.len() == ML_DSA_44_COSIGNATURE_BYTES
                };
                note.signatures.iter().filter(|line| line.is_by(key)).find(may_be_right).map(|_| 0)
            });
            let unknown = with_silent[party].is_some();
            wrong.check(false, if unknown { Code::QuorumUnknown } else { Code::Quorum });
        }
        refusals.extend(wrong.into_vec());
        times[party]
    }

    /// When each party had agreed: a witness when `heard` says so, a group with that member by which its threshold was
    /// reached. Members stand before their groups, so one pass is enough.
    fn times(&self, mut heard: impl FnMut(&str, &VerifierKey) -> Option<u64>) -> Vec<Option<u64>> {
        let mut times: Vec<Option<u64>> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            let time = match party {
                Party::Witness(witness) => heard(&witness.name, &witness.key),
                Party::Group { threshold, members } => {
                    let mut agreed: Vec<_> = members.iter().filter_map(|member| times[*member]).collect();
                    agreed.sort_unstable();
                    agreed.get(threshold - 1).copied()
                }
            };
            times.push(time);
        }
        times
    }
}

/// The quorum that asks for nobody; no witness and no group has this name.
const NONE: &[u8] = b"none";

#[derive(Default)]
struct Reader {
    logs: Vec<VerifierKey>,
    parties: Vec<Party>,
    /// By their bytes, which are compared as they are.
    names: HashMap<Vec<u8>, usize>,
    keys: HashSet<Vec<u8>>,
    used: HashSet<usize>,
    quorum: Option<Quorum>,
}

impl Reader {
    fn line(&mut self, fields: &[&[u8]]) -> Result<()> {
        match fields {
            [b"log", key] | [b"log", key, _] => {
                let key = self.key(key, |kind| kind == KeyKind::Ed25519)?;
                self.logs.push(key);
                Ok(())
            }
            [b"witness", name, key, url @ ..] if url.len() <= 1 => {
                let key = self.key(key, |kind| kind != KeyKind::Ed25519)?;
                let shown = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
                let witness = Witness { name: shown(name), key, url: url.first().map(|url| shown(url)) };
                self.define(name, Party::Witness(Box::new(witness)))
            }
            [b"group", name, threshold, members @ ..] => {
                let group = self.group(threshold, members)?;
                self.define(name, group)
            }
            [b"quorum", name] => {
                ensure(self.quorum.is_none(), Code::PolicyQuorum)?;
                self.quorum =
                    Some(if *name == NONE { Quorum::None } else { Quorum::Party(self.place(name)?) });
                Ok(())
            }
            _ => Err(Refused::new(Code::PolicyLine)),
        }
    }

    /// A key of an allowed kind that stands on no line before, under whatever name or type.
    fn key(&mut self, text: &[u8], allowed: impl Fn(KeyKind) -> bool) -> Result<VerifierKey> {
        let text = std::str::from_utf8(text).map_err(|_| Refused::new(Code::KeyMalformed))?;
        let key = VerifierKey::parse(text)?;
        ensure(allowed(key.kind()), Code::KeyKind)?;
        ensure(self.keys.insert(key.public_key().to_vec()), Code::PolicyKeyTwice)?;
        Ok(key)
    }

    fn group(&mut self, threshold: &[u8], names: &[&[u8]]) -> Result<Party> {
        let members: Vec<_> = names.iter().map(|name| self.place(name)).collect::<Result<_>>()?;
        for member in &members {
            ensure(self.used.insert(*member), Code::PolicyMemberTwice)?;
        }
        let threshold = match threshold {
            b"all" => Some(members.len()),
            b"any" => Some(1),
            number => std::str::from_utf8(number)
                .ok()
                .and_then(decimal)
                .and_then(|number| usize::try_from(number).ok()),
        };
        let threshold = threshold.filter(|threshold| (1..=members.len()).contains(threshold));
        Ok(Party::Group { threshold: threshold.ok_or_else(|| Refused::new(Code::PolicyThreshold))?, members })
    }

    fn define(&mut self, name: &[u8], party: Party) -> Result<()> {
        let free = name != NONE && !self.names.contains_key(name);
        ensure(free, Code::PolicyName)?;
        self.names.insert(name.into(), self.parties.len());
        self.parties.push(party);
        Ok(())
    }

    fn place(&self, name: &[u8]) -> Result<usize> {
        self.names.get(name).copied().ok_or_else(|| Refused::new(Code::PolicyUnknownName))
    }
}
