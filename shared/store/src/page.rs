//! How many rows are read at once: so many, and no more bytes than anybody can be expected to hold.

use crate::rows::{Doc, EventRow};

/// Bytes of bodies with which a page ends. One body can have a megabyte, so that a number of rows alone bounds nothing.
pub const PAGE_BYTES: usize = 8 << 20;

/// A row that pages are made of.
pub trait PageRow {
    /// The bytes of its body.
    fn body_bytes(&self) -> usize;
}

impl PageRow for EventRow {
    fn body_bytes(&self) -> usize {
        self.body.len()
    }
}

impl PageRow for Doc {
    fn body_bytes(&self) -> usize {
        self.body.len()
    }
}

/// A page that is being filled, row by row, in the order of reading.
#[derive(Debug)]
pub struct Page<R> {
    rows: Vec<R>,
    limit: usize,
    bytes: usize,
}

impl<R: PageRow> Page<R> {
    /// An empty page for up to `limit` rows.
    pub fn new(limit: u32) -> Self {
        Self { rows: Vec::new(), limit: limit as usize, bytes: 0 }
    }

    /// Whether the page ends here, though there may be more to read.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= self.limit || self.bytes >= PAGE_BYTES
    }

    /// Adds a row; the one that reaches [`PAGE_BYTES`] is the page's last.
    pub fn push(&mut self, row: R) {
        self.bytes += row.body_bytes();
        self.rows.push(row);
    }

    /// The rows.
    pub fn into_rows(self) -> Vec<R> {
        self.rows
    }

    /// The first page of `rows`.
    pub fn of(rows: impl IntoIterator<Item = R>, limit: u32) -> Vec<R> {
        let mut page = Self::new(limit);
        let mut rows = rows.into_iter();
        while !page.is_full()
            && let Some(row) = rows.next()
        {
            page.push(row);
        }
        page.rows
    }
}

/// Whether more may follow a page that was asked for with `limit`. Where not, nothing did when it was read.
pub fn may_go_on<R: PageRow>(page: &[R], limit: u32) -> bool {
    page.len() >= limit as usize || page.iter().map(PageRow::body_bytes).sum::<usize>() >= PAGE_BYTES
}
