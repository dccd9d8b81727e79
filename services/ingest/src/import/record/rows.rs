//! The rows of a file as commands, chunk by chunk, read on a thread of its own.

use std::io::Read;
use std::ops::ControlFlow;

use tokio::sync::mpsc;
use trialseal_record::Command;
use trialseal_record::command::{ImportRow, ImportSubject};
use trialseal_record::ids::ImportId;
use trialseal_record::text::Name;

use super::Failed;
use crate::import::cells::{Columns, Row};
use crate::import::dataset::for_each_row;

/// Rows of one chunk. A chunk is one transaction, and whoever sends a single command meanwhile waits for its end.
pub(super) const CHUNK_ROWS: usize = 50;

/// Bytes of one chunk at the most, names of columns included, but for its last row.
const CHUNK_BYTES: usize = 4 << 20;

/// Chunks that are read before they are asked for.
const CHUNKS_AHEAD: usize = 2;

/// The rows of one chunk. Where chunks end follows from the file alone, so that a chunk is the same after a restart.
pub(super) type Rows = Vec<Command>;

/// Starts to read `file`.
pub(super) fn read(
    file: impl Read + Send + 'static,
    columns: Columns,
    import: ImportId,
    dataset: Name,
) -> mpsc::Receiver<Result<Rows, Failed>> {
    let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut reader = Reader { columns, import, dataset, chunks, rows: Rows::new(), bytes: 0 };
        reader.run(file);
    });
    received
}

struct Reader {
    columns: Columns,
    import: ImportId,
    dataset: Name,
    chunks: mpsc::Sender<Result<Rows, Failed>>,
    rows: Rows,
    bytes: usize,
}

impl Reader {
    fn run(&mut self, file: impl Read) {
        let mut failed = None;
        let read = for_each_row(file, |raw| match self.columns.row(&raw.json) {
            Ok(row) => {
                self.bytes += raw.json.get().len() + self.columns.names_bytes();
                let command = self.command(raw.row, row);
                self.rows.push(command);
                self.hand_on_if_full()
            }
            Err(bad) => {
                failed = Some(Failed::new(format!("row {} was sound before: {}", raw.row, bad.message)));
                ControlFlow::Break(())
            }
        });
        let failed = failed.or(read.err().map(Failed::new));
        // Where nobody receives any more, the import has broken off and has said why.
        let _ = match failed {
            Some(failed) => self.chunks.blocking_send(Err(failed)),
            None if !self.rows.is_empty() => self.chunks.blocking_send(Ok(std::mem::take(&mut self.rows))),
            None => Ok(()),
        };
    }

    fn command(&self, row: u64, read: Row) -> Command {
        let Row { record, subject, site, collected_on } = read;
        let subject = subject.map(|subject_number| ImportSubject {
            participant: None,
            subject_number,
            site: None,
            site_number: site,
        });
        let dataset = self.dataset.clone();
        Command::ImportRow(
            self.import,
            ImportRow { dataset, row, subject, record, collected_on, originator: None },
        )
    }

    fn hand_on_if_full(&mut self) -> ControlFlow<()> {
        if self.rows.len() < CHUNK_ROWS && self.bytes < CHUNK_BYTES {
            return ControlFlow::Continue(());
        }
        self.bytes = 0;
        match self.chunks.blocking_send(Ok(std::mem::take(&mut self.rows))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
