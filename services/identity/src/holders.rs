//! Who holds a token. Nothing is remembered, so that a revoked token is dead at once; but requests that ask at the same
//! time are answered by one question to the database, as commands of the same moment share a commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::HttpRequest;
use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use trialseal_access::Principal;
use trialseal_access::http::{Holders, Refused, Unavailable};
use trialseal_store::{Known, TokenRow, Tokens};

use crate::Identity;
use crate::grants::{By, Grant, role_of};
use crate::oidc::NotVouched;

type Answer = Result<Option<TokenRow>, Unavailable>;

/// Who holds a token, has logged in, or is vouched for, as the store knows them.
pub struct StoredHolders {
    identity: Arc<Identity>,
    tokens: Batched,
}

/// Look-ups of tokens, those of the same time together.
struct Batched {
    tokens: Arc<dyn Tokens>,
    /// Where it is asked: not in the runtime of whichever HTTP thread comes first, which may end before the others.
    runtime: Handle,
    asked: Arc<Mutex<Asked>>,
}

/// Who waits for an answer, by the hash of the token.
#[derive(Default)]
struct Asked {
    waiting: HashMap<[u8; 32], Vec<oneshot::Sender<Answer>>>,
    /// Whether a task is there that will ask for them.
    attended: bool,
}

impl StoredHolders {
    /// Those that `identity` knows.
    pub fn new(identity: Arc<Identity>) -> Self {
        let tokens = Batched::new(Arc::clone(&identity.parts.tokens));
        Self { identity, tokens }
    }
}

#[async_trait]
impl Holders for StoredHolders {
    async fn holder(&self, hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable> {
        let Some(row) = self.tokens.look_up(hash).await? else { return Ok(None) };
        self.identity.holder_of(row).await
    }

    async fn session(&self, hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable> {
        self.identity.logged_in(hash).await.map_err(|error| Unavailable(error.to_string()))
    }

    async fn vouched(&self, jwt: &str) -> Result<Result<Principal, Refused>, Unavailable> {
        let Some(provider) = &self.identity.parts.provider else {
            return Ok(Err(Refused("no provider is configured here")));
        };
        match self.identity.vouched_for(provider, jwt).await {
            Ok(principal) => Ok(Ok(principal)),
            Err(NotVouched::Refused(refused)) => Ok(Err(refused)),
            Err(NotVouched::Unavailable(unavailable)) => Err(unavailable),
        }
    }

    fn is_from_own_page(&self, request: &HttpRequest) -> bool {
        self.identity.is_from_own_page(request)
    }

    fn session_cookie(&self) -> &'static str {
        self.identity.session_cookie()
    }
}

impl Identity {
    /// Who holds a token, if it still counts. One that was made on the server is recorded before it counts at all.
    async fn holder_of(&self, row: TokenRow) -> Result<Option<Principal>, Unavailable> {
        if row.revoked || row.expires.is_some_and(|end| end <= self.parts.clock.now()) {
            return Ok(None);
        }
        if row.known == Known::Not {
            self.introduce_token(&row).await.map_err(Unavailable)?;
        }
        let role = role_of(&row.role).map_err(|error| Unavailable(error.to_string()))?;
        Ok(Some(Principal {
            actor: row.actor,
            role,
            organisation: row.organisation,
            source_system: row.source_system,
            trials: row.trials,
            participant: row.participant,
        }))
    }

    /// Tells the record of a token that it does not know.
    pub(crate) async fn introduce_token(&self, row: &TokenRow) -> Result<(), String> {
        let grant = Grant::of_token(row).map_err(|error| error.to_string())?;
        self.record_granted(grant, &By::service()).await.map_err(|error| error.to_string())?;
        // A crash before this line has it recorded again, which changes nothing.
        self.parts.tokens.note_token(&row.hash, Known::Granted).await.map_err(|error| error.to_string())
    }
}

impl Batched {
    fn new(tokens: Arc<dyn Tokens>) -> Self {
        Self { tokens, runtime: Handle::current(), asked: Arc::default() }
    }

