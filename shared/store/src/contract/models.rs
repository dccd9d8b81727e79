//! Read models.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::fixture::{soon, trial};
use crate::rows::{Doc, ModelRow};
use crate::{Store, StoreError, may_go_on};

fn doc(of: &str, id: &str, body: &[u8]) -> Doc {
    Doc { trial: trial(of), id: id.to_owned(), key: Uuid::from_u128(3), body: body.to_vec() }
}

/// Folds documents into a generation, from one position to another.
async fn fold(store: &dyn Store, model: &str, generation: u32, (from, to): (u64, u64), docs: &[Doc]) {
    let mut tx = store.begin_model(model, generation, from).await.unwrap();
    tx.put(docs).await.unwrap();
    tx.commit(to).await.unwrap();
}

/// The first generation is active, later ones are not until they are activated; models do not mix.
pub async fn generations_follow_each_other(store: Arc<dyn Store>) {
    assert_eq!(store.generations("m").await.unwrap(), []);
    assert_eq!(store.new_generation("m").await.unwrap(), 1);
    assert_eq!(store.new_generation("other").await.unwrap(), 1);
    assert_eq!(store.new_generation("m").await.unwrap(), 2);
    let mut rows = store.generations("m").await.unwrap();
    rows.sort_by_key(|row| row.generation);
    let row = |generation, active| ModelRow { model: "m".into(), generation, position: 0, active };
    assert_eq!(rows, [row(1, true), row(2, false)]);
}

/// Documents are listed a page at a time, as events are read.
pub async fn a_page_of_documents_ends_with_its_bytes(store: Arc<dyn Store>) {
    let generation = store.new_generation("m").await.unwrap();
    let large = vec![7; 5 << 20];
    let docs: Vec<_> = ["1", "2", "3"].map(|id| doc("T", id, &large)).into();
    fold(store.as_ref(), "m", generation, (0, 1), &docs).await;
    let first = store.list("m", generation, &trial("T"), "", None, 10).await.unwrap();
    assert!(first == docs[..2] && may_go_on(&first, 10));
    let last = store.list("m", generation, &trial("T"), "", Some("2"), 10).await.unwrap();
    assert!(last == docs[2..] && !may_go_on(&last, 10));
}

/// Documents come back byte for byte and in the order asked for, also replaced, also twice in one put.
pub async fn documents_are_read_back(store: Arc<dyn Store>) {
    let all_bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let generation = store.new_generation("m").await.unwrap();
    let docs = [doc("T", "a/1", &all_bytes), doc("T", "a/2", b""), doc("U", "a/1", b"\0")];
    fold(store.as_ref(), "m", generation, (0, 3), &docs).await;
    let id = |of: &str, id: &str| (trial(of), id.to_owned());
    let asked = [id("U", "a/1"), id("T", "a/1"), id("U", "a/2"), id("T", "a/2"), id("T", "a/1")];
    let found = store.docs("m", generation, &asked).await.unwrap();
    let [one, two, three] = docs;
    assert_eq!(found, [Some(three), Some(one.clone()), None, Some(two), Some(one)]);
    assert_eq!(store.docs("m", generation, &[]).await.unwrap(), []);
    assert_eq!(store.docs("other", generation, &[id("T", "a/1")]).await.unwrap(), [None]);

    let mut replaced = doc("T", "a/1", b"new");
    replaced.key = Uuid::from_u128(u128::MAX);
    let twice = [doc("T", "a/1", b"newer"), replaced.clone()];
    fold(store.as_ref(), "m", generation, (3, 4), &twice).await;
    assert_eq!(store.docs("m", generation, &[id("T", "a/1")]).await.unwrap(), [Some(replaced)]);

    let many: Vec<_> = (0..1_234).map(|n| doc("V", &format!("{n:04}"), b"x")).collect();
    fold(store.as_ref(), "m", generation, (4, 5), &many).await;
    let asked: Vec<_> = many.iter().map(|doc| (doc.trial.clone(), doc.id.clone())).collect();
    let found = store.docs("m", generation, &asked).await.unwrap();
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), many);
}

