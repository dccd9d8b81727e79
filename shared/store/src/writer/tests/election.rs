//! What the writer answers when another process is elected.

use super::*;

#[tokio::test]
async fn nothing_is_recorded_once_another_process_is_elected() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let sent = append(1, &trial(1), stream(1), Some(0), &[b"a"]);
    bench.store.store.stand(OTHER, Duration::from_mins(1)).await.unwrap();
    assert!(matches!(bench.writer.append(sent.clone()).await, Err(AppendError::Deposed)));
    assert_eq!(bench.store.store.head().await.unwrap().position, 1);
    bench.store.store.resign(OTHER).await.unwrap();
    assert!(!bench.writer.append(sent).await.unwrap().replayed);
}

/// The connection breaks at the commit, and before it is back another process is elected.
#[tokio::test]
async fn a_commit_in_doubt_of_a_deposed_process_is_looked_up_too() {
    let lost = bench(WriterSettings::default());
    begin(&lost, &trial(1)).await;
    lost.store.fault.store(4, Ordering::SeqCst);
    let sent = append(1, &trial(1), stream(1), Some(0), &[b"a"]);
    assert!(matches!(lost.writer.append(sent.clone()).await, Err(AppendError::Deposed)));

    // It is there, but whether this process put it there, or the one that was elected, the look cannot tell.
    let done = bench(WriterSettings::default());
    begin(&done, &trial(1)).await;
    done.store.fault.store(5, Ordering::SeqCst);
    let answer = done.writer.append(sent.clone()).await;
    assert!(matches!(answer, Err(AppendError::Store { in_doubt: true, .. })), "{answer:?}");
    assert!(done.store.store.command(&sent.command).await.unwrap().is_some());
}
