//! Sealing under a policy that asks for witnesses.

use std::sync::Arc;
use std::time::Duration;

use trialseal_runtime::clock::Clock as _;
use trialseal_seal::hash::Hash;
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_sealer::{SealError, Sealer};
use trialseal_store::memory::MemoryStore;
use trialseal_store::{AppendError, Seals, proofs};

use crate::audit::audit_with_gaps;
use crate::bench::{Bench, signer};
use crate::witness::{InMemory, Mood};

impl Bench {
    /// A bench with witnesses w1 to w`count`, and a policy that ends in `lines`.
    pub(crate) fn with_witnesses(count: u8, lines: &str) -> Self {
        Self::over_with_witnesses(Arc::new(MemoryStore::new(crate::bench::ORIGIN)), count, lines)
    }

    fn over_with_witnesses(memory: Arc<MemoryStore>, count: u8, lines: &str) -> Self {
        let mut bench = Self::over(memory);
        bench.witnesses = (1..=count).map(|n| Arc::new(InMemory::new(n, bench.clock.clone()))).collect();
        bench.policy = bench.policy(lines);
        bench
    }

    fn policy(&self, lines: &str) -> Policy {
        let witnesses: String = self.witnesses.iter().map(|witness| witness.line()).collect();
        Policy::parse(&format!("log {}\n{witnesses}{lines}", signer().verifier_key())).unwrap()
    }

    /// Seals something new; answers whether it is published.
    async fn seal_one(&mut self, sealer: &mut Sealer) -> bool {
        self.append("A", 1).await;
        assert!(sealer.round(&self.shutdown).await.unwrap());
        sealer.cosign().await.unwrap()
    }

    fn audit_witnessed(&self) -> (Vec<Seal>, Vec<u64>) {
        let files = self.place.files.lock().unwrap();
        let (seals, notes) = audit_with_gaps(|path| files.get(path).cloned());
        let sizes = notes.iter().zip(1..).filter_map(|(note, size)| note.map(|_| size)).collect();
        (seals, sizes)
    }

    fn published(&self) -> u64 {
        self.place.checkpoint().map_or(0, |checkpoint| checkpoint.size)
    }
}

const TWO_OF_THREE: &str = "group g 2 w1 w2 w3\nquorum g\n";

#[tokio::test]
async fn what_is_published_has_the_quorum_of_its_policy() {
    let mut bench = Bench::with_witnesses(3, TWO_OF_THREE);
    let mut sealer = bench.sealer().await.unwrap();
    for _ in 0..5 {
        assert!(bench.seal_one(&mut sealer).await);
    }
    assert_eq!(bench.audit().len(), 5);
    let note = bench.memory.note(5).await.unwrap().unwrap();
    let accepted = bench.policy.check(str::from_utf8(&note).unwrap()).unwrap();
    assert_eq!(accepted.quorum_time, Some(u64::try_from(bench.clock.now() / 1_000_000).unwrap()));
    // All three are in it, though two would do; each was asked once a checkpoint.
    assert_eq!(str::from_utf8(&note).unwrap().lines().count(), 3 + 1 + 4);
    assert!(bench.witnesses.iter().all(|witness| witness.asked() == 5 && witness.size() == 5));
}

