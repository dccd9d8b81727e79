//! Comparing what one is shown with what others were shown: witnesses, and other monitors.

use std::fs;
use std::thread;
use std::time::Duration;

use trialseal_seal::checkpoint::{Checkpoint, log_signatures};
use trialseal_seal::hash::sha256;
use trialseal_seal::note::{MAX_NOTE_BYTES, SignedNote};
use trialseal_seal::policy::Policy;

use crate::finding::{Finding, Step};
use crate::log::Log;
use crate::place::{Answer, Http};

/// How often the ledger's tiles are looked for where somebody else has seen more of the log already.
const TRIES: usize = 3;
/// How long to wait before the next look.
const PAUSE: Duration = Duration::from_secs(1);

/// Somebody else who was shown the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// A witness, by the prefix of its monitoring address (C2SP tlog-witness).
    Witness(String),
    /// Another monitor's checkpoint: a file, or an address.
    Peer(String),
}

impl Other {
    /// What it is called in findings.
    pub fn name(&self) -> String {
        match self {
            Self::Witness(url) => format!("witness {url}"),
            Self::Peer(place) => format!("peer {place}"),
        }
    }

    /// The checkpoint note that it has seen last; `None` where it knows none of this log.
    fn note(&self, http: &Http, origin: &str) -> Step<Option<String>> {
        let cannot = |why: String| Finding::cannot_tell("other-unreadable", self.name(), why);
        let bytes = match self {
            Self::Witness(url) => {
                let hash = sha256(origin.as_bytes());
                get(http, &format!("{}/{hash}/checkpoint", url.trim_end_matches('/')))
            }
            Self::Peer(url) if url.starts_with("http://") || url.starts_with("https://") => get(http, url),
            Self::Peer(file) => fs::read(file).map(Some).map_err(|error| error.kind().to_string()),
        };
        let Some(bytes) = bytes.map_err(cannot)? else { return Ok(None) };
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(cannot("what it shows is larger than a checkpoint can be".into()));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| cannot("what it shows is no text".into()))
    }

    /// Compares what it has seen with the log as it is shown here. Gives the tree size that it has seen.
    ///
    /// Only a checkpoint that one of the log's own keys signed counts: nobody else can make the ledger look guilty.
    pub(crate) fn compare(&self, http: &Http, log: &Log<'_>) -> Step<Option<u64>> {
        let Some(text) = self.note(http, &log.checkpoint.origin)? else { return Ok(None) };
        let shown = signed(log.policy, &text).ok_or_else(|| {
            let message = "what it shows is no checkpoint that this log signed";
            Finding::cannot_tell("other-unreadable", self.name(), message)
                .with("checkpoint-other", text.as_str())
        })?;
        if shown.origin != log.checkpoint.origin {
            let message = format!("it shows a checkpoint of another ledger, {}", shown.origin);
            return Err(Finding::cannot_tell("other-unreadable", self.name(), message));
        }
        if self.is_of_one_log(log, &shown)? {
            return Ok(Some(shown.size));
        }
        let (ours, theirs) = (log.checkpoint.size, shown.size);
        let message = if ours == theirs {
            format!("it was shown another log: the log signed two trees of {ours} seals with different roots")
        } else {
            format!(
                "it was shown another log: its {theirs} seals and the {ours} shown here do not belong together"
            )
        };
        let split = Finding::alarm("split", self.name(), message)
            .with("checkpoint-here", log.place.note.as_str())
            .with("checkpoint-other", text);
        let (less, more) = (ours.min(theirs), ours.max(theirs));
        Err(if less == more { split } else { split.with("beginning.json", log.tiles.beginning(less, more)?) })
    }

    fn is_of_one_log(&self, log: &Log<'_>, shown: &Checkpoint) -> Step<bool> {
        let ours = &log.checkpoint;
        if shown.size == ours.size {
            return Ok(shown.root == ours.root);
        }
        if shown.size < ours.size {
            return log.tiles.extends(shown, ours);
        }
        let mut last = None;
        for tried in 0..TRIES {
            if tried > 0 {
                thread::sleep(PAUSE);
            }
            match log.tiles.extends(ours, shown) {
                Err(finding) if finding.code == "file-missing" => last = Some(finding),
                told => return told,
            }
        }
        let message = format!(
            "it has seen {} seals, and the ledger shows {} and not what came after",
            shown.size, ours.size
        );
        let last = last.map(|finding| finding.record).unwrap_or_default();
        Err(Finding::cannot_tell("other-ahead", self.name(), format!("{message} ({last} is not there)")))
    }
}

/// The checkpoint in a note, where one of the policy's logs signed it.
fn signed(policy: &Policy, text: &str) -> Option<Checkpoint> {
    let note = SignedNote::parse(text).ok()?;
    let checkpoint = Checkpoint::parse(&note.text).ok()?;
    let keys: Vec<_> = policy.logs().iter().filter(|log| log.name() == checkpoint.origin).cloned().collect();
    log_signatures(&keys, &note).ok()?;
    Some(checkpoint)
}

fn get(http: &Http, url: &str) -> Result<Option<Vec<u8>>, String> {
    match http.get(url, None) {
        Ok(Answer { status: 200, body }) => Ok(Some(body)),
        Ok(Answer { status: 404, .. }) => Ok(None),
        Ok(Answer { status, .. }) => Err(format!("the answer is HTTP {status}")),
        Err(error) => Err(format!("no answer: {error}")),
    }
}
