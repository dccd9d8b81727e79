//! The events of a trial, in order: each against the one before it, the seals around it, and the sealed head.

use std::collections::HashMap;

use trialseal_seal::event::{AfterSeal, Header};
use trialseal_seal::hash::sha256;
use trialseal_seal::proof::HeadProof;

use super::{Reader, TrialPlace};
use crate::finding::{Finding, Step};

/// Events of one answer.
const PAGE: u64 = 200;
/// Most findings about single events in one pass.
const MAX_FINDINGS: usize = 100;

/// Reads events up to a head.
pub(super) struct Events<'a> {
    reader: &'a Reader<'a>,
    place: TrialPlace,
    head: HeadProof,
    /// The first event that was recorded while the trial was being followed: from here on it is checked which seal covers
    /// what.
    watched_from: u64,
    findings: Vec<Finding>,
    /// Sizes of the trial under seals, as far as they were asked for.
    sizes: HashMap<u64, u64>,
    /// For each seal that events name, the first and the last of them.
    named: Vec<Named>,
}

/// Events in a row that name the same seal in `afterseal`.
#[derive(Debug)]
struct Named {
    after: Option<AfterSeal>,
    first: u64,
    last: Header,
}

impl<'a> Events<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, place: TrialPlace, head: HeadProof, watched_from: u64) -> Self {
        let (findings, named, sizes) = (Vec::new(), Vec::new(), HashMap::new());
        Self { reader, place, head, watched_from, findings, sizes, named }
    }

    pub(super) fn into_place(self) -> TrialPlace {
        self.place
    }

    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Reads all events that the head covers and that were not read yet.
    pub(super) fn read(&mut self) -> Step<()> {
        while self.place.tree.size() < self.head.head.size {
            let from = self.place.tree.size();
            let after = from.checked_sub(1).map(|after| format!("&after={after}")).unwrap_or_default();
            let route = format!("events?limit={PAGE}{after}");
            let body = self.reader.ask(&route)?;
            let body = body.ok_or_else(|| self.missing(from))?;
            let answer = self.reader.json(&route, &body)?;
            let events = answer["events"].as_array().filter(|events| !events.is_empty());
            let events = events.ok_or_else(|| self.missing(from).with("answer.json", body.clone()))?;
            for event in events {
                if self.place.tree.size() == self.head.head.size {
                    break;
                }
                let place = self.place.tree.size();
                let header = Header::parse(&event["header"]).map_err(|refused| {
                    Finding::refused(self.record(place), &refused).with("answer.json", body.clone())
                })?;
                if event["eventleaf"].as_str() != Some(&header.leaf().to_string()) {
                    let message = "its header does not hash to the eventleaf that is shown with it";
                    self.find(place, &header, "eventleaf-differs", message);
                }
                self.take(place, header)?;
            }
        }
        Ok(())
    }

    fn record(&self, place: u64) -> String {
        format!("event {place} of trial {}", self.reader.trial)
    }

    fn missing(&self, place: u64) -> Finding {
        let message = format!(
            "the ledger does not show it, though {} events are sealed under seal {}",
            self.head.head.size, self.head.seal.seal
        );
        Finding::alarm("event-missing", self.record(place), message).with("head.json", self.head_text())
    }

    fn head_text(&self) -> String {
        self.head.to_value().to_string()
    }

    fn find(&mut self, place: u64, header: &Header, code: &str, message: &str) {
        if self.findings.len() < MAX_FINDINGS {
            let finding = Finding::alarm(code, self.record(place), message)
                .with("header.json", header.canonical())
                .with("head.json", self.head_text());
            self.findings.push(finding);
        }
    }

    /// Takes the event at a place.
    fn take(&mut self, place: u64, header: Header) -> Step<()> {
        let mut broken = Vec::new();
        let mut rule = |holds: bool, code, message| {
            if !holds {
                broken.push((code, message));
            }
        };
        rule(header.trial == self.reader.trial, "head-of-another-trial", "it belongs to another trial");
        let ledger = &self.reader.log.checkpoint.origin;
        rule(header.source == *ledger, "another-ledger", "it belongs to another ledger");
        let in_place = u64::from(header.trialseq) == place;
        rule(in_place, "record-place", "it says another place in the trial than it stands at");
        let in_time = Some(header.time) >= self.place.time;
        rule(in_time, "record-time", "it is dated before the event before it");
        let before_seal = header.time <= self.head.seal.time;
        rule(before_seal, "event-after-seal", "it is dated after the seal that covers it");
        let stream = sha256(header.subject.as_bytes());
        let next = self.place.streams.get(&stream).map_or(0, |last| last + 1);
        rule(header.streamseq == next, "stream-order", "it is not the next event of its stream");
        if let Some(after) = header.afterseal {
            let named = self.reader.log.seal_leaf(after.seal)?;
            let is_there = named.is_some_and(|named| named.leaf == after.leaf);
            rule(is_there, "after-seal-differs", "it names a seal that the log does not have");
            let later = named.is_none_or(|named| header.time >= named.time);
            rule(later, "event-before-seal", "it is dated before the seal that it says it came after");
        }
        for (code, message) in broken {
            self.find(place, &header, code, message);
        }
        self.place.streams.insert(stream, header.streamseq);
        self.place.time = self.place.time.max(Some(header.time));
        self.place.tree.push(header.leaf());
        if place >= self.watched_from {
            self.name(place, header);
        }
        Ok(())
    }

    fn name(&mut self, place: u64, header: Header) {
        match self.named.last_mut() {
            Some(named) if named.after == header.afterseal => named.last = header,
            _ => self.named.push(Named { after: header.afterseal, first: place, last: header }),
        }
    }

    /// Compares the tree of the events with the sealed head, and the seals that events name with those that cover them.
    /// `growth` is the proof that showed the head.
    pub(super) fn finish(&mut self, growth: &[u8]) -> Step<()> {
        if self.place.tree.root() != self.head.head.root {
            let message = format!(
                "the {} events that the ledger shows are not those that it sealed under seal {}",
                self.head.head.size, self.head.seal.seal
            );
            let finding = Finding::alarm("record-root", self.reader.record(), message);
            self.findings.push(finding.with("growth.json", growth));
        }
        for named in std::mem::take(&mut self.named) {
            self.bracket(&named)?;
        }
        Ok(())
    }

    /// Events that name seal k have to be under seal k + 1 or k + 2 first of all; without one, under seal 0 or 1. `time`
    /// is not later than that of the seal that covers them first.
    fn bracket(&mut self, named: &Named) -> Step<()> {
        let first = named.after.map_or(0, |after| after.seal.saturating_add(1));
        let last = &named.last;
        let place = u64::from(last.trialseq);
        if let Some(after) = named.after
            && self.size(after.seal)? > named.first
        {
            let message = "it was under the seal already that it says it came after";
            self.find(place, last, "outside-bracket", message);
        }
        let covered_first = self.size(first)? > place;
        let covered = if covered_first { first } else { first.saturating_add(1) };
        if !covered_first && self.size(covered)? <= place {
            let message = "it was sealed later than by the second seal after the one that it names";
            self.find(place, last, "outside-bracket", message);
        } else if let Some(seal) = self.reader.log.seal_leaf(covered)?
            && last.time > seal.time
        {
            self.find(place, last, "event-after-seal", "it is dated after the seal that covers it first");
        }
        Ok(())
    }

    /// The trial's size under a seal; under one that the log does not have yet, that under the newest.
    fn size(&mut self, seal: u64) -> Step<u64> {
        let newest = self.head.seal.seal;
        if seal >= newest {
            return Ok(self.head.head.size);
        }
        if let Some(size) = self.sizes.get(&seal) {
            return Ok(*size);
        }
        let size = self.reader.head(seal, newest)?.map_or(0, |head| head.size);
        self.sizes.insert(seal, size);
        Ok(size)
    }
}
