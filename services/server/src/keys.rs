//! The ledger's own keys, each in a file of its own under `DIR/keys`: 64 hex digits, readable by the owner alone. While one
//! takes the place of another, both are there: `log.key` and `log.next.key`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use trialseal_record::values::KeyPurpose;
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_seal::hash::Hash;
use zeroize::Zeroizing;

use crate::files;

/// The seed of an Ed25519 key.
pub(crate) type Seed = Zeroizing<[u8; 32]>;

/// Where keys are kept.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("keys")
}

/// Makes `DIR/keys`, closed to others.
pub(crate) fn make_folder(dir: &Path) -> Result<PathBuf> {
    let folder = folder(dir);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    Ok(folder)
}

/// What a key is for, as the files and commands say it.
pub(crate) fn name(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Log => "log",
        KeyPurpose::Export => "export",
    }
}

/// The file of the key that is in use.
pub(crate) fn file(dir: &Path, purpose: KeyPurpose) -> PathBuf {
    folder(dir).join(format!("{}.key", name(purpose)))
}

/// The file of the key that is going to take its place.
pub(crate) fn successor(dir: &Path, purpose: KeyPurpose) -> PathBuf {
    folder(dir).join(format!("{}.next.key", name(purpose)))
}

/// The seeds of the key in use and, where there is one, of its successor.
pub(crate) fn seeds(dir: &Path, purpose: KeyPurpose) -> Result<Vec<Seed>> {
    let next = Some(successor(dir, purpose)).filter(|next| next.exists());
    std::iter::once(file(dir, purpose)).chain(next).map(|file| seed(&file)).collect()
}

/// Puts the successor in the place of the key in use, which is gone from the folder then. At once: a crash leaves both or
/// the successor alone.
pub(crate) fn succeed(dir: &Path, purpose: KeyPurpose) -> Result<()> {
    let (next, file) = (successor(dir, purpose), file(dir, purpose));
    let renamed = fs::rename(&next, &file).and_then(|()| File::open(folder(dir))?.sync_all());
    renamed.with_context(|| format!("cannot put {} in the place of {}", next.display(), file.display()))
}

/// Reads a key's seed.
pub(crate) fn seed(file: &Path) -> Result<Seed> {
    let text = fs::read_to_string(file).with_context(|| {
        format!("cannot read the key {}: put it back from where its copy is kept", file.display())
    })?;
    parse(file, &Zeroizing::new(text))
}

/// Makes a key where there is none yet. Where two processes do so at once, both go on with one of the two.
pub(crate) fn make_missing(file: &Path) -> Result<()> {
    if file.exists() { Ok(()) } else { make(file) }
}

fn parse(file: &Path, text: &str) -> Result<Seed> {
    let mode = fs::metadata(file)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("the key {} can be read by others: run chmod 600 on it", file.display());
    }
    let seed: Hash = text
        .trim_end()
        .parse()
        .map_err(|_| anyhow::anyhow!("{} is no key of 64 hex digits", file.display()))?;
    Ok(Zeroizing::new(*seed.as_bytes()))
}

fn make(file: &Path) -> Result<()> {
    let mut seed = Seed::default();
    SystemIds.fill(seed.as_mut_slice());
    let text = Zeroizing::new(format!("{}\n", Hash::from_bytes(*seed)));
    files::create(file, text.as_bytes(), 0o600)
        .with_context(|| format!("cannot write the key {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_start_at_once_share_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = make_folder(dir.path()).unwrap().join("log.key");
        let seeds: Vec<Seed> = std::thread::scope(|scope| {
            let starts = (0..8).map(|_| {
                scope.spawn(|| {
                    make_missing(&file).unwrap();
                    seed(&file).unwrap()
                })
            });
            let starts: Vec<_> = starts.collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(seeds.iter().all(|seed| *seed == seeds[0]));
        assert_eq!(fs::read_dir(folder(dir.path())).unwrap().count(), 1);
    }
}
