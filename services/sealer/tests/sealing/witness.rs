//! A witness in memory that does what C2SP tlog-witness says, or what a test tells it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_seal::checkpoint::{Checkpoint, cosign};
use trialseal_seal::hash::{Hash, Sha2};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy;
use trialseal_seal::tree::{Frontier, verify_consistency};
use trialseal_seal::witness::AddCheckpoint;
use trialseal_sealer::{Answer, Witness, WitnessError};

use crate::bench::ORIGIN;

/// How a witness behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Good,
    /// It cannot be reached.
    Down,
    /// It takes so long to answer.
    Slow(Duration),
    /// Its signatures are of other checkpoints.
    Wrong,
    /// It says that it is at this size, and shows nothing.
    Says(u64),
}

pub(crate) struct InMemory {
    named: policy::Witness,
    signer: Signer,
    clock: Arc<ManualClock>,
    mood: Mutex<Mood>,
    /// The checkpoint cosigned last, and its note.
    newest: Mutex<Option<(Checkpoint, String)>>,
    asked: Mutex<usize>,
}

impl InMemory {
    pub(crate) fn new(number: u8, clock: Arc<ManualClock>) -> Self {
        let name = format!("w{number}");
        let signer =
            Signer::new(&format!("witness.example/{name}"), KeyKind::Cosignature, &[number; 32]).unwrap();
        let named = policy::Witness { name, key: signer.verifier_key(), url: None };
        Self {
            named,
            signer,
            clock,
            mood: Mutex::default(),
            newest: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The line of a policy that names it.
    pub(crate) fn line(&self) -> String {
        format!("witness {} {}\n", self.named.name, self.named.key)
    }

    pub(crate) fn size(&self) -> u64 {
        self.newest.lock().unwrap().as_ref().map_or(0, |(checkpoint, _)| checkpoint.size)
    }

    /// How often it was asked for a cosignature.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    async fn mood(&self) -> Result<Mood, WitnessError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Down => Err(WitnessError::Unreachable("connection refused".into())),
            Mood::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(mood)
            }
            mood => Ok(mood),
        }
    }
}

#[async_trait]
impl Witness for InMemory {
    fn named(&self) -> &policy::Witness {
        &self.named
    }

    async fn add_checkpoint(&self, asked: &AddCheckpoint) -> Result<Answer, WitnessError> {
        *self.asked.lock().unwrap() += 1;
        let mood = self.mood().await?;
        if let Mood::Says(size) = mood {
            return Ok(Answer::OtherSize(size));
        }
        let refused = |status| WitnessError::Refused { status, said: "no".into() };
        let checkpoint = Checkpoint::parse(&asked.note.text).unwrap();
        assert_eq!(checkpoint.origin, ORIGIN);
        let mut newest = self.newest.lock().unwrap();
        let empty = Frontier::<Sha2>::new().root();
        let (size, root): (u64, Hash) =
            newest.as_ref().map_or((0, empty), |(checkpoint, _)| (checkpoint.size, checkpoint.root));
        if asked.old_size > checkpoint.size {
            return Err(refused(400));
        }
        if asked.old_size != size {
            return Ok(Answer::OtherSize(size));
        }
        if size > 0 {
            verify_consistency::<Sha2>(size, checkpoint.size, &root, &checkpoint.root, &asked.proof)
                .map_err(|_| refused(422))?;
        }
        let time = u64::try_from(self.clock.now() / 1_000_000).unwrap();
        let text = if mood == Mood::Wrong { "another\n7\nAAAA\n" } else { asked.note.text.as_str() };
        let line = cosign(&self.signer, text, time).unwrap();
        let mut note = asked.note.clone();
        note.signatures.push(line.clone());
        *newest = Some((checkpoint, note.encode()));
        Ok(Answer::Cosigned(format!("{line}\n")))
    }

    async fn newest(&self, origin: &str) -> Result<Option<String>, WitnessError> {
        assert_eq!(origin, ORIGIN);
        match self.mood().await? {
            Mood::Says(_) => Ok(None),
            _ => Ok(self.newest.lock().unwrap().as_ref().map(|(_, note)| note.clone())),
        }
    }
}
