//! Telling somebody of an alarm: a webhook, mail.
//!
//! What is told is what the alarm's folder says ([`Notice`]), so that it can be told again after a restart, and when the alarm
//! itself is gone. Each channel is told once and remembered on its own; what one of them did not take is tried again with the
//! next pass, under the same id.
//!
//! To add a channel: implement [`Channel`] in a file below `notice/`, give it options in `cli/telling.rs`, and say in
//! docs/monitoring.md what it sends.

mod mail;
mod webhook;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use trialseal_seal::hash::sha256;
use trialseal_seal::time::Timestamp;

pub use self::mail::{Mail, MailError, MailServer};
pub use self::webhook::Webhook;
use crate::evidence::{self, Kept};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An alarm.
    Alarm,
    /// Nothing: somebody wants to know whether notices arrive.
    Test,
}

impl Kind {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alarm => "trialseal.monitor.alarm",
            Self::Test => "trialseal.monitor.test",
        }
    }
}

/// What is told. All text may be foreign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub kind: Kind,
    /// The same for the same alarm, however often it is sent: `msg_` and 32 hex digits.
    pub id: String,
    /// The ledger's address.
    pub ledger: String,
    /// The finding's code.
    pub code: String,
    /// What it was found in.
    pub record: String,
    /// One sentence for people.
    pub message: String,
    /// The name of the folder below `evidence/`; empty where there is none.
    pub evidence: String,
    /// That folder's whole path; empty where there is none.
    pub folder: String,
    /// When it was found.
    pub time: Timestamp,
}

impl Notice {
    /// The id of what is told about this evidence.
    pub(crate) fn id(about: &str) -> String {
        format!("msg_{}", &sha256(about.as_bytes()).to_string()[..32])
    }

    /// A notice that nothing is wrong.
    pub fn test(ledger: &str, now: Timestamp) -> Self {
        Self {
            kind: Kind::Test,
            id: Self::id(&format!("test {ledger} {now}")),
            ledger: ledger.to_owned(),
            code: "test".into(),
            record: "the monitor".into(),
            message: "nothing is wrong: somebody tries whether notices of alarms arrive".into(),
            evidence: String::new(),
            folder: String::new(),
            time: now,
        }
    }
}

/// Why somebody was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// This notice was not taken; another may be.
    #[error("it was refused: {0}")]
    Refused(String),
    /// The channel does not work.
    #[error("{0}")]
    Unusable(String),
}

/// A way to tell somebody.
pub trait Channel {
    /// What it is called in figures.
    fn kind(&self) -> &'static str;

    /// What it is remembered by: letters, digits and hyphens, and never the same for somebody else.
    fn mark(&self) -> String;

    /// Who is told, for people.
    fn whom(&self) -> String;

    /// Tells, at this time.
    ///
    /// # Errors
    /// Where nobody took it.
    fn tell(&self, notice: &Notice, now: Timestamp) -> Result<(), Untold>;
}

/// Whom to tell.
#[derive(Default)]
pub struct Notices(pub Vec<Box<dyn Channel>>);

impl Notices {
    /// Tells of the alarms that were found, and of those before that somebody still has to hear of. Gives how many notices
    /// are left, by kind of channel.
    pub(crate) fn tell(
        &self,
        ledger: &str,
        dir: &Path,
        found: &[Kept],
        now: Timestamp,
    ) -> io::Result<BTreeMap<&'static str, u64>> {
        let mut waiting = BTreeMap::new();
        for channel in &self.0 {
            let mark = channel.mark();
            for kept in found {
                kept.owe(&mark)?;
            }
            let left = waiting.entry(channel.kind()).or_default();
            let mut works = true;
            for kept in evidence::owed(dir, &mark)? {
                // One that does not work is tried once a pass: whoever waits for it has a ledger to read.
                let told = works && {
                    let told = kept.notice(ledger).and_then(|notice| channel.tell(&notice, now));
                    works = !matches!(told, Err(Untold::Unusable(_)));
                    say(channel.as_ref(), &kept, &told);
                    told.is_ok()
                };
                if told {
                    kept.told(&mark)?;
                } else {
                    *left += 1;
                }
            }
        }
        Ok(waiting)
    }
}

fn say(channel: &dyn Channel, kept: &Kept, told: &Result<(), Untold>) {
    let (channel, whom, evidence) = (channel.kind(), channel.whom(), kept.name());
    match told {
        Ok(()) => tracing::info!(channel, whom, evidence, "an alarm was told"),
        Err(why) => {
            tracing::error!(channel, whom, evidence, %why, "an alarm could not be told; the next pass tries again");
        }
    }
}

/// Foreign text for one line: no control characters, and no more than so many characters.
pub(crate) fn plain(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).take(most).collect()
}
