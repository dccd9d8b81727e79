//! Reading back what was recorded.

use serde_json::{Value, json};

use crate::service::is_over;
use crate::{Client, Service};

/// Most that one page holds.
const PAGE: usize = 1000;

/// All events of a trial as the caller sees them, page by page, with no gap; but for those that say who has read
/// something, since this adds some.
pub fn events_of(client: &Client, trial: &str) -> Vec<Value> {
    events_from(client, trial, 0)
}

/// The same from a place in the trial on.
pub fn events_from(client: &Client, trial: &str, from: u64) -> Vec<Value> {
    let mut events = whole_record_from(client, trial, from);
    events.retain(|event| event["header"]["type"] != "record.read");
    events
}

/// All events of a trial from a place on, those of reading as well.
pub fn whole_record_from(client: &Client, trial: &str, from: u64) -> Vec<Value> {
    let (mut events, mut next) = (Vec::new(), from);
    loop {
        let after = next.checked_sub(1).map_or_else(String::new, |last| format!("&after={last}"));
        let page = client.json(&format!("/v1/trials/{trial}/events?limit={PAGE}{after}"));
        for event in page["events"].as_array().unwrap() {
            assert_eq!(event["header"]["trialseq"], next, "the record has a gap");
            next += 1;
            events.push(event.clone());
        }
        if page["next"].is_null() {
            return events;
        }
    }
}

/// Everything that a trial's read models say; but for how far they have come, since to read them takes them further.
pub fn read_models(client: &Client, trial: &str) -> Value {
    let participants = all(client, &format!("/v1/trials/{trial}/participants"), "participants");
    let timelines: Vec<Value> = participants
        .iter()
        .map(|participant| {
            let id = participant["participant"].as_str().unwrap();
            Value::from(all(client, &format!("/v1/trials/{trial}/participants/{id}/timeline"), "entries"))
        })
        .collect();
    let mut overview = client.json(&format!("/v1/trials/{trial}/overview"));
    overview.as_object_mut().unwrap().remove("position");
    json!({
        "overview": overview,
        "participants": participants,
        "timelines": timelines,
        "data": all(client, &format!("/v1/trials/{trial}/data"), "records"),
    })
}

/// Everybody who was given data of a participant, and when.
pub fn accesses_of(client: &Client, trial: &str, participant: &str) -> Vec<Value> {
    all(client, &format!("/v1/trials/{trial}/participants/{participant}/access-log"), "accesses")
}

/// All pages of a list.
fn all(client: &Client, path: &str, member: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = client.json(&format!("{path}?limit={PAGE}{after}"));
        found.extend(page[member].as_array().unwrap().iter().cloned());
        after = match &page["next"] {
            Value::Null => return found,
            Value::String(next) => {
                format!("&after={}", next.replace('%', "%25").replace('&', "%26").replace('+', "%2B"))
            }
            next => format!("&after={next}"),
        };
    }
}

/// Waits until an import came to its end, good or bad, and answers how it stands then.
pub fn wait_for_import(service: &Service, client: &Client, at: &str) -> Value {
    service.wait("the import ends", || Some(client.json(at)).filter(is_over))
}