/// By prefix, after an id, up to a limit, in the byte order of ids, which no locale agrees with.
pub async fn documents_are_listed_in_byte_order(store: Arc<dyn Store>) {
    let generation = store.new_generation("m").await.unwrap();
    let ids = [
        "p/b",
        "p/B",
        "p/a-b",
        "p/ab",
        "p/\u{e9}",
        "p/z",
        "p",
        "p/",
        "p0",
        "P/a",
        "p/%",
        "p/_",
        "p/\u{10ffff}",
    ];
    let docs: Vec<_> = ids.iter().map(|id| doc("T", id, b"x")).collect();
    fold(store.as_ref(), "m", generation, (0, 1), &docs).await;
    fold(store.as_ref(), "m", generation, (1, 2), &[doc("U", "p/b", b"x")]).await;
    store.new_generation("m").await.unwrap();

    let list = async |prefix: &str, after: Option<&str>, limit| {
        let docs = store.list("m", generation, &trial("T"), prefix, after, limit).await.unwrap();
        docs.into_iter().map(|doc| doc.id).collect::<Vec<_>>()
    };
    let below = ["p/", "p/%", "p/B", "p/_", "p/a-b", "p/ab", "p/b", "p/z", "p/\u{e9}", "p/\u{10ffff}"];
    assert_eq!(list("p/", None, 100).await, below);
    assert_eq!(list("p/", None, 3).await, below[..3]);
    assert_eq!(list("p/", Some("p/ab"), 2).await, below[6..8]);
    assert_eq!(list("p/", Some("p/aa"), 2).await, below[5..7]);
    assert_eq!(list("p/", Some("a"), 1).await, below[..1]);
    assert_eq!(list("p/", Some("q"), 1).await, Vec::<String>::new());
    assert_eq!(list("p/%", None, 100).await, ["p/%"]);
    assert_eq!(list("p/_", None, 100).await, ["p/_"]);
    assert_eq!(list("\u{10ffff}", None, 100).await, Vec::<String>::new());
    let mut all: Vec<_> = ids.to_vec();
    all.sort_unstable();
    assert_eq!(list("", None, 100).await, all);
    assert_eq!(list("", Some("p/z"), 100).await, all[all.len() - 3..]);
}

/// Readers see neither a document nor the position before both are committed.
pub async fn a_checkpoint_moves_with_its_documents(store: Arc<dyn Store>) {
    let generation = store.new_generation("m").await.unwrap();
    let mut tx = store.begin_model("m", generation, 0).await.unwrap();
    tx.put(&[doc("T", "1", b"x")]).await.unwrap();
    tx.put(&[doc("T", "2", b"x")]).await.unwrap();
    soon(async {
        assert_eq!(store.list("m", generation, &trial("T"), "", None, 10).await.unwrap(), []);
        assert_eq!(store.generations("m").await.unwrap()[0].position, 0);
    })
    .await;
    tx.commit(42).await.unwrap();
    assert_eq!(store.list("m", generation, &trial("T"), "", None, 10).await.unwrap().len(), 2);
    assert_eq!(store.generations("m").await.unwrap()[0].position, 42);
    store.begin_model("m", generation, 42).await.unwrap().commit(43).await.unwrap();
    assert_eq!(store.generations("m").await.unwrap()[0].position, 43);
}

/// Dropped before its commit, a fold leaves neither documents nor a lock.
pub async fn a_dropped_fold_leaves_nothing(store: Arc<dyn Store>) {
    let generation = store.new_generation("m").await.unwrap();
    for _ in 0..20 {
        let mut tx = soon(store.begin_model("m", generation, 0)).await.unwrap();
        tx.put(&[doc("T", "1", b"x")]).await.unwrap();
    }
    assert_eq!(store.list("m", generation, &trial("T"), "", None, 10).await.unwrap(), []);
    assert_eq!(store.generations("m").await.unwrap()[0].position, 0);
    soon(fold(store.as_ref(), "m", generation, (0, 1), &[doc("T", "1", b"x")])).await;
}

