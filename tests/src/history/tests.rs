//! The checker notices what it is there for.

use serde_json::json;

use super::*;

fn event(trialseq: u64) -> Event {
    Event {
        id: format!("id {trialseq}"),
        trialseq,
        kind: "data.recorded".into(),
        subject: "participant/1".into(),
        time: format!("2026-01-01T00:00:{trialseq:02}.000000Z"),
        eventleaf: format!("leaf {trialseq}"),
    }
}

/// Two events were there before. Then came six commands: of two events, of one, the next of which was sent again, and a last
/// one that was never acknowledged but is recorded.
fn sound() -> (History, Vec<Recorded>) {
    let before: Vec<Event> = (0..2).map(event).collect();
    let mut record: Vec<Recorded> =
        before.iter().map(|event| Recorded { event: event.clone(), mark: None }).collect();
    let mut commands = Vec::new();
    for (number, events) in [2, 1, 1, 2, 1, 1].into_iter().enumerate() {
        let first = record.len() as u64;
        let marks: Vec<String> = (0..events).map(|place| format!("{number}.{place}")).collect();
        let events: Vec<Event> = (first..).take(events).map(event).collect();
        record.extend(
            events
                .iter()
                .zip(&marks)
                .map(|(event, mark)| Recorded { event: event.clone(), mark: Some(mark.clone()) }),
        );
        let acknowledged = match number {
            2 => vec![
                Acknowledgement { events: events.clone(), replayed: true },
                Acknowledgement { events, replayed: true },
            ],
            5 => Vec::new(),
            _ => vec![Acknowledgement { events, replayed: false }],
        };
        commands.push(Command {
            key: number.to_string(),
            route: "data".into(),
            body: json!({}),
            marks,
            acknowledged,
        });
    }
    (History { before, commands }, record)
}

/// Spoils a sound history, or its record, and has it noticed.
#[track_caller]
fn assert_noticed(says: &str, spoil: impl FnOnce(&mut History, &mut Vec<Recorded>)) {
    let (mut history, mut record) = sound();
    spoil(&mut history, &mut record);
    let findings = history.findings(&record);
    assert!(findings.iter().any(|finding| finding.contains(says)), "{says}: {findings:?}");
}

/// Counts the places anew, so that nothing is wrong with them.
fn close_gaps(record: &mut [Recorded]) {
    for (place, recorded) in (0..).zip(record) {
        recorded.event.trialseq = place;
    }
}

#[test]
fn what_is_sound_is_called_sound() {
    let (history, record) = sound();
    assert_eq!(history.findings(&record), Vec::<String>::new());
    assert_eq!(history.acknowledgements(), 6);
}

#[test]
fn what_was_never_acknowledged_may_be_missing() {
    let (history, mut record) = sound();
    record.pop();
    assert_eq!(history.findings(&record), Vec::<String>::new());
}

#[test]
fn what_was_lost_is_missed() {
    // The newest ones, as after a failover; one in the middle; one of two of the same command.
    assert_noticed("4 was acknowledged and is not recorded", |_, record| record.truncate(8));
    assert_noticed("event 4 should", |_, record| drop(record.remove(4)));
    assert_noticed("1 was acknowledged and is not recorded", |_, record| {
        record.remove(4);
        close_gaps(record);
    });
    assert_noticed("0 is recorded in part", |_, record| drop(record.remove(3)));
    assert_noticed("event 1 was there before", |_, record| drop(record.remove(1)));
}

#[test]
fn what_was_doubled_is_noticed() {
    assert_noticed("1 is recorded more than once", |_, record| {
        let mut again = record[4].clone();
        again.event = event(record.len() as u64);
        record.push(again);
    });
    assert_noticed("has the id or the hash", |_, record| record[6].event.id.clone_from(&event(5).id));
    assert_noticed("has the id or the hash", |_, record| {
        record[6].event.eventleaf.clone_from(&event(5).eventleaf);
    });
    // A command that nobody was told of.
    assert_noticed("5 is recorded more than once", |_, record| {
        let mut again = record[9].clone();
        again.event = event(10);
        record.push(again);
    });
}

#[test]
fn what_was_changed_is_noticed() {
    let other = |change: fn(&mut Event)| {
        assert_noticed("acknowledgement 0 of 1 says", move |_, record| change(&mut record[4].event));
    };
    other(|event| event.id.push('x'));
    other(|event| event.eventleaf.push('x'));
    other(|event| event.subject.push('x'));
    other(|event| event.kind.push('x'));
    other(|event| event.time.push('x'));
    assert_noticed("acknowledgement 0 of 1 says", |_, record| {
        record.swap(4, 5);
        close_gaps(record);
    });
    assert_noticed("event 0 was there before", |_, record| record[0].event.eventleaf.push('x'));
}

#[test]
fn a_second_answer_that_differs_is_noticed() {
    assert_noticed("acknowledgement 1 of 2 says that it is new", |history, _| {
        history.commands[2].acknowledged[1].replayed = false;
    });
    assert_noticed("acknowledgement 1 of 2 says", |history, _| {
        history.commands[2].acknowledged[1].events[0].trialseq += 1;
    });
    assert_noticed("acknowledgement 0 of 0 says", |history, _| {
        history.commands[0].acknowledged[0].events.pop();
    });
}

#[test]
fn what_nobody_sent_is_noticed() {
    let foreign = |mark| move |record: &mut Vec<Recorded>| record.push(Recorded { event: event(10), mark });
    assert_noticed("other was recorded and never sent", |_, record| foreign(Some("other".into()))(record));
    assert_noticed("event 10 bears no mark", |_, record| foreign(None)(record));
    assert_noticed("two commands were sent as 0", |history, _| history.commands[1].key = "0".into());
}

#[test]
fn a_time_that_goes_back_is_noticed() {
    assert_noticed("event 9 is dated before", |_, record| record[9].event.time.clone_from(&event(7).time));
}

#[test]
fn events_of_one_command_that_are_torn_apart_are_noticed() {
    assert_noticed("the events of 0 do not follow each other", |_, record| {
        record.swap(3, 4);
        close_gaps(record);
    });
}
