//! Sends the plan to the service.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::{Chain, Phase, Plan, Step, TRIAL};
use crate::progress::Progress;
use crate::service::{Client, Role, Tokens};

/// How many chains are sent at once: enough to let the service gather commands into one transaction.
const WORKERS: usize = 4;

/// How long the small laboratory file may take.
const IMPORT_WITHIN: Duration = Duration::from_mins(2);

/// What is remembered of a demonstration that was recorded completely.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recorded {
    trial: String,
    /// Place in the trial of its last event.
    pub(super) last: u64,
    /// Place of the event whose receipt is shown.
    pub(super) shown: u64,
}

impl Recorded {
    /// Recognises a complete demonstration by the note it left and by the service having its last event; sends the plan
    /// otherwise.
    pub(super) fn open_or_submit(note: &Path, tokens: &Tokens, address: &str) -> Result<Self> {
        let found: Option<Self> = fs::read(note).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(recorded) = found {
            let seen = tokens.client(Role::Monitor, address).look(&recorded.receipt_path(recorded.last))?;
            if matches!(seen.status, 200 | 409) {
                eprintln!("The demonstration trial is recorded already.");
                return Ok(recorded);
            }
        }
        let recorded = Submission::new(tokens, address).submit(&Plan::generate())?;
        fs::write(note, serde_json::to_vec_pretty(&recorded)?)?;
        Ok(recorded)
    }

    pub(super) fn receipt_path(&self, trialseq: u64) -> String {
        format!("/v1/trials/{}/events/{trialseq}/receipt", self.trial)
    }
}

/// The plan being sent.
struct Submission {
    clients: HashMap<&'static str, Client>,
    /// Ids that answers gave, by name.
    ids: Mutex<HashMap<String, String>>,
    /// The event whose receipt is shown: the first one worth it.
    shown: Mutex<Option<u64>>,
}

impl Submission {
    fn new(tokens: &Tokens, address: &str) -> Self {
        let clients = [Role::Sponsor, Role::Investigator, Role::Irb]
            .map(|role| (role.name(), tokens.client(role, address)))
            .into();
        Self { clients, ids: Mutex::default(), shown: Mutex::default() }
    }

    fn submit(&self, plan: &Plan) -> Result<Recorded> {
        for phase in &plan.phases {
            self.send_phase(phase)?;
        }
        self.import(&plan.laboratory_file)?;
        let last = self.send(&plan.results)?;
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(last);
        Ok(Recorded { trial: TRIAL.to_owned(), last, shown })
    }

    /// Chains go side by side; the first failure stops them all.
    fn send_phase(&self, phase: &Phase) -> Result<()> {
        let steps: usize = phase.chains.iter().map(Vec::len).sum();
        let progress = Progress::new(phase.title, steps as u64);
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let work = || -> Result<()> {
            while let Some(chain) = phase.chains.get(next.fetch_add(1, Ordering::Relaxed)) {
                if failed.load(Ordering::Relaxed) {
                    break;
                }
                self.send_chain(chain, &progress).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a worker stopped unexpectedly")))
            })
        })?;
        progress.finish();
        Ok(())
    }

    fn send_chain(&self, chain: &Chain, progress: &Progress) -> Result<()> {
        for step in chain {
            self.send(step)?;
            progress.add(1);
        }
        Ok(())
    }

    /// Sends one step, and answers with the place of the last event it made.
    fn send(&self, step: &Step) -> Result<u64> {
        let client = self.client(step.role)?;
        let mut body = step.body.clone();
        self.fill_in(&mut body)?;
        let path = self.with_ids(&step.path)?;
        let answer = client.post(&path, &step.key, &body)?.json()?;
        let trialseq = last_trialseq(&answer).with_context(|| format!("{path} names no event: {answer}"))?;
        if let Some((member, name)) = &step.learns {
            let id =
                answer[member].as_str().with_context(|| format!("{path} names no {member}: {answer}"))?;
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), id.to_owned());
        }
        if step.is_worth_a_receipt {
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trialseq);
        }
        Ok(trialseq)
    }

    fn import(&self, file: &str) -> Result<()> {
        let path = format!("/v1/trials/{TRIAL}/imports");
        let client = self.client(Role::Investigator)?;
        let answer = client.post_text(&path, &format!("{TRIAL}.laboratory-file"), file)?;
        let at = answer.location.context("the import has no address")?;
        let done = client.follow(&at, IMPORT_WITHIN, |_| ())?;
        let exceptions = done["exceptions"]["total"].as_u64().unwrap_or(0);
        let rows = done["rows"].as_u64().unwrap_or(0);
        eprintln!("{:<28} {rows} rows, {exceptions} taken with an exception marked", "Laboratory file");
        Ok(())
    }

    fn client(&self, role: Role) -> Result<&Client> {
        self.clients.get(role.name()).with_context(|| format!("{} sends no commands", role.name()))
    }

    /// Puts ids in the place of the names in braces. Only whole path segments and whole texts are names.
    fn with_ids(&self, path: &str) -> Result<String> {
        let segments: Result<Vec<String>> = path.split('/').map(|segment| self.id_or_same(segment)).collect();
        Ok(segments?.join("/"))
    }

    fn fill_in(&self, body: &mut Value) -> Result<()> {
        let texts = body.as_object_mut().into_iter().flat_map(|members| members.values_mut());
        for value in texts {
            if let Value::String(text) = value {
                *text = self.id_or_same(text)?;
            }
        }
        Ok(())
    }

    fn id_or_same(&self, text: &str) -> Result<String> {
        let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return Ok(text.to_owned());
        };
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.get(name).cloned().with_context(|| format!("nothing is known as {name} yet"))
    }
}

/// The place of the last event of an answer.
fn last_trialseq(answer: &Value) -> Option<u64> {
    answer["events"].as_array()?.iter().filter_map(|event| event["trialseq"].as_u64()).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn submission() -> Submission {
        let ids = HashMap::from([("101-001".to_owned(), "0190".to_owned())]);
        Submission { clients: HashMap::new(), ids: Mutex::new(ids), shown: Mutex::default() }
    }

    #[test]
    fn names_in_braces_become_ids() {
        let submission = submission();
        assert_eq!(
            submission.with_ids("/participants/{101-001}/visits").unwrap(),
            "/participants/0190/visits"
        );
        let mut body = json!({"site": "{101-001}", "reason": "a {b} c", "n": 1});
        submission.fill_in(&mut body).unwrap();
        assert_eq!(body, json!({"site": "0190", "reason": "a {b} c", "n": 1}));
        assert!(submission.with_ids("/participants/{101-002}").is_err());
    }

    #[test]
    fn the_last_event_of_an_answer_counts() {
        let answer = json!({"events": [{"trialseq": 7}, {"trialseq": 8}]});
        assert_eq!(last_trialseq(&answer), Some(8));
        assert_eq!(last_trialseq(&json!({"events": []})), None);
    }
}