/// A fold that begins elsewhere than its generation stands is told so; of two at once the second is.
pub async fn a_fold_from_elsewhere_is_overtaken(store: Arc<dyn Store>) {
    let generation = store.new_generation("m").await.unwrap();
    let overtaken = async |model: &'static str, generation, position| {
        let begun = store.begin_model(model, generation, position).await;
        assert!(matches!(begun.err(), Some(StoreError::Overtaken(_))));
    };
    overtaken("m", generation, 1).await;
    overtaken("m", generation + 1, 0).await;
    overtaken("other", generation, 0).await;

    let mut first = store.begin_model("m", generation, 0).await.unwrap();
    let second = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.begin_model("m", generation, 0).await.err() }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished(), "two folds hold one generation");
    first.put(&[doc("T", "1", b"x")]).await.unwrap();
    first.commit(1).await.unwrap();
    assert!(matches!(soon(second).await.unwrap(), Some(StoreError::Overtaken(_))));
}

/// One generation is left, active, with its documents; the others are gone, and a new one begins empty.
pub async fn activating_drops_the_other_generations(store: Arc<dyn Store>) {
    for generation in 1..=3 {
        assert_eq!(store.new_generation("m").await.unwrap(), generation);
        let body = generation.to_be_bytes();
        fold(store.as_ref(), "m", generation, (0, 9), &[doc("T", "1", &body), doc("T", "2", &body)]).await;
    }
    store.new_generation("other").await.unwrap();
    fold(store.as_ref(), "other", 1, (0, 1), &[doc("T", "1", b"x")]).await;

    assert!(store.activate("m", 2).await.unwrap());
    let row = ModelRow { model: "m".into(), generation: 2, position: 9, active: true };
    assert_eq!(store.generations("m").await.unwrap(), std::slice::from_ref(&row));
    let list = async |model: &str, generation| {
        store.list(model, generation, &trial("T"), "", None, 10).await.unwrap().len()
    };
    assert_eq!((list("m", 1).await, list("m", 2).await, list("m", 3).await), (0, 2, 0));
    assert_eq!(list("other", 1).await, 1);
    assert!(store.activate("m", 2).await.unwrap());
    assert!(matches!(store.activate("m", 1).await, Err(StoreError::Overtaken(_))));
    assert_eq!(store.generations("m").await.unwrap(), [row]);

    let next = store.new_generation("m").await.unwrap();
    assert!(next > 2);
    assert_eq!(list("m", next).await, 0);
    let rows = store.generations("m").await.unwrap();
    assert!(rows.iter().all(|row| row.active == (row.generation == 2)));
}

/// What is behind the generation in use does not take its place, and what is not in use can be dropped; both leave the one
/// in use, and other models, as they are.
pub async fn what_readers_use_stays_until_another_has_come_as_far(store: Arc<dyn Store>) {
    for model in ["m", "other"] {
        store.new_generation(model).await.unwrap();
        store.new_generation(model).await.unwrap();
        fold(store.as_ref(), model, 1, (0, 5), &[doc("T", "1", b"old")]).await;
        fold(store.as_ref(), model, 2, (0, 4), &[doc("T", "1", b"new")]).await;
    }
    let before = store.generations("m").await.unwrap();
    assert!(!store.activate("m", 2).await.unwrap());
    assert_eq!(store.generations("m").await.unwrap(), before);
    fold(store.as_ref(), "m", 2, (4, 5), &[doc("T", "2", b"new")]).await;

    store.drop_unused("other").await.unwrap();
    let row =
        |model: &str, generation| ModelRow { model: model.into(), generation, position: 5, active: true };
    assert_eq!(store.generations("other").await.unwrap(), [row("other", 1)]);
    let list = async |model: &str, generation| {
        store.list(model, generation, &trial("T"), "", None, 10).await.unwrap().len()
    };
    assert_eq!((list("other", 1).await, list("other", 2).await), (1, 0));
    assert!(matches!(store.activate("other", 2).await, Err(StoreError::Overtaken(_))));
    assert!(matches!(store.begin_model("other", 2, 4).await.err(), Some(StoreError::Overtaken(_))));

    assert_eq!((list("m", 1).await, list("m", 2).await), (1, 2));
    assert!(store.activate("m", 2).await.unwrap());
    assert_eq!(store.generations("m").await.unwrap(), [row("m", 2)]);
    assert_eq!((list("m", 1).await, list("m", 2).await), (0, 2));
}
