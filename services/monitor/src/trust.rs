//! First trust: getting a ledger's policy and export keys, comparing them with what other places say, and keeping them.
//!
//! What is kept (`trust.txt`) is never replaced by itself: a ledger that names other keys is either changing them, or is
//! another one. Only a fingerprint from somebody else decides that.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result, bail, ensure};
use trialseal_seal::hash::Hash;
use trialseal_seal::trust::Trust;

use crate::finding::{Finding, Step};
use crate::place::{Answer, Http, Place};
use crate::state::Folder;

/// The file in the monitor's folder.
const TRUST: &str = "trust.txt";
/// Where a ledger offers the text.
const PATH: &str = "v1/trust";

/// What somebody knows of a ledger's keys beside the ledger.
#[derive(Debug)]
pub(crate) struct Others {
    /// Files or addresses of the same text.
    pub(crate) places: Vec<String>,
    /// The fingerprint as somebody else gave it.
    pub(crate) fingerprint: Option<Hash>,
    /// Reads the addresses.
    pub(crate) http: Http,
}

/// What became of it, in words for people. Wrong is what two places say differently.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Kept(String),
    Wrong(String),
}

/// Takes the text from a ledger, holds it against the others' and against what is kept, and keeps it.
///
/// # Errors
/// Where something cannot be read or written.
pub(crate) fn take(ledger: &dyn Place, folder: &Folder, others: &Others) -> Result<Outcome> {
    let offered = offered(ledger)?;
    let fingerprint = offered.fingerprint();
    if let Some(expected) = others.fingerprint.filter(|expected| *expected != fingerprint) {
        let message = format!("The ledger's keys have the fingerprint {fingerprint}, and not {expected}.");
        return Ok(Outcome::Wrong(message));
    }
    for place in &others.places {
        let theirs = read(&others.http, place)?;
        if theirs.fingerprint() != fingerprint {
            let message = format!("{place} names other keys than the ledger.\n{}", unlike(&theirs, &offered));
            return Ok(Outcome::Wrong(message));
        }
    }
    let known = match kept(folder)? {
        Some(kept) if kept.fingerprint() == fingerprint => {
            return Ok(Outcome::Kept(format!("As they were kept before. Fingerprint {fingerprint}")));
        }
        Some(kept) if others.fingerprint.is_none() => {
            let message = format!(
                "The ledger names other keys than before; nothing was changed here.\n{}If the operator announced this, get \
                 the new fingerprint from another source than this ledger, and give it with --fingerprint.",
                unlike(&kept, &offered)
            );
            return Ok(Outcome::Wrong(message));
        }
        Some(kept) => {
            folder.write(&format!("trust-{}.txt", kept.fingerprint()), kept.to_string().as_bytes())?;
            true
        }
        None => others.fingerprint.is_some() || !others.places.is_empty(),
    };
    folder.write(TRUST, offered.to_string().as_bytes())?;
    let mut message = format!("Kept in {}.\nFingerprint {fingerprint}", folder.dir().join(TRUST).display());
    if !known {
        message.push_str(
            "\nWarning: so far only the ledger itself says that these keys are its own. Compare the fingerprint with one from \
             another source: a letter, the trial's registration, somebody who has had it for longer.",
        );
    }
    Ok(Outcome::Kept(message))
}

/// Holds what a ledger offers now against what is trusted. A ledger that offers no such text is left alone.
pub(crate) fn compare(ledger: &dyn Place, trusted: &Trust) -> Step<()> {
    let differs = |message: String| Finding::cannot_tell("other-keys", PATH, message);
    let answer = ledger.get(PATH).map_err(|why| Finding::cannot_tell("other-keys", PATH, why.to_string()))?;
    if answer.status != 200 {
        return Ok(());
    }
    let offered = Trust::parse(&answer.body).map_err(|refused| differs(refused.to_string()))?;
    if offered.fingerprint() == trusted.fingerprint() {
        return Ok(());
    }
    let message = format!(
        "the ledger names other keys than you trust (fingerprint {}): ask its operator, then `trialseal-monitor trust`",
        offered.fingerprint()
    );
    Err(differs(message).with("trust-offered.txt", offered.to_string()))
}

fn offered(ledger: &dyn Place) -> Result<Trust> {
    let answer = ledger.get(PATH).context("the ledger does not answer")?;
    ensure!(answer.status == 200, "the ledger answers /{PATH} with HTTP {}", answer.status);
    Trust::parse(&answer.body).context("what the ledger offers at /v1/trust cannot be used")
}

