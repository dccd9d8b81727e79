//! Where the data of the CDISC pilot study lie, on machines that have them.

use std::path::{Path, PathBuf};

/// The environment variable with their folder.
const FOLDER: &str = "TRIALSEAL_TEST_PILOT_DATA";

/// Where they are looked for without it: beside the repository.
const BESIDE: &str = "../shared/data/cdiscpilot01";

/// The folder of the study's Dataset-JSON files, if this machine has them. `./test` says at its start whether it has.
pub fn pilot_data() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
    let named = std::env::var(FOLDER);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = repository.join(named.as_deref().unwrap_or(BESIDE));
    folder.join("dm.json").is_file().then_some(folder)
}
