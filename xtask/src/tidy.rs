//! The rules of the repository, checked by a program: who may depend on whom, what every crate and file has to have, and
//! what must not be in any. They run as `cargo xtask tidy` and as a test.
//!
//! To add a rule: a function in one of the modules below that answers with one sentence a breach, and a line in [`RULES`].

mod crates;
mod files;
mod metadata;
mod papers;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

use metadata::Package;

/// A rule: what it asks, and the function that finds the breaches.
type Rule = (&'static str, fn(&Tree) -> Vec<String>);

const RULES: &[Rule] = &[
    ("crates depend on each other as the architecture says", crates::dependencies),
    ("the verifier has no network, database or async runtime in its tree", crates::verifier_tree),
    ("every crate says what it is", crates::introductions),
    ("both engines have the same migrations", files::migrations),
    ("nothing is left for later, and nothing for debugging", files::forbidden_words),
    ("no file is too long", files::lengths),
    ("no path of a particular machine stands in a file", files::machine_paths),
    ("what documents link to is there", papers::links),
    ("files and tests that compliance.md names are there", papers::named_tests),
    ("every setting is documented", papers::settings),
];

/// The repository as the rules see it.
struct Tree {
    root: PathBuf,
    files: BTreeSet<PathBuf>,
    /// Our own packages.
    packages: Vec<Package>,
    /// Everything that the verifier is built from, as it is and with its feature `http`.
    verifier_crates: [BTreeSet<String>; 2],
}

impl Tree {
    fn open(root: &Path) -> Result<Self> {
        Ok(Self {
            root: root.to_path_buf(),
            files: files(root)?,
            packages: metadata::packages(root)?,
            verifier_crates: [crates::verifier_crates(root, "")?, crates::verifier_crates(root, "http")?],
        })
    }

    /// The text of a file, if it is text.
    fn text(&self, file: &Path) -> Option<String> {
        String::from_utf8(fs::read(self.root.join(file)).ok()?).ok()
    }

    /// The text files for which `is_wanted` holds.
    fn texts(&self, is_wanted: impl Fn(&Path) -> bool) -> impl Iterator<Item = (&Path, String)> {
        let wanted = self.files.iter().map(PathBuf::as_path).filter(move |file| is_wanted(file));
        wanted.filter_map(|file| Some((file, self.text(file)?)))
    }
}

/// Checks every rule, and says what breaks one.
pub(crate) fn run(root: &Path) -> Result<ExitCode> {
    let tree = Tree::open(root)?;
    let mut is_tidy = true;
    for (asks, check) in RULES {
        let breaches = check(&tree);
        println!("{} {asks}", if breaches.is_empty() { "ok    " } else { "BROKEN" });
        for breach in &breaches {
            println!("         {breach}");
        }
        is_tidy &= breaches.is_empty();
    }
    Ok(if is_tidy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files under version control, or about to be: paths from the root.
pub(crate) fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let listed = output(
        Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]),
        root,
    )?;
    // A file that was removed but not yet committed is listed, too.
    Ok(listed.split('\0').map(PathBuf::from).filter(|file| root.join(file).is_file()).collect())
}

fn extension_is(file: &Path, extensions: &[&str]) -> bool {
    file.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
}

/// What a command printed.
fn output(command: &mut Command, folder: &Path) -> Result<String> {
    let output =
        command.current_dir(folder).output().with_context(|| format!("{command:?} cannot be run"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {}", complaint.trim());
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository of these files and no packages.
    pub(super) fn tree_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = files.iter().map(|(file, _)| PathBuf::from(file)).collect();
        let root = dir.path().to_path_buf();
        let tree = Tree { root, files, packages: Vec::new(), verifier_crates: Default::default() };
        (dir, tree)
    }

    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::open(crate::repository()).unwrap();
        let breaches: Vec<String> = RULES.iter().flat_map(|(_, check)| check(&tree)).collect();
        assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    }
}
