//! TLS by programs of others: certificates of an authority that nobody knows, and a proxy in front of a server.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::{Listener, script};

/// A certificate authority of a test's own.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes one, and certificates of it for the servers with these names.
    pub fn new(names: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("trialseal-authority-").tempdir().unwrap();
        let made = script("authority.py").arg(folder.path()).args(names).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder }
    }

    fn file(&self, name: &str) -> String {
        let file = self.folder.path().join(format!("{name}.pem"));
        assert!(file.is_file(), "there is no {}", file.display());
        file.to_str().unwrap().to_owned()
    }

    /// The file of its own certificate.
    pub fn ca(&self) -> String {
        self.file("ca")
    }

    /// The file of a server's certificate and key.
    pub fn certificate(&self, name: &str) -> String {
        self.file(name)
    }

    /// Copies its own certificate to a file.
    pub fn copy_to(&self, file: &Path) {
        fs::copy(self.ca(), file).unwrap();
    }

    /// A proxy that speaks TLS by this name in front of an `http://` address.
    pub fn front(&self, name: &str, address: &str) -> Front {
        let behind = address.trim_start_matches("http://").trim_end_matches('/');
        let mut command = script("front.py");
        command.args([&self.certificate(name), behind]);
        Front(Listener::on_output(command))
    }
}

/// A proxy that speaks TLS. Ended when dropped.
#[derive(Debug)]
pub struct Front(Listener);

impl Front {
    /// Its address, where it is called so.
    pub fn address(&self, name: &str) -> String {
        let (_, port) = self.0.address.rsplit_once(':').unwrap();
        format!("https://{name}:{port}")
    }
}
