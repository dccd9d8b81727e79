//! Who goes first.

use tokio::task::JoinHandle;

use super::*;
use crate::Appended;

/// Sends an append of one event, and waits until it is in the queue.
async fn send(
    bench: &Bench,
    n: u64,
    in_background: bool,
) -> JoinHandle<std::result::Result<Appended, AppendError>> {
    let (writer, sent) =
        (bench.writer.clone(), append(n, &trial(1), stream(u128::from(n)), Some(0), &[b"a"]));
    let sending = tokio::spawn(async move {
        if in_background { writer.append_in_background(sent).await } else { writer.append(sent).await }
    });
    tokio::task::yield_now().await;
    sending
}

#[tokio::test]
async fn the_foreground_overtakes_the_background() {
    let settings = WriterSettings {
        background_events: 2,
        background_waits: Duration::from_mins(1),
        ..WriterSettings::default()
    };
    let bench = bench(settings);
    begin(&bench, &trial(1)).await;
    // The first append is under way while the others come.
    let held = bench.store.store.begin_append().await.unwrap();
    let mut sending = Vec::new();
    for n in 1..=6 {
        sending.push(send(&bench, n, n != 5).await);
    }
    drop(held);
    let mut places = Vec::new();
    for sent in sending {
        places.push(sent.await.unwrap().unwrap().events[0].position);
    }
    assert_eq!(places, [1, 3, 4, 5, 2, 6], "5 comes before the others that waited, and these stay in order");
}

#[tokio::test]
async fn the_background_has_a_share_once_it_has_waited_however_much_is_in_the_foreground() {
    let settings = WriterSettings {
        batch_events: 4,
        background_events: 1,
        background_waits: Duration::ZERO,
        ..WriterSettings::default()
    };
    let bench = bench(settings);
    begin(&bench, &trial(1)).await;
    let held = bench.store.store.begin_append().await.unwrap();
    let under_way = send(&bench, 1, false).await;
    let mut foreground = Vec::new();
    for n in 2..=10 {
        foreground.push(send(&bench, n, false).await);
    }
    let background = [send(&bench, 11, true).await, send(&bench, 12, true).await];
    drop(held);
    under_way.await.unwrap().unwrap();
    let mut places = Vec::new();
    for sent in background.into_iter().chain(foreground) {
        places.push(sent.await.unwrap().unwrap().events[0].position);
    }
    // Batches of four: one of the background each, and three of the foreground.
    assert_eq!(places, [2, 6, 3, 4, 5, 7, 8, 9, 10, 11, 12]);
}
