//! A PKCS#11 token in software, as Debian has it: SoftHSM. It is one library in the process that uses it, and a folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Service, all_files};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "trialseal test";
const PIN: &str = "canary-pin-4711";

/// A token of its own, without a key yet.
#[derive(Debug)]
pub struct SoftHsm(TempDir);

impl Default for SoftHsm {
    fn default() -> Self {
        assert!(Path::new(MODULE).exists(), "SoftHSM is missing ({MODULE}): apt-get install softhsm2");
        let hsm = Self(tempfile::Builder::new().prefix("trialseal-token-").tempdir().unwrap());
        fs::create_dir(hsm.tokens()).unwrap();
        fs::write(hsm.conf(), format!("directories.tokendir = {}\n", hsm.tokens().display())).unwrap();
        hsm.write_pin(PIN);
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", LABEL, "--so-pin", "of the officer", "--pin", PIN])
            .env("SOFTHSM2_CONF", hsm.conf())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        hsm
    }
}

impl SoftHsm {
    /// What has a service use the token.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("SOFTHSM2_CONF", self.conf().display().to_string()),
            ("TRIALSEAL_PKCS11_MODULE", MODULE.to_owned()),
            ("TRIALSEAL_PKCS11_TOKEN", LABEL.to_owned()),
            ("TRIALSEAL_PKCS11_PIN_FILE", self.pin_file().display().to_string()),
        ]
    }

    /// Has a service use the token from its next start on.
    pub fn give_to(&self, service: &mut Service) {
        for (name, value) in self.settings() {
            service.set(name, &value);
        }
    }

    /// The file with the PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.0.path().join("pin")
    }

    /// Writes another PIN into that file; the token's stays what it is.
    pub fn write_pin(&self, pin: &str) {
        fs::write(self.pin_file(), format!("{pin}\n")).unwrap();
        fs::set_permissions(self.pin_file(), Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes the right PIN into it again.
    pub fn put_pin_right(&self) {
        self.write_pin(PIN);
    }

    /// The objects on the token, each in a file of its own.
    pub fn objects(&self) -> Vec<PathBuf> {
        let is_object = |file: &PathBuf| {
            file.extension().is_some_and(|ending| ending == "object") && !file.ends_with("token.object")
        };
        all_files(&self.tokens()).into_iter().filter(is_object).collect()
    }

    fn tokens(&self) -> PathBuf {
        self.0.path().join("tokens")
    }

    fn conf(&self) -> PathBuf {
        self.0.path().join("softhsm2.conf")
    }
}