    async fn look_up(&self, hash: &[u8; 32]) -> Answer {
        let (answer, answered) = oneshot::channel();
        let attended = {
            let mut asked = lock(&self.asked);
            asked.waiting.entry(*hash).or_default().push(answer);
            std::mem::replace(&mut asked.attended, true)
        };
        if !attended {
            self.runtime.spawn(attend(Arc::clone(&self.tokens), Arc::clone(&self.asked)));
        }
        answered.await.unwrap_or_else(|_| Err(Unavailable("the look-up was given up".into())))
    }
}

/// Answers all who wait, and those who come meanwhile, until there are none left.
async fn attend(tokens: Arc<dyn Tokens>, asked: Arc<Mutex<Asked>>) {
    loop {
        let mut waiting = {
            let mut asked = lock(&asked);
            asked.attended = !asked.waiting.is_empty();
            if !asked.attended {
                return;
            }
            std::mem::take(&mut asked.waiting)
        };
        let hashes: Vec<[u8; 32]> = waiting.keys().copied().collect();
        let found = tokens.tokens_with(&hashes).await.map_err(|error| Unavailable(error.to_string()));
        let (rows, failure) = match found {
            Ok(rows) => (rows, Ok(None)),
            Err(unavailable) => (Vec::new(), Err(unavailable)),
        };
        for row in rows {
            let senders = waiting.remove(&row.hash).unwrap_or_default();
            tell(senders, &Ok(Some(row)));
        }
        for senders in waiting.into_values() {
            tell(senders, &failure);
        }
    }
}

/// A sender who has gone away needs no answer.
fn tell(waiting: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for sender in waiting {
        let _ = sender.send(answer.clone());
    }
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use trialseal_store::StoreError;

    use super::*;

    /// Answers one question for each permit; knows tokens whose hash begins with 1.
    struct Slow {
        permits: Semaphore,
        questions: AtomicUsize,
        fails: bool,
    }

    #[async_trait]
    impl Tokens for Slow {
        async fn add_token(&self, _: &TokenRow) -> Result<(), StoreError> {
            unreachable!()
        }

        async fn tokens_with(&self, hashes: &[[u8; 32]]) -> Result<Vec<TokenRow>, StoreError> {
            self.questions.fetch_add(1, Ordering::SeqCst);
            self.permits.acquire().await.unwrap().forget();
            if self.fails {
                return Err(StoreError::Unavailable("gone".into()));
            }
            let known = hashes.iter().filter(|hash| hash[0] == 1);
            Ok(known
                .map(|hash| TokenRow {
                    hash: *hash,
                    id: uuid::Uuid::nil(),
                    expires: None,
                    known: Known::Granted,
                    actor: format!("person-{}", hash[1]),
                    role: "monitor".into(),
                    organisation: String::new(),
                    source_system: None,
                    trials: None,
                    participant: None,
                    revoked: false,
                })
                .collect())
        }

        async fn revoke_token(&self, _: &[u8; 32]) -> Result<bool, StoreError> {
            unreachable!()
        }

        async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
            unreachable!()
        }

        async fn note_token(&self, _: &[u8; 32], _: Known) -> Result<(), StoreError> {
            unreachable!()
        }
    }

    fn hash(first: u8, second: u8) -> [u8; 32] {
        let mut hash = [0; 32];
        (hash[0], hash[1]) = (first, second);
        hash
    }

    fn slow(fails: bool) -> (Arc<Slow>, Arc<Batched>) {
        let slow = Arc::new(Slow { permits: Semaphore::new(0), questions: AtomicUsize::new(0), fails });
        (Arc::clone(&slow), Arc::new(Batched::new(slow)))
    }

    #[tokio::test]
    async fn those_who_ask_while_a_question_is_out_share_the_next() {
        let (slow, tokens) = slow(false);
        let ask = |hash| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { tokens.look_up(&hash).await })
        };
        let first = ask(hash(1, 0));
        while slow.questions.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // Nobody is answered by a question that was asked before they came.
        let others = [hash(1, 1), hash(1, 1), hash(1, 9), hash(2, 0)].map(ask);
        tokio::task::yield_now().await;
        slow.permits.add_permits(2);
        let actor = |answer: Answer| answer.unwrap().map(|who| who.actor);
        assert_eq!(actor(first.await.unwrap()).as_deref(), Some("person-0"));
        let mut answers = Vec::new();
        for other in others {
            answers.push(actor(other.await.unwrap()));
        }
        assert_eq!(
            answers,
            [Some("person-1".into()), Some("person-1".into()), Some("person-9".into()), None]
        );
        assert_eq!(slow.questions.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_the_next_one_asks_again() {
        let (slow, tokens) = slow(true);
        slow.permits.add_permits(2);
        assert!(tokens.look_up(&hash(1, 0)).await.is_err());
        assert!(tokens.look_up(&hash(1, 0)).await.is_err());
        assert_eq!(slow.questions.load(Ordering::SeqCst), 2);
    }
}
