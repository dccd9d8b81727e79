//! A timestamp authority as the sealer asks it: RFC 3161 over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use trialseal_runtime::client::Authorities;
use trialseal_timestamp::MAX_REPLY_BYTES;
use ureq::Agent;

/// How long an authority may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// An authority that can be asked for timestamps.
#[async_trait]
pub trait Authority: Send + Sync {
    /// Sends a `TimeStampReq` and gives what comes back; nothing of it is believed yet.
    async fn ask(&self, request: Vec<u8>) -> Result<Vec<u8>, AuthorityError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// It could not be reached, or did not answer in time.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with this HTTP status.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
}

/// An authority that is asked over HTTP (RFC 3161, section 3.4).
#[derive(Debug, Clone)]
pub struct HttpAuthority {
    url: String,
    agent: Agent,
}

impl HttpAuthority {
    /// The authority at this address, believed to be there where `authorities` vouch for its name. What it says of times is
    /// another matter.
    pub fn new(url: &str, authorities: &Authorities) -> Self {
        Self { url: url.to_owned(), agent: authorities.agent(PATIENCE) }
    }
}

#[async_trait]
impl Authority for HttpAuthority {
    async fn ask(&self, request: Vec<u8>) -> Result<Vec<u8>, AuthorityError> {
        let (agent, url) = (self.agent.clone(), self.url.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = agent.post(url).content_type("application/timestamp-query").send(request)?;
            let status = answer.status().as_u16();
            let body = answer.body_mut().with_config().limit(MAX_REPLY_BYTES as u64).read_to_vec()?;
            Ok::<_, ureq::Error>((status, body))
        });
        let unreachable = |error: &dyn std::fmt::Display| AuthorityError::Unreachable(error.to_string());
        match asked.await.map_err(|error| unreachable(&error))?.map_err(|error| unreachable(&error))? {
            (200, body) => Ok(body),
            (status, _) => Err(AuthorityError::Status(status)),
        }
    }
}
