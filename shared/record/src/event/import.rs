//! Events of taking in a file.

use crate::ids::ImportId;
use crate::text::{Name, Sha256Hex};
use crate::values::{DatasetMetadata, Exception, ImportedRecord, value};

value! {
    /// An import began. The first event of the import's stream.
    pub struct ImportStarted {
        /// What the file says of itself.
        pub dataset: DatasetMetadata,
        /// SHA-256 of the whole file, as received.
        pub file_sha256: Sha256Hex,
    }

    /// A row of a file was taken in: in the participant's stream, or in the import's where the row is about no one.
    pub struct DataImported {
        /// The import.
        pub import: ImportId,
        /// Name of the dataset, such as `LB`.
        pub dataset: Name,
        /// Place of the row in the file, from 0.
        pub row: u64,
        /// The values, by column name.
        pub record: ImportedRecord,
        /// The rules of this record that the row does not meet. It is taken all the same, since what it tells has
        /// happened already.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub exceptions: Vec<Exception>,
        /// Who or what the values came from, where the row says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }

    /// An import ended: every row of the file is in the record.
    pub struct ImportCompleted {
        /// Number of rows taken.
        pub rows: u64,
        /// Number of rows taken with an exception.
        pub exceptions: u64,
    }
}
