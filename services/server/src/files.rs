//! Small files that must be whole or not there at all, whenever the process ends.

use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes beside the file, syncs, renames it into place and syncs the folder.
pub(crate) fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let beside = file.with_extension("new");
    // What a write that was cut short left behind may be anything.
    let _ = fs::remove_file(&beside);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&beside, file)?;
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_whole_whatever_was_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log.key");
        fs::write(dir.path().join("log.new"), "half").unwrap();
        write(&file, b"whole", 0o600).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"whole");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!dir.path().join("log.new").exists());
    }
}
