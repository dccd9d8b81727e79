//! Commands that take in a file row by row. None of them is a request body: a file is parsed by whoever receives it.

use crate::date::PartialDate;
use crate::ids::{ParticipantId, SiteId};
use crate::text::{Name, Sha256Hex};
use crate::values::{DatasetMetadata, ImportedRecord, value};

value! {
    /// Begin to take in a file.
    pub struct StartImport {
        /// What the file says of itself.
        pub dataset: DatasetMetadata,
        /// SHA-256 of the whole file, as received.
        pub file_sha256: Sha256Hex,
    }

    /// Take in one row.
    pub struct ImportRow {
        /// Name of the dataset, such as `LB`.
        pub dataset: Name,
        /// Place of the row in the file, from 0.
        pub row: u64,
        /// Whose row it is; absent for rows about the trial.
        pub subject: Option<ImportSubject>,
        /// The values, by column name.
        pub record: ImportedRecord,
        /// When what it tells of was collected or took place, where the row says so in a date that can be read.
        pub collected_on: Option<PartialDate>,
        /// Who or what the values came from, where the row says so.
        pub originator: Option<Name>,
    }

    /// Whose row it is.
    pub struct ImportSubject {
        /// The participant with this subject number, if the record knows one. If it does not, the row makes one.
        pub participant: Option<ParticipantId>,
        /// The subject number in the file.
        pub subject_number: Name,
        /// The site with this site number, if the record knows one.
        pub site: Option<SiteId>,
        /// The site number in the file, where it has one.
        pub site_number: Option<Name>,
    }

    /// End an import.
    pub struct CompleteImport {
        /// Number of rows taken.
        pub rows: u64,
        /// Number of rows taken with an exception.
        pub exceptions: u64,
    }
}
