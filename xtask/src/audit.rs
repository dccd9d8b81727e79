//! Whether the tests of the record would notice if one of its rules were not kept: each place that refuses is switched off
//! in turn, in a copy of the repository, and the tests of the record have to fail. What they let pass is named.
//!
//! It says nothing of conditions that are wrong in part, nor of the places that refuse elsewhere than in the record.

mod places;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use places::{Place, What};

/// Where the rules are asked.
const SOURCE: &str = "shared/record/src";

/// The table of the rules, in that folder.
const TABLE: &str = "rules.rs";

/// What the audit can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the places in whose line of the report this stands, such as `participant.rs` or `consent.in-force`
    only: Option<String>,
}

/// What the tests said of a place that was switched off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Noticed,
    Missed,
    /// It was not even built, so nothing is known.
    NotBuilt,
}

/// Switches off one place after the other, and says which ones no test notices.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let began = Instant::now();
    let copy = Copy::of(root)?;
    ensure!(copy.judge()? == Verdict::Missed, "the tests of the record fail as they are; mend them first");
    let rules = places::rules(&copy.text(&Path::new(SOURCE).join(TABLE))?);
    let mut tried: Vec<(What, Verdict)> = Vec::new();
    for file in source(root)? {
        let text = copy.text(&file)?;
        for place in places::places(&text, &rules) {
            let title = title(&file, &place);
            if options.only.as_ref().is_some_and(|only| !title.contains(only)) {
                continue;
            }
            let verdict = copy.judge_without(&file, &text, &place)?;
            println!("{} {title}", verdict.word());
            tried.push((place.what, verdict));
        }
    }
    ensure!(!tried.is_empty(), "there is no such place");
    println!("\n{} {} s", summary(&tried), began.elapsed().as_secs());
    let is_sound = tried.iter().all(|(_, verdict)| *verdict == Verdict::Noticed);
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Verdict {
    /// At the beginning of a line of the report.
    fn word(self) -> &'static str {
        match self {
            Self::Noticed => "ok       ",
            Self::Missed => "MISSED   ",
            Self::NotBuilt => "NOT BUILT",
        }
    }
}

fn title(file: &Path, place: &Place) -> String {
    let what = match &place.what {
        What::Rule(id) => id.clone(),
        What::Call(name) => format!("{name}(…)"),
    };
    format!("{}:{} {what}", file.display(), place.line)
}

fn summary(tried: &[(What, Verdict)]) -> String {
    let count = |verdict| tried.iter().filter(|(_, found)| *found == verdict).count();
    let rules = tried.iter().filter(|(what, _)| matches!(what, What::Rule(_)));
    let places = rules.clone().count();
    let rules = rules.map(|(what, _)| what).collect::<BTreeSet<_>>().len();
    format!(
        "{places} places of {rules} rules and {} calls of checks were switched off: {} noticed, {} missed, {} not built.",
        tried.len() - places,
        count(Verdict::Noticed),
        count(Verdict::Missed),
        count(Verdict::NotBuilt),
    )
}

/// The files of the record that refuse, from the root.
fn source(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in crate::tidy::files(root)?.into_iter().filter(|file| file.starts_with(SOURCE)) {
        let refuses = fs::read_to_string(root.join(&file))?.contains("rules::");
        if refuses && !file.ends_with(TABLE) {
            files.push(file);
        }
    }
    Ok(files)
}

/// A copy of the repository, and what is built of it. Both stay for the next audit, of which little is then left to build.
struct Copy {
    tree: PathBuf,
    built: PathBuf,
}

impl Copy {
    fn of(root: &Path) -> Result<Self> {
        let folder = root.join("target/audit");
        let copy = Self { tree: folder.join("tree"), built: folder.join("built") };
        if copy.tree.exists() {
            fs::remove_dir_all(&copy.tree)?;
        }
        for file in crate::tidy::files(root)? {
            let to = copy.tree.join(&file);
            fs::create_dir_all(to.parent().unwrap_or(&copy.tree))?;
            fs::copy(root.join(&file), &to)
                .with_context(|| format!("{} cannot be copied", file.display()))?;
        }
        Ok(copy)
    }

    fn text(&self, file: &Path) -> Result<String> {
        fs::read_to_string(self.tree.join(file)).with_context(|| format!("{} cannot be read", file.display()))
    }

    fn judge_without(&self, file: &Path, text: &str, place: &Place) -> Result<Verdict> {
        let path = self.tree.join(file);
        fs::write(&path, place.switched_off(text))?;
        let verdict = self.judge();
        fs::write(&path, text)?;
        verdict
    }

    fn judge(&self) -> Result<Verdict> {
        Ok(if !self.test(&["--no-run"])? {
            Verdict::NotBuilt
        } else if self.test(&[])? {
            Verdict::Missed
        } else {
            Verdict::Noticed
        })
    }

    /// Whether the tests pass; what they say is of no interest.
    fn test(&self, how: &[&str]) -> Result<bool> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "test",
            "--locked",
            "--offline",
            "--quiet",
            "-p",
            "trialseal-record",
            "--test",
            "record",
        ]);
        cargo.args(how).current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.built);
        // The tests take no time, so whatever makes the build quicker is worth it.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
        Ok(cargo.output().context("cargo cannot be started")?.status.success())
    }
}