#[tokio::test(start_paused = true)]
async fn witnesses_that_are_down_stop_neither_recording_nor_sealing() {
    let mut bench = Bench::with_witnesses(3, TWO_OF_THREE);
    let mut sealer = bench.sealer().await.unwrap();
    assert!(bench.seal_one(&mut sealer).await);
    bench.witnesses[0].set(Mood::Down);
    assert!(bench.seal_one(&mut sealer).await, "two are enough");
    bench.witnesses[1].set(Mood::Down);
    for _ in 0..3 {
        assert!(!bench.seal_one(&mut sealer).await);
    }
    // Signed, and not published: both can be told.
    assert_eq!((bench.published(), bench.memory.newest_checkpoint().await.unwrap().unwrap().0), (2, 5));
    assert_eq!((*bench.progress.sealed().borrow(), *bench.progress.published().borrow()), (5, 2));
    bench.witnesses[1].set(Mood::Good);
    assert!(sealer.cosign().await.unwrap());
    let (seals, notes) = bench.audit_witnessed();
    assert_eq!((seals.len(), notes), (5, vec![1, 2, 5]));
    // A seal without a note of its own is proved by the next one there is.
    let proof = proofs::seal_proof(bench.memory.as_ref(), &seals[3]).await.unwrap().unwrap();
    proof.verify(&bench.policy).unwrap();
    // And the one that was away all the time is told what it missed.
    bench.witnesses[0].set(Mood::Good);
    assert!(bench.seal_one(&mut sealer).await);
    assert_eq!(bench.witnesses[0].size(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_slow_witness_is_waited_for_only_where_the_quorum_needs_it() {
    let mut bench = Bench::with_witnesses(3, TWO_OF_THREE);
    bench.witnesses[2].set(Mood::Slow(Duration::from_secs(3)));
    let mut sealer = bench.sealer().await.unwrap();
    let begun = tokio::time::Instant::now();
    assert!(bench.seal_one(&mut sealer).await);
    assert!(begun.elapsed() < Duration::from_secs(1));
    bench.witnesses[1].set(Mood::Down);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let begun = tokio::time::Instant::now();
    assert!(bench.seal_one(&mut sealer).await);
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(bench.audit().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn wrong_answers_are_not_counted() {
    for mood in [Mood::Wrong, Mood::Says(9)] {
        let mut bench = Bench::with_witnesses(2, "group g all w1 w2\nquorum g\n");
        let mut sealer = bench.sealer().await.unwrap();
        bench.witnesses[1].set(mood);
        assert!(!bench.seal_one(&mut sealer).await, "{mood:?}");
        assert!(bench.place.checkpoint().is_none());
        // What a witness merely says of a larger size is no proof of one.
        bench.witnesses[1].set(Mood::Good);
        assert!(bench.seal_one(&mut sealer).await, "{mood:?}");
    }
}

#[tokio::test]
async fn groups_may_stand_in_groups_and_witnesses_beside_the_quorum() {
    let lines = "group a any w1 w2\ngroup b any w3\ngroup both all a b\nquorum both\n";
    let mut bench = Bench::with_witnesses(4, lines);
    let mut sealer = bench.sealer().await.unwrap();
    bench.witnesses[0].set(Mood::Down);
    bench.witnesses[3].set(Mood::Down);
    assert!(bench.seal_one(&mut sealer).await);
    bench.witnesses[3].set(Mood::Good);
    bench.witnesses[2].set(Mood::Down);
    assert!(!bench.seal_one(&mut sealer).await);
    assert_eq!(bench.witnesses[3].size(), 2, "an optional one is asked as well");
}

#[tokio::test]
async fn a_ledger_that_witnesses_know_to_be_larger_is_not_sealed() {
    let mut bench = Bench::with_witnesses(1, "quorum w1\n");
    let mut sealer = bench.sealer().await.unwrap();
    for _ in 0..3 {
        bench.seal_one(&mut sealer).await;
    }
    // An old backup of the database, and the folder of publication lost with the disk.
    let mut old = Bench::with_witnesses(1, "quorum w1\n");
    old.witnesses = bench.witnesses.clone();
    let refused = old.sealer().await.err().unwrap();
    assert!(matches!(refused, SealError::Behind { published: 3, recorded: 0 }), "{refused}");
    // The witness was away when the process started: then it is found out later.
    bench.witnesses[0].set(Mood::Down);
    let mut sealer = old.sealer().await.unwrap();
    assert!(!old.seal_one(&mut sealer).await);
    bench.witnesses[0].set(Mood::Good);
    let refused = sealer.cosign().await.unwrap_err();
    assert!(matches!(refused, SealError::Behind { published: 3, recorded: 1 }), "{refused}");
    assert!(refused.is_final());
}

#[tokio::test]
async fn a_witness_of_another_history_ends_the_start() {
    let mut bench = Bench::with_witnesses(1, "quorum w1\n");
    let mut sealer = bench.sealer().await.unwrap();
    bench.seal_one(&mut sealer).await;
    let mut other = Bench::with_witnesses(1, "quorum w1\n");
    let mut sealer = other.sealer().await.unwrap();
    other.append("B", 2).await;
    sealer.round(&other.shutdown).await.unwrap();
    other.witnesses = bench.witnesses.clone();
    let refused = other.sealer().await.err().unwrap();
    assert!(matches!(refused, SealError::Fork(_)) && refused.to_string().contains("w1"), "{refused}");
}

#[tokio::test]
async fn a_policy_that_begins_to_ask_is_refused() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    sealer.round(&bench.shutdown).await.unwrap();
    let later = Bench::over_with_witnesses(bench.memory.clone(), 3, TWO_OF_THREE);
    let refused = later.sealer().await.err().unwrap();
    assert!(matches!(refused, SealError::Policy { size: 1, .. }) && refused.is_final(), "{refused}");
}

#[tokio::test]
async fn a_witness_is_replaced_without_a_break() {
    let mut bench = Bench::with_witnesses(2, "quorum w1\n");
    bench.witnesses[1].set(Mood::Down);
    let mut sealer = bench.sealer().await.unwrap();
    assert!(bench.seal_one(&mut sealer).await);
    bench.witnesses[1].set(Mood::Good);
    bench.policy = bench.policy("group g any w1 w2\nquorum g\n");
    bench.witnesses[0].set(Mood::Down);
    let mut sealer = bench.sealer().await.unwrap();
    assert!(bench.seal_one(&mut sealer).await);
    // The old one cannot be dropped: nobody could check what it alone stands for.
    bench.policy = bench.policy("quorum w2\n");
    assert!(matches!(bench.sealer().await.err().unwrap(), SealError::Policy { size: 1, .. }));
}

#[tokio::test]
async fn a_crash_anywhere_is_made_good_by_the_next_start() {
    // Entries, tile, note and checkpoint.
    for write in 0..4 {
        for done in [false, true] {
            let mut bench = Bench::with_witnesses(3, TWO_OF_THREE);
            let mut sealer = bench.sealer().await.unwrap();
            bench.seal_one(&mut sealer).await;
            bench.place.fail_at(write, done);
            bench.append("A", 2).await;
            let _ = sealer.round(&bench.shutdown).await;
            let _ = sealer.cosign().await;
            let mut sealer = bench.sealer().await.unwrap();
            assert!(bench.seal_one(&mut sealer).await);
            let (seals, notes) = bench.audit_witnessed();
            assert_eq!((seals.len(), seals[2].events), (3, 4), "write {write}, done: {done}");
            assert!(seals[2].prior != Hash::ZERO && notes.contains(&3));
            assert_eq!(*bench.progress.published().borrow(), 4);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stamped_by_a_clock_that_is_ahead_of_the_witnesses() {
    let mut bench = Bench::with_witnesses(1, "quorum w1\n");
    let witness =
        Arc::new(InMemory::new(1, Arc::new(trialseal_runtime::clock::ManualClock::new(bench.clock.now()))));
    bench.witnesses = vec![witness];
    let mut sealer = bench.sealer().await.unwrap();
    assert!(bench.seal_one(&mut sealer).await);
    bench.clock.advance(31_000_000);
    bench.seal_one(&mut sealer).await;
    let refused = bench.try_append("A").await.unwrap_err();
    assert!(matches!(refused, AppendError::Busy(why) if why.contains("clock")), "{refused}");
    bench.pass(Duration::from_mins(1)).await;
    assert!(matches!(sealer.round(&bench.shutdown).await.unwrap_err(), SealError::ClockAhead));
    // Somebody sets it; the next answer of the witness shows that it is right.
    bench.clock.set(crate::bench::START);
    assert!(sealer.cosign().await.unwrap());
    bench.seal_one(&mut sealer).await;
    assert_eq!(bench.audit().len(), 3);
}
