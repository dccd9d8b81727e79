//! Measures whether recording, opening, sealing and proving cost the same however large a record is: a record of several
//! trials and many participants is grown at full speed, and single steps are measured when it is small and when it has
//! its size. Then, in a ledger of its own, what a seal takes in which all of many trials changed.
//!
//! `cargo xtask bench scale` runs it: `scale FOLDER EVENTS TRIALS [POSTGRES-URL]`. The folder has to be empty. It prints
//! one line of JSON.

#[path = "../in_process/mod.rs"]
mod in_process;

mod cpu;
mod grow;
mod look;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use trialseal_store::Progress;

use self::cpu::Meter;
use self::grow::{Pace, TRIALS, grow, trial};
use self::in_process::{Place, three_items};

/// Events before the first that count: connections, plans, caches, and everybody's first key.
const WARM_UP: u64 = 30_000;
/// Events over which the pace is taken, first and last.
const SMALL: u64 = 100_000;
/// Parts of the whole course whose paces are told.
const PARTS: u64 = 10;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, events, trials, url) = match arguments.as_slice() {
        [folder, events, trials] => (folder, events, trials, None),
        [folder, events, trials, url] => (folder, events, trials, Some(url.as_str())),
        _ => bail!("usage: scale FOLDER EVENTS TRIALS [POSTGRES-URL]"),
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    ensure!(fs::read_dir(folder)?.next().is_none(), "{} is not empty", folder.display());
    let events: u64 = events.parse().context("EVENTS is no number")?;
    let trials: usize = trials.parse().context("TRIALS is no number")?;
    ensure!(events >= 3 * SMALL && trials > 0, "it takes {} events and one trial at least", 3 * SMALL);

    let mut meter = Meter::new(url).await?;
    let many = look::many_trials(&Place::new(folder.join("trials"), url)?, &mut meter, trials).await?;
    eprintln!("{}", json!(many));
    let place = Place::new(folder.join("record"), url)?;
    make(&place).await?;
    let course = grow(&place, &mut meter, WARM_UP + SMALL).await?;
    let first = Pace::between(&course, WARM_UP, WARM_UP + SMALL)?;
    let small = look::steps(&place, &mut meter).await?;
    eprintln!("{}", json!({"first": first, "small": small}));
    let course = grow(&place, &mut meter, events).await?;
    let last = Pace::between(&course, events - SMALL, events)?;
    // Of a small record not every part has two publications: then it has no pace.
    let parts = (0..PARTS).map(|part| {
        let begin = course.first().map_or(0, |published| published.position);
        let at = |part: u64| begin + (events - begin) / PARTS * part;
        Pace::between(&course, at(part), at(part + 1))
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let full = look::steps(&place, &mut meter).await?;
    let printed = json!({
        "events": events, "first": first, "last": last, "parts": parts, "small": small, "full": full,
        "manyTrials": many,
    });
    println!("{printed}");
    Ok(())
}

/// Makes the ledger and its trials.
async fn make(place: &Place) -> Result<()> {
    let store = place.connect().await?;
    let ledger = place.open_ledger(&store, &Arc::new(Progress::new()), three_items()?).await?;
    for number in 0..TRIALS {
        ledger.register(&trial(number)?).await?;
    }
    Ok(())
}
