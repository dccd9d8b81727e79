//! The timestamps of a log: what authorities outside say of its notes (section 6 of the format).

use std::collections::BTreeSet;

use trialseal_seal::proof::MAX_SEAL_LEAD_SECONDS;
use trialseal_seal::tiles::{LISTED_SIZES, decode_sizes, timestamp_path, timestamp_sizes_path};
use trialseal_seal::time::Timestamp;
use trialseal_timestamp::{Authorities, Stated};

use super::Check;
use crate::timestamp::{BEFORE_WITNESSES, is_before, stated};

/// What is known of the timestamps so far.
#[derive(Debug, Default)]
pub(super) struct Timestamps<'a> {
    /// Whom the reader trusts; nothing is checked without.
    authorities: Option<&'a Authorities>,
    /// The list that was read last, and the tree sizes that stand in it.
    list: Option<u64>,
    listed: BTreeSet<u64>,
    /// How many sizes were listed so far.
    count: usize,
    checked: u64,
    /// The earliest and the latest time.
    times: Option<(Timestamp, Timestamp)>,
}

impl<'a> Timestamps<'a> {
    pub(super) fn new(authorities: Option<&'a Authorities>) -> Self {
        Self { authorities, ..Self::default() }
    }

    fn some(&mut self, time: Timestamp) {
        self.checked += 1;
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
    }
}

impl Check<'_> {
    /// Reads the list in which a tree size would stand, once. A log that has none has no timestamps.
    ///
    /// Lists are read as the tree grows: how many there are, a checkpoint that nobody signed cannot say.
    fn list_timestamps(&mut self, size: u64) {
        let index = size / LISTED_SIZES;
        if self.timestamps.list.replace(index) == Some(index) {
            return;
        }
        self.timestamps.listed.clear();
        let path = timestamp_sizes_path(size);
        let Some(Some(list)) = self.optional(&path) else { return };
        match decode_sizes(index, &list) {
            Ok(sizes) => self.timestamps.listed.extend(sizes.into_iter().filter(|size| *size <= self.size)),
            Err(refused) => self.report.refused(&path, &refused),
        }
        self.timestamps.count += self.timestamps.listed.len();
    }

    /// Checks the timestamp of the note of a size, if there is one. `quorum_time` is the note's, where it is sound.
    pub(super) fn timestamp(&mut self, size: u64, note: Option<&[u8]>, quorum_time: Option<u64>) {
        self.list_timestamps(size);
        let Some(authorities) = self.timestamps.authorities else { return };
        if !self.timestamps.listed.contains(&size) {
            return;
        }
        let path = timestamp_path(size);
        let Some(reply) = self.required(&path) else { return };
        let Some(note) = note else {
            return self.report.missing(path, "note-missing", "the note that it is of is not there");
        };
        match stated(&reply, note, authorities) {
            Ok(stated) => self.dated_from_outside(&path, &stated, quorum_time),
            Err(refused) => self.report.timestamp_refused(path, &refused),
        }
    }

    /// Holds an authority's time against the witnesses', and against the date of the newest seal below it.
    fn dated_from_outside(&mut self, path: &str, stated: &Stated, quorum_time: Option<u64>) {
        self.timestamps.some(stated.time);
        if is_before(stated, quorum_time) {
            self.report.broken(path, "timestamp-before-witnesses", BEFORE_WITNESSES);
        }
        let latest = stated.time.seconds().saturating_add(MAX_SEAL_LEAD_SECONDS);
        if let Some((time, seal)) = self.notes.latest()
            && time.seconds() > latest
        {
            let message = format!(
                "it is dated more than {MAX_SEAL_LEAD_SECONDS} seconds after it existed, as {path} shows"
            );
            self.report.broken(format!("seal {seal}"), "seal-after-timestamp", message);
        }
    }

    pub(super) fn sum_up_timestamps(&mut self) {
        let Timestamps { authorities, count, checked, times, .. } = &self.timestamps;
        if authorities.is_none() {
            let said = if *count > 0 {
                format!("{count}, not checked: no authority is named")
            } else {
                "none".into()
            };
            return self.report.fact("timestamps", "Timestamps", said);
        }
        let (checked, times) = (*checked, *times);
        self.report.fact("timestampsChecked", "Timestamps checked", checked);
        if let Some((first, last)) = times {
            self.report.fact("firstTimestamp", "Earliest time by an authority", first.to_string());
            self.report.fact("lastTimestamp", "Latest time by an authority", last.to_string());
        }
    }
}
