//! Sealing over the in-memory store: what is published, and what every interruption leaves behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says by panicking what does not hold")]

#[path = "sealing/audit.rs"]
mod audit;
#[path = "sealing/bench.rs"]
mod bench;
#[path = "sealing/faults.rs"]
mod faults;
#[path = "sealing/folder.rs"]
mod folder;
#[path = "sealing/takeover.rs"]
mod takeover;
#[path = "sealing/trouble.rs"]
mod trouble;
#[path = "sealing/unreliable.rs"]
mod unreliable;
#[path = "sealing/watched.rs"]
mod watched;
#[path = "sealing/witness.rs"]
mod witness;
#[path = "sealing/witnessed.rs"]
mod witnessed;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use trialseal_seal::hash::{Hash, sha256};
use trialseal_sealer::SealError;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{Events, Seals};

use crate::bench::{Bench, ORIGIN, START};

const HEARTBEAT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_seal_covers_what_was_recorded_and_is_published_with_it() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 3).await;
    bench.append("B", 2).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    bench.append("A", 1).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    assert!(!sealer.round(&bench.shutdown).await.unwrap(), "nothing is new");
    let seals = bench.audit();
    assert_eq!(
        seals.iter().map(|seal| (seal.seal, seal.events, seal.trials)).collect::<Vec<_>>(),
        [(0, 5, 2), (1, 6, 2)]
    );
    assert_eq!(seals[0].prior, Hash::ZERO);
    assert_eq!(seals[1].prior, sha256(&bench.memory.note(1).await.unwrap().unwrap()));
    let rows = bench.memory.since_position(5, 1).await.unwrap();
    assert_eq!(rows[0].checked_header().unwrap().afterseal.unwrap().seal, 0);
}

#[tokio::test(start_paused = true)]
async fn silence_is_sealed_once_a_heartbeat() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    bench.pass(Duration::from_secs(59)).await;
    assert!(!sealer.round(&bench.shutdown).await.unwrap());
    bench.pass(Duration::from_secs(1)).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    assert!(!sealer.round(&bench.shutdown).await.unwrap());
    let seals = bench.audit();
    assert_eq!((seals.len(), seals[0].root), (2, seals[1].root));
    assert!(seals[1].time > seals[0].time);
}

#[tokio::test(start_paused = true)]
async fn silence_is_sealed_though_the_clock_was_put_back() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    bench.clock.set(START - 3_600_000_000);
    bench.pass(HEARTBEAT).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    // A start after that knows nothing but the newest seal's time, which is yet to come: it counts from then on.
    let mut sealer = bench.sealer().await.unwrap();
    assert!(!sealer.round(&bench.shutdown).await.unwrap());
    bench.pass(HEARTBEAT).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    let seals = bench.audit();
    assert!(seals.len() == 3 && seals.is_sorted_by_key(|seal| seal.time));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_no_process_ran_counts_as_silence() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    sealer.round(&bench.shutdown).await.unwrap();
    bench.clock.advance(40_000_000);
    let mut sealer = bench.sealer().await.unwrap();
    bench.pass(Duration::from_secs(19)).await;
    assert!(!sealer.round(&bench.shutdown).await.unwrap());
    bench.pass(Duration::from_secs(1)).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
}

#[tokio::test]
async fn full_tiles_replace_the_partial_ones_and_a_restart_goes_on() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    for n in 0..300 {
        bench.append(if n % 3 == 0 { "A" } else { "B" }, 2 + n % 5).await;
        sealer.round(&bench.shutdown).await.unwrap();
        if n % 50 == 49 || n == 254 || n == 255 {
            sealer = bench.sealer().await.unwrap();
        }
    }
    let seals = bench.audit();
    assert_eq!(seals.len(), 300);
    bench.assert_covers(seals.last().unwrap()).await;
    let files = bench.place.files.lock().unwrap();
    assert!(files.contains_key("tile/0/000") && files.contains_key("tile/entries/000"));
    assert!(
        !files
            .keys()
            .any(|path| path.starts_with("tile/0/000.p/") || path.starts_with("tile/entries/000.p/"))
    );
}

/// After a start the trees of trials that grow are read many at once, whatever their sizes, each as far as it goes.
#[tokio::test]
async fn a_restart_goes_on_with_the_trees_of_many_trials() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    let sizes = [1, 2, 255, 256, 257, 511, 512, 900];
    let mut trials: Vec<String> = (0..300).map(|n| format!("SMALL-{n}")).collect();
    for trial in &trials {
        bench.append(trial, 1).await;
    }
    for size in sizes {
        let trial = format!("OF-{size}");
        bench.append(&trial, size).await;
        trials.push(trial);
    }
    sealer.round(&bench.shutdown).await.unwrap();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("NEW", 3).await;
    for trial in &trials {
        bench.append(trial, 2).await;
    }
    sealer.round(&bench.shutdown).await.unwrap();
    let seals = bench.audit();
    assert_eq!((seals.len(), seals[1].trials), (2, 309));
    bench.assert_covers(&seals[1]).await;
}

