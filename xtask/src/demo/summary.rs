//! What a newcomer is told at the end.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::plan::{PARTICIPANTS, TRIAL};
use crate::service::{Head, LOGIN, Verdict};

/// What was done, and what it shows.
pub(super) struct Summary {
    pub(super) head: Head,
    pub(super) checkpoint: String,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) took: Duration,
    pub(super) address: String,
    pub(super) tokens_path: PathBuf,
    pub(super) account_path: PathBuf,
    pub(super) folder: PathBuf,
}

impl Summary {
    /// Whether everything was verified.
    pub(super) fn is_sound(&self) -> bool {
        self.verdicts.iter().all(Verdict::is_sound)
    }
}

impl Summary {
    /// Who has signed the checkpoint besides the log itself.
    fn witnesses(&self, origin: &str) -> Vec<&str> {
        let signatures = self.checkpoint.lines().filter_map(|line| line.strip_prefix("— "));
        let names = signatures.filter_map(|line| line.split(' ').next());
        names.filter(|name| *name != origin).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.checkpoint.lines();
        let mut line = || lines.next().unwrap_or("?");
        let (origin, size, root) = (line(), line(), line());
        let outcome = if self.is_sound() { "and verified" } else { "but NOT everything could be verified" };
        writeln!(f, "\nThe demonstration trial {TRIAL} is recorded, sealed {outcome}.\n")?;
        writeln!(
            f,
            "  Events      {} of {PARTICIPANTS} generated participants at 3 sites; none is a real person",
            self.head.head.size
        )?;
        writeln!(
            f,
            "  Seal        number {} covers all of them, made {}",
            self.head.seal.seal, self.head.seal.time
        )?;
        writeln!(f, "  Checkpoint  {origin}, {size} seals, root {root}")?;
        let witnesses = self.witnesses(origin);
        let named = if witnesses.is_empty() { "nobody".to_owned() } else { witnesses.join(", ") };
        writeln!(f, "  Witnesses   {named}")?;
        writeln!(f, "  Time        {:.1} s from start to here\n", self.took.as_secs_f64())?;
        writeln!(f, "What trialseal-verify said, which trusts nothing but trust.txt:\n")?;
        for verdict in &self.verdicts {
            let word = match verdict.code {
                Some(0) => "sound",
                Some(1) => "NOT SOUND",
                _ => "CANNOT TELL",
            };
            writeln!(f, "  {:<13} {word}", verdict.what)?;
            if !verdict.is_sound() {
                writeln!(f, "{}", verdict.words)?;
            }
        }
        f.write_str(PROVEN)?;
        f.write_str(if witnesses.is_empty() { UNWITNESSED } else { WITNESSED })?;
        writeln!(f, "  Files       {}", self.folder.display())?;
        writeln!(f, "  Tokens      {} (one a role; keep them to yourself)", self.tokens_path.display())?;
        writeln!(
            f,
            "  Log in      {}/login as {LOGIN}, with the password in {}",
            self.address,
            self.account_path.display()
        )?;
        writeln!(f, "  Open        {}/", self.address)
    }
}

const PROVEN: &str = "
Shown: the dataset is the whole record of the trial as of that seal, nothing left out and nothing changed; the event
in receipt.json is part of it; every entry, tile and note of the published log fits its checkpoint.
Not shown: that what was recorded is true, or that everything that happened was recorded.
";

const WITNESSED: &str = "The witnesses have cosigned the log, each of them only as long as it grew: they vouch for the times, and for others
seeing the same log. Here they run on your machine, for show; they count where people run them who do not depend on
each other or on the ledger.

";

const UNWITNESSED: &str = "And as no independent witness signs this log, nobody but the service vouches for the times, or for others seeing the
same log. It was begun without witnesses, which cannot be changed; another folder begins one with them (--dir).

";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Seal, TrialHead};

    fn summary(code: i32) -> Summary {
        Summary {
            head: Head {
                head: TrialHead { size: 1234 },
                seal: Seal { seal: 14, time: "2026-01-01T00:00:00.000000Z".into() },
            },
            checkpoint: "demo.example/log\n15\nAAAA\n\n— demo.example/log AAAA\n— localhost/w1 AAAA\n".into(),
            verdicts: vec![Verdict { what: "dataset.zip".into(), code: Some(code), words: "line 7".into() }],
            took: Duration::from_secs(12),
            address: "http://127.0.0.1:8480".into(),
            account_path: "var/demo/account.json".into(),
            tokens_path: "var/demo/tokens.json".into(),
            folder: "var/demo".into(),
        }
    }

    #[test]
    fn a_sound_demonstration_says_what_it_shows_and_what_not() {
        let text = summary(0).to_string();
        let wanted = [
            "1234 of 60",
            "number 14",
            "demo.example/log, 15 seals",
            "12.0 s",
            "sound",
            "Witnesses   localhost/w1\n",
            "Not shown",
            "8480/",
        ];
        for part in wanted {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("NOT"));
    }

    #[test]
    fn what_is_not_sound_is_said_in_the_verifiers_words() {
        let not_sound = summary(1);
        assert!(!not_sound.is_sound());
        assert!(not_sound.to_string().contains("NOT SOUND\nline 7"));
        assert!(summary(2).to_string().contains("CANNOT TELL"));
    }
}
