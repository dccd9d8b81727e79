//! The HTTP API.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, AsSendBody, Body};

/// How long one request may take, uploads and downloads aside.
const REQUEST_WITHIN: Duration = Duration::from_mins(1);

/// How often a request is sent again when the service is busy.
const BUSY_TRIES: u32 = 20;

/// Longest pause that we let the service ask us for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Largest answer that is read into memory; datasets are not.
const LARGEST_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// One person's access to the API of one service.
pub(crate) struct Client {
    agent: Agent,
    address: String,
    authorization: Option<String>,
}

/// What the service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where to look for what was begun.
    pub(crate) location: Option<String>,
    retry_after: Duration,
    pub(crate) text: String,
}

impl Answer {
    fn read(mut response: Response<Body>) -> Result<Self> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let seconds = header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(1);
        let location = header("location").map(str::to_owned);
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(LARGEST_ANSWER_BYTES).read_to_string()?;
        let retry_after = Duration::from_secs(seconds).min(LONGEST_PAUSE);
        Ok(Self { status, location, retry_after, text })
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).context("the service did not answer with JSON")
    }

    /// The answer, unless it is a problem.
    fn accepted(self, what: &str) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let said = |member: &str| problem[member].as_str().unwrap_or_default().to_owned();
        bail!(
            "{what} was answered with {}: {} {} {}",
            self.status,
            said("title"),
            said("detail"),
            said("rule")
        )
    }
}

impl Client {
    pub(crate) fn new(address: &str, token: Option<&str>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(5)))
            .build();
        let authorization = token.map(|token| format!("Bearer {token}"));
        Self { agent: config.into(), address: address.to_owned(), authorization }
    }

    /// Whether the service takes requests.
    pub(crate) fn is_ready(&self) -> bool {
        self.look("/readyz").is_ok_and(|answer| answer.is_success())
    }

    /// Whatever stands at a path, problems included.
    pub(crate) fn look(&self, path: &str) -> Result<Answer> {
        let mut request = self.agent.get(self.url(path));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let response = request.config().timeout_global(Some(REQUEST_WITHIN)).build().call();
        Answer::read(response.with_context(|| format!("GET {path} got no answer"))?)
    }

    /// What stands at a path.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.look(path)?.accepted(&format!("GET {path}"))
    }

    /// What stands at a path once the service has it: until then it answers 409, and we ask again.
    pub(crate) fn get_when_there(&self, path: &str, within: Duration) -> Result<Answer> {
        let deadline = Instant::now() + within;
        loop {
            let answer = self.look(path)?;
            if answer.status != 409 || Instant::now() > deadline {
                return answer.accepted(&format!("GET {path}"));
            }
            thread::sleep(answer.retry_after.min(Duration::from_millis(500)));
        }
    }

    /// Sends a command, again and again while the service is busy: the key makes that safe.
    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        self.post_text(path, key, &body.to_string())
    }

    /// Sends a command or a small file, as text.
    pub(crate) fn post_text(&self, path: &str, key: &str, text: &str) -> Result<Answer> {
        for _ in 0..BUSY_TRIES {
            let answer = self.send(path, key, text, true)?;
            if !matches!(answer.status, 429 | 503) {
                return answer.accepted(&format!("POST {path}"));
            }
            thread::sleep(answer.retry_after);
        }
        bail!("the service stayed too busy to take POST {path}")
    }

    /// Sends a file of any size.
    pub(crate) fn post_file(&self, path: &str, key: &str, file: File) -> Result<Answer> {
        self.send(path, key, file, false)?.accepted(&format!("POST {path}"))
    }

    /// Sends a form, as a page of the service does.
    pub(crate) fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Result<()> {
        let request = self.agent.post(self.url(path)).header("Origin", &self.address);
        let request = request.config().timeout_global(Some(REQUEST_WITHIN)).build();
        let response = request.send_form(fields.iter().copied());
        Answer::read(response.context("the form got no answer")?)?.accepted("the form").map(|_| ())
    }

    fn send(&self, path: &str, key: &str, body: impl AsSendBody, is_quick: bool) -> Result<Answer> {
        let mut request = self
            .agent
            .post(self.url(path))
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", key);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let within = is_quick.then_some(REQUEST_WITHIN);
        let response = request.config().timeout_global(within).build().send(body);
        Answer::read(response.with_context(|| format!("POST {path} got no answer"))?)
    }

    /// Asks for the state of something that takes time until it is `done`, and hands each answer to `see`.
    pub(crate) fn follow(&self, path: &str, within: Duration, mut see: impl FnMut(&Value)) -> Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let now = self.get(path)?.json()?;
            see(&now);
            match now["state"].as_str() {
                Some("done") => return Ok(now),
                Some("refused" | "failed" | "removed") | None => bail!("{path} did not succeed: {now}"),
                Some(_) if Instant::now() > deadline => bail!("{path} took too long: {now}"),
                Some(_) => thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// Writes what stands at a path into a file, however large it is.
    pub(crate) fn download(&self, path: &str, to: &Path) -> Result<()> {
        let mut request = self.agent.get(self.url(path));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.call().with_context(|| format!("GET {path} got no answer"))?;
        if !response.status().is_success() {
            Answer::read(response)?.accepted(&format!("GET {path}"))?;
            return Ok(());
        }
        let mut file = File::create(to).with_context(|| format!("{} cannot be written", to.display()))?;
        io::copy(&mut response.body_mut().as_reader(), &mut file)?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}
