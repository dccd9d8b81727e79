//! Asking the provider over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use trialseal_runtime::client::Authorities;
use ureq::Agent;
use zeroize::Zeroizing;

/// How long the provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// Asks the provider; a port.
#[async_trait]
pub(crate) trait Fetch: Send + Sync {
    /// Reads a document. Why it cannot be read is said without what was read.
    async fn get(&self, url: &str) -> Result<String, String>;
    /// Sends a form, perhaps with an `Authorization` header; answers with status and body.
    async fn post(
        &self,
        url: &str,
        authorization: Option<Zeroizing<String>>,
        form: Zeroizing<String>,
    ) -> Result<(u16, Zeroizing<String>), String>;
}

/// Over HTTP, on threads that may block.
pub(crate) struct Http(Agent);

impl Http {
    pub(crate) fn new(authorities: &Authorities) -> Self {
        Self(authorities.agent(PATIENCE))
    }
}

#[async_trait]
impl Fetch for Http {
    async fn get(&self, url: &str) -> Result<String, String> {
        let (agent, url) = (self.0.clone(), url.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = agent.get(url).header("accept", "application/json").call()?;
            let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string()?;
            Ok::<_, ureq::Error>((answer.status().as_u16(), body))
        });
        match asked.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())? {
            (200, body) => Ok(body),
            (status, _) => Err(format!("it answered with {status}")),
        }
    }

    async fn post(
        &self,
        url: &str,
        authorization: Option<Zeroizing<String>>,
        form: Zeroizing<String>,
    ) -> Result<(u16, Zeroizing<String>), String> {
        let (agent, url) = (self.0.clone(), url.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let mut request = agent.post(url).content_type("application/x-www-form-urlencoded");
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization.as_str());
            }
            let mut answer = request.header("accept", "application/json").send(form.as_str())?;
            let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string()?;
            Ok::<_, ureq::Error>((answer.status().as_u16(), Zeroizing::new(body)))
        });
        asked.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}