#[tokio::test(start_paused = true)]
async fn every_failing_write_is_made_good_by_doing_it_again() {
    for (done, anew) in [(false, false), (false, true), (true, false), (true, true)] {
        for write in 0..12 {
            let mut bench = Bench::new();
            let mut sealer = bench.sealer().await.unwrap();
            for _ in 0..254 {
                bench.pass(HEARTBEAT).await;
                sealer.round(&bench.shutdown).await.unwrap();
            }
            bench.place.fail_at(write, done);
            for _ in 0..3 {
                bench.append("A", 2).await;
                if sealer.round(&bench.shutdown).await.is_err() {
                    if anew {
                        sealer = bench.sealer().await.unwrap();
                    } else {
                        sealer.round(&bench.shutdown).await.unwrap();
                    }
                }
            }
            let seals = bench.audit();
            assert_eq!(seals.len(), 257, "write {write}, done: {done}");
            assert_eq!(seals.last().unwrap().events, 6);
            bench.assert_covers(seals.last().unwrap()).await;
        }
    }
}

#[tokio::test]
async fn an_old_backup_is_refused() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    sealer.round(&bench.shutdown).await.unwrap();
    bench.append("A", 1).await;
    sealer.round(&bench.shutdown).await.unwrap();
    bench.store.switch(Arc::new(MemoryStore::new(ORIGIN)));
    let refused = bench.sealer().await.err().unwrap();
    assert!(matches!(refused, SealError::Behind { published: 2, recorded: 0 }), "{refused}");
    assert!(refused.is_final());
}

#[tokio::test]
async fn another_history_is_refused() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    sealer.round(&bench.shutdown).await.unwrap();
    let mut other = Bench::new();
    let mut sealer = other.sealer().await.unwrap();
    other.append("A", 2).await;
    sealer.round(&other.shutdown).await.unwrap();
    other.place = Arc::clone(&bench.place);
    let refused = other.sealer().await.err().unwrap();
    assert!(matches!(refused, SealError::Fork(_)), "{refused}");
}

/// A bench whose publication has lain idle while `seals` seals were recorded.
async fn with_backlog(seals: u64) -> Bench {
    let mut bench = Bench::new();
    bench.place.broken.store(true, Ordering::SeqCst);
    let mut sealer = bench.sealer().await.unwrap();
    for _ in 0..seals {
        bench.append("A", 1).await;
        assert!(matches!(sealer.round(&bench.shutdown).await, Err(SealError::Publication { .. })));
    }
    bench.place.broken.store(false, Ordering::SeqCst);
    bench
}

async fn recorded(bench: &Bench) -> u64 {
    bench.memory.head().await.unwrap().seal.map_or(0, |seal| seal.number + 1)
}

#[tokio::test(start_paused = true)]
async fn sealing_goes_on_while_publication_catches_up() {
    let mut bench = with_backlog(50).await;
    assert_eq!(recorded(&bench).await, 50);
    // Some five writes a seal, so that two seals fit in a second.
    *bench.place.delay.lock().unwrap() = Duration::from_millis(100);
    let mut sealer = bench.sealer().await.unwrap();
    let published = |bench: &Bench| bench.place.checkpoint().map_or(0, |checkpoint| checkpoint.size);
    let mut rounds = 0;
    while published(&bench) < recorded(&bench).await {
        let before = (published(&bench), recorded(&bench).await);
        bench.append("A", 1).await;
        let begun = tokio::time::Instant::now();
        assert!(sealer.round(&bench.shutdown).await.unwrap());
        assert!(begun.elapsed() < 2 * bench.settings.interval, "{:?}", begun.elapsed());
        assert_eq!(recorded(&bench).await, before.1 + 1);
        assert!(published(&bench) > before.0);
        rounds += 1;
    }
    assert!(rounds > 10);
    let seals = bench.audit();
    assert_eq!(seals.len() as u64, 50 + rounds);
    bench.assert_covers(seals.last().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_slower_than_the_seals_still_gets_one_a_round() {
    let mut bench = with_backlog(3).await;
    *bench.place.delay.lock().unwrap() = Duration::from_secs(5);
    let mut sealer = bench.sealer().await.unwrap();
    assert_eq!(bench.place.checkpoint().unwrap().size, 1);
    bench.append("A", 1).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    assert_eq!((bench.place.checkpoint().unwrap().size, recorded(&bench).await), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_request_to_end_does_not_wait_for_the_backlog() {
    let mut bench = with_backlog(50).await;
    bench.settings.interval = Duration::from_hours(1);
    *bench.place.delay.lock().unwrap() = Duration::from_secs(1);
    let sealer = bench.sealer().await.unwrap();
    let before = bench.place.checkpoint().unwrap().size;
    let running = tokio::spawn(sealer.run(bench.shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = tokio::time::Instant::now();
    bench.shutdown.request();
    running.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    // The seal that was under way, and the one of the last round.
    assert_eq!(bench.place.checkpoint().unwrap().size, before + 2);
}
