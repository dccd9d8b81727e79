//! A witness at an address.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use trialseal_runtime::client::Authorities;
use trialseal_seal::hash::sha256;
use trialseal_seal::note::MAX_NOTE_BYTES;
use trialseal_seal::policy;
use trialseal_seal::witness::AddCheckpoint;
use ureq::Agent;

use super::{Answer, Witness, WitnessError};

/// How much of a refusal is told, in characters.
const SAID: usize = 200;

/// A witness that is asked over HTTP.
#[derive(Debug, Clone)]
pub struct HttpWitness {
    named: Arc<policy::Witness>,
    prefix: String,
    agent: Agent,
}

impl HttpWitness {
    /// The witness at the address that the policy gives for it, asked for no longer than `patience` at a time, and
    /// believed where `authorities` vouch for its name. `None` where the policy gives no address.
    pub fn new(named: &policy::Witness, authorities: &Authorities, patience: Duration) -> Option<Self> {
        let prefix = named.url.as_deref()?.trim_end_matches('/').to_owned();
        Some(Self { named: Arc::new(named.clone()), prefix, agent: authorities.agent(patience) })
    }

    /// Sends a request on a thread that may block, and gives status and body.
    async fn ask(&self, path: String, body: Option<String>) -> Result<(u16, String), WitnessError> {
        let (agent, url) = (self.agent.clone(), format!("{}/{path}", self.prefix));
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = match body {
                Some(body) => agent.post(url).content_type("text/plain; charset=utf-8").send(body),
                None => agent.get(url).call(),
            }?;
            let limit = MAX_NOTE_BYTES as u64;
            let body = answer.body_mut().with_config().limit(limit).read_to_vec()?;
            Ok::<_, ureq::Error>((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
        });
        let unreachable = |error: &dyn std::fmt::Display| WitnessError::Unreachable(error.to_string());
        asked.await.map_err(|error| unreachable(&error))?.map_err(|error| unreachable(&error))
    }
}

#[async_trait]
impl Witness for HttpWitness {
    fn named(&self) -> &policy::Witness {
        &self.named
    }

    async fn add_checkpoint(&self, asked: &AddCheckpoint) -> Result<Answer, WitnessError> {
        match self.ask("add-checkpoint".to_owned(), Some(asked.encode())).await? {
            (200, lines) => Ok(Answer::Cosigned(lines)),
            (409, size) => {
                let size = size.trim_end_matches('\n').parse();
                size.map(Answer::OtherSize)
                    .map_err(|_| WitnessError::Strange("a conflict without a size".to_owned()))
            }
            (status, said) => Err(refused(status, &said)),
        }
    }

    async fn newest(&self, origin: &str) -> Result<Option<String>, WitnessError> {
        match self.ask(format!("{}/checkpoint", sha256(origin.as_bytes())), None).await? {
            (200, note) => Ok(Some(note)),
            (404, _) => Ok(None),
            (status, said) => Err(refused(status, &said)),
        }
    }
}

fn refused(status: u16, said: &str) -> WitnessError {
    let line = said.lines().next().unwrap_or_default();
    WitnessError::Refused { status, said: line.chars().filter(|c| !c.is_control()).take(SAID).collect() }
}
