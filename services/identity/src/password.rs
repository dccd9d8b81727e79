//! Passwords: hashed with Argon2id under the parameters that OWASP's Password Storage Cheat Sheet gives first for it
//! (19 MiB, two passes, one lane), a few at a time, away from the threads that serve requests.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trialseal_runtime::ids::Ids;
use zeroize::Zeroizing;

/// Memory of one hash, KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Bytes of salt.
const SALT_BYTES: usize = 16;
/// Hashes that are computed at a time: bounds memory, and leaves a processor to the record.
const AT_ONCE: usize = 2;
/// How long a login waits for its turn among them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fewest characters of a password: the only factor (NIST SP 800-63B-4 section 3.1.1.2 asks for 15 where nothing else
/// bounds guessing; here attempts are bounded, too).
const MIN_CHARACTERS: usize = 12;
/// Most bytes of a password.
pub(crate) const MAX_BYTES: usize = 256;

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of a password that nobody has: checked where there is no account, so that it takes as long.
    nobody: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many are being checked.
    #[error("too many passwords are being checked")]
    Busy,
    /// A hash could not be computed or read.
    #[error("a password cannot be hashed")]
    Failed,
}

/// A password that cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A password has 12 characters at least, and 256 bytes at the most.")]
pub(crate) struct TooWeak;

/// Whether a password fits, and the hash to store instead where the parameters have changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) fits: bool,
    pub(crate) renewed: Option<String>,
}

/// Refuses passwords that are too short.
pub(crate) fn check_strength(password: &str) -> Result<(), TooWeak> {
    let fits = password.len() <= MAX_BYTES && password.chars().count() >= MIN_CHARACTERS;
    if fits { Ok(()) } else { Err(TooWeak) }
}

impl Passwords {
    pub(crate) fn new(ids: &dyn Ids) -> Self {
        let mut random = [0; 32];
        ids.fill(&mut random);
        // Where it cannot be made, nobody can log in either.
        let nobody = hash(&random, &salt(ids)).unwrap_or_default();
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), nobody }
    }

    /// The hash of a password, in the PHC string format.
    pub(crate) async fn hash(
        &self,
        password: Zeroizing<String>,
        ids: &dyn Ids,
    ) -> Result<String, PasswordError> {
        let (turn, salt) = (self.turn().await?, salt(ids));
        let hashed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hash(password.as_bytes(), &salt)
        });
        let hashed = hashed.await;
        hashed.ok().flatten().ok_or(PasswordError::Failed)
    }

    /// Whether a password fits a stored hash; without one it never does, and takes as long to find out.
    pub(crate) async fn check(
        &self,
        password: Zeroizing<String>,
        stored: Option<&str>,
        ids: &dyn Ids,
    ) -> Result<Checked, PasswordError> {
        let (turn, salt) = (self.turn().await?, salt(ids));
        let (known, stored) = (stored.is_some(), stored.unwrap_or(&self.nobody).to_owned());
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let stored = PasswordHash::new(&stored).ok()?;
            // Asked for whoever it is, and only then looked whether anybody has it.
            let verified = match hasher()?.verify_password(password.as_bytes(), &stored) {
                Ok(()) => true,
                Err(Error::PasswordInvalid) => false,
                Err(_) => return None,
            };
            let fits = known && verified;
            // Only whoever knows the password finds out that this takes longer.
            let renewed = (fits && is_outdated(&stored)).then(|| hash(password.as_bytes(), &salt)).flatten();
            Some(Checked { fits, renewed })
        });
        checked.await.ok().flatten().ok_or(PasswordError::Failed)
    }

    /// A turn, which whoever computes keeps until that is done: who no longer waits for the answer gives nothing back.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(PasswordError::Busy)
    }
}

fn hasher() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8], salt: &[u8]) -> Option<String> {
    hasher()?.hash_password_with_salt(password, salt).ok().map(|hash| hash.to_string())
}

fn salt(ids: &dyn Ids) -> Arc<[u8]> {
    let mut salt = [0; SALT_BYTES];
    ids.fill(&mut salt);
    Arc::from(salt)
}

/// Whether a hash was made with other parameters than those of today.
fn is_outdated(stored: &PasswordHash) -> bool {
    let today = [MEMORY_KIB, PASSES, LANES];
    let same =
        Params::try_from(stored).is_ok_and(|made| [made.m_cost(), made.t_cost(), made.p_cost()] == today);
    !(same && stored.algorithm.as_str() == "argon2id")
}

#[cfg(test)]
mod tests {
    use trialseal_runtime::ids::SeededIds;

    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let ids = SeededIds::new(1);
        let passwords = Passwords::new(&ids);
        let stored = passwords.hash(secret("correct horse battery"), &ids).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash(secret("correct horse battery"), &ids).await.unwrap());
        let check = async |password, stored| passwords.check(secret(password), stored, &ids).await.unwrap();
        let right = check("correct horse battery", Some(stored.as_str())).await;
        assert_eq!(right, Checked { fits: true, renewed: None });
        assert!(!check("correct horse batterY", Some(stored.as_str())).await.fits);
        assert!(!check("correct horse battery", None).await.fits);
        assert_eq!(passwords.check(secret("x"), Some("no hash"), &ids).await, Err(PasswordError::Failed));
    }

    #[tokio::test]
    async fn a_password_is_checked_where_there_is_no_account_as_well() {
        let ids = SeededIds::new(1);
        let mut passwords = Passwords::new(&ids);
        assert!(!passwords.check(secret("correct horse battery"), None, &ids).await.unwrap().fits);
        // What cannot be checked is found out by whoever does check.
        passwords.nobody = passwords.nobody.replace("$argon2id$", "$argon2x$");
        assert_eq!(passwords.check(secret("x"), None, &ids).await, Err(PasswordError::Failed));
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_no_turn_to_others_before_it_is_over() {
        let ids = SeededIds::new(1);
        let passwords = Passwords::new(&ids);
        for _ in 0..AT_ONCE {
            let check = passwords.check(secret("x"), None, &ids);
            assert!(tokio::time::timeout(Duration::ZERO, check).await.is_err());
        }
        assert_eq!(passwords.turns.available_permits(), 0);
        while passwords.turns.available_permits() < AT_ONCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_is_renewed_by_whoever_knows_the_password() {
        let ids = SeededIds::new(1);
        let passwords = Passwords::new(&ids);
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8192, 1, 1, None).unwrap());
        let stored = weaker.hash_password_with_salt(b"correct horse battery", &[7; 16]).unwrap().to_string();
        let wrong = passwords.check(secret("wrong"), Some(&stored), &ids).await.unwrap();
        assert_eq!(wrong, Checked { fits: false, renewed: None });
        let right = passwords.check(secret("correct horse battery"), Some(&stored), &ids).await.unwrap();
        let renewed = right.renewed.unwrap();
        assert!(right.fits && renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
        let again = passwords.check(secret("correct horse battery"), Some(&renewed), &ids).await.unwrap();
        assert_eq!(again, Checked { fits: true, renewed: None });
    }

    #[test]
    fn short_passwords_are_refused() {
        for weak in ["", "eleven char", &"a".repeat(257)] {
            assert_eq!(check_strength(weak), Err(TooWeak));
        }
        assert_eq!(check_strength("twelve chars"), Ok(()));
    }
}
