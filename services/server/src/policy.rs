//! The publication policy (C2SP tlog-policy): the keys of the ledger's own log, and the witnesses that the operator chose.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use trialseal_runtime::client::Authorities;
use trialseal_seal::note::{KeyKind, VerifierKey};
use trialseal_seal::policy::Policy;
use trialseal_sealer::{HttpWitness, Witness};

/// The publication policy, as it is offered to readers and as it is followed.
#[derive(Debug)]
pub(crate) struct PublicationPolicy {
    text: String,
    policy: Policy,
}

impl PublicationPolicy {
    /// Reads the operator's part, and puts the log's keys in front of it: all that notes were signed with.
    pub(crate) fn read(file: Option<&Path>, keys: &[VerifierKey]) -> Result<Self> {
        let log = keys.iter().fold(String::new(), |text, key| text + "log " + &key.to_string() + "\n");
        let Some(file) = file else { return Self::of(format!("{log}quorum none\n"), keys.len()) };
        let lines = fs::read_to_string(file)
            .with_context(|| format!("cannot read the publication policy {}", file.display()))?;
        Self::of(log + &lines, keys.len())
            .with_context(|| format!("the publication policy {} cannot be used", file.display()))
    }

    fn of(text: String, logs: usize) -> Result<Self> {
        let policy = Policy::parse(&text)?;
        ensure!(
            policy.logs().len() == logs,
            "it names a log, but only this ledger's belongs there, which is put in front of it"
        );
        Ok(Self { text, policy })
    }

    /// As readers get it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The witnesses to ask: those with an address. What one without has cosigned counts, and it is asked for nothing more:
    /// a key that was replaced.
    pub(crate) fn witnesses(
        &self,
        authorities: &Authorities,
        patience: Duration,
    ) -> Result<Vec<Arc<dyn Witness>>> {
        let mut witnesses: Vec<Arc<dyn Witness>> = Vec::new();
        for witness in self.policy.witnesses() {
            let name = &witness.name;
            ensure!(
                witness.key.kind() == KeyKind::Cosignature,
                "witness {name} of the publication policy has a key of a kind that cannot be verified here: give its \
                 Ed25519 key"
            );
            let Some(asked) = HttpWitness::new(witness, authorities, patience) else {
                tracing::info!(witness = name, "server.policy.unasked");
                continue;
            };
            witnesses.push(Arc::new(asked));
        }
        ensure!(
            !witnesses.is_empty() || !self.policy.asks_for_witnesses(),
            "the publication policy asks for witnesses, and none of them has an address"
        );
        Ok(witnesses)
    }
}