fn kept(folder: &Folder) -> Result<Option<Trust>> {
    let path = folder.dir().join(TRUST);
    match fs::read(&path) {
        Ok(bytes) => {
            let trust = Trust::parse(&bytes);
            Ok(Some(trust.with_context(|| format!("{} was damaged", path.display()))?))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn read(http: &Http, place: &str) -> Result<Trust> {
    let bytes = if place.starts_with("http://") || place.starts_with("https://") {
        match http.get(place, None).with_context(|| format!("{place} does not answer"))? {
            Answer { status: 200, body } => body,
            Answer { status, .. } => bail!("{place} answers with HTTP {status}"),
        }
    } else {
        fs::read(place).with_context(|| format!("cannot read {place}"))?
    };
    Trust::parse(&bytes).with_context(|| format!("{place} holds no trust text"))
}

/// What two texts do not have in common, a line each.
fn unlike(there: &Trust, here: &Trust) -> String {
    let there_alone = here.missing(there).into_iter().map(|line| format!("  only there:     {line}\n"));
    let here_alone = there.missing(here).into_iter().map(|line| format!("  only the ledger: {line}\n"));
    there_alone.chain(here_alone).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use trialseal_runtime::client::Authorities;
    use trialseal_seal::dataset::ExportSigner;
    use trialseal_seal::note::{KeyKind, Signer};
    use trialseal_seal::policy::Policy;

    use super::*;
    use crate::place::Unreachable;

    const ORIGIN: &str = "ledger.example.org/main";

    /// A ledger that answers with this text alone.
    struct Offers(String);

    impl Place for Offers {
        fn get(&self, path: &str) -> Result<Answer, Unreachable> {
            let found = path == PATH;
            Ok(Answer { status: if found { 200 } else { 404 }, body: self.0.clone().into_bytes() })
        }
    }

    fn text(log_seed: u8) -> Trust {
        let log = Signer::new(ORIGIN, KeyKind::Ed25519, &[log_seed; 32]).unwrap().verifier_key();
        let export = ExportSigner::new(ORIGIN, &[9; 32]).unwrap().export_key();
        Trust::new(&Policy::text_for_log(&log), vec![export]).unwrap()
    }

    fn take_from(trust: &Trust, dir: &TempDir, others: &Others) -> Result<Outcome> {
        take(&Offers(trust.to_string()), &Folder::take(dir.path()).unwrap(), others)
    }

    fn nobody() -> Others {
        Others { places: Vec::new(), fingerprint: None, http: Http::new(&Authorities::public()) }
    }

    fn fingerprint(trust: &Trust) -> Others {
        Others { fingerprint: Some(trust.fingerprint()), ..nobody() }
    }

    fn is_kept(trust: &Trust, dir: &TempDir) -> bool {
        fs::read_to_string(dir.path().join(TRUST)).unwrap_or_default() == trust.to_string()
    }

    #[test]
    fn first_use_is_kept_with_a_warning_and_never_replaced_by_itself() {
        let (dir, trust, other) = (tempfile::tempdir().unwrap(), text(1), text(2));
        let Outcome::Kept(said) = take_from(&trust, &dir, &nobody()).unwrap() else { panic!() };
        assert!(said.contains("Warning") && said.contains(&trust.fingerprint().to_string()), "{said}");
        let Outcome::Kept(said) = take_from(&trust, &dir, &nobody()).unwrap() else { panic!() };
        assert!(said.contains("before") && !said.contains("Warning"), "{said}");

        let Outcome::Wrong(said) = take_from(&other, &dir, &nobody()).unwrap() else { panic!() };
        assert!(
            said.contains("only there") && said.contains("only the ledger") && is_kept(&trust, &dir),
            "{said}"
        );
        // The old fingerprint does not let new keys in; the new one does, and what was trusted stays readable.
        assert!(matches!(take_from(&other, &dir, &fingerprint(&trust)).unwrap(), Outcome::Wrong(_)));
        assert!(is_kept(&trust, &dir));
        assert!(matches!(take_from(&other, &dir, &fingerprint(&other)).unwrap(), Outcome::Kept(_)));
        assert!(is_kept(&other, &dir));
        let old = fs::read(dir.path().join(format!("trust-{}.txt", trust.fingerprint()))).unwrap();
        assert_eq!(old, trust.to_string().as_bytes());
    }

    #[test]
    fn a_second_place_has_to_say_the_same() {
        let (dir, trust, other) = (tempfile::tempdir().unwrap(), text(1), text(2));
        let file = dir.path().join("second");
        let second = || Others { places: vec![file.to_str().unwrap().to_owned()], ..nobody() };
        fs::write(&file, other.to_string()).unwrap();
        assert!(matches!(take_from(&trust, &dir, &second()).unwrap(), Outcome::Wrong(_)));
        fs::write(&file, "nothing of the kind").unwrap();
        assert!(take_from(&trust, &dir, &second()).is_err());
        assert!(!dir.path().join(TRUST).exists());
        fs::write(&file, trust.to_string()).unwrap();
        let Outcome::Kept(said) = take_from(&trust, &dir, &second()).unwrap() else { panic!() };
        assert!(!said.contains("Warning") && is_kept(&trust, &dir), "{said}");
    }

    #[test]
    fn a_ledger_that_names_other_keys_is_told_of() {
        let (trust, other) = (text(1), text(2));
        assert!(compare(&Offers(trust.to_string()), &trust).is_ok());
        let finding = compare(&Offers(other.to_string()), &trust).unwrap_err();
        assert_eq!((finding.code.as_str(), finding.is_alarm()), ("other-keys", false));
        assert!(compare(&Offers("no keys".to_owned()), &trust).is_err());
    }
}
