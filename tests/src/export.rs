//! Datasets: having them made, and taking them apart.

use std::fs::{self, File};
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::service::is_over;
use crate::{Client, Service};

/// Has a trial exported with its tables, and gives the ZIP.
pub fn export(service: &Service, client: &Client, trial: &str) -> Vec<u8> {
    let (at, done) = try_export(service, client, trial);
    assert_eq!(done["state"], "done", "{done}");
    client.get(&format!("{at}/dataset.zip")).expect(200).body
}

/// Has a trial exported where that may fail; answers its address and how it ended.
pub fn try_export(service: &Service, client: &Client, trial: &str) -> (String, Value) {
    static EXPORTS: AtomicU64 = AtomicU64::new(0);
    let key = format!("export-{}", EXPORTS.fetch_add(1, Ordering::Relaxed));
    let body = json!({"purpose": "Tests", "tables": true});
    let answer = client.post(&format!("/v1/trials/{trial}/exports"), &key, &body).expect(202);
    let at = answer.header("location").to_owned();
    let done = service.wait("the export ends", || Some(client.json(&at)).filter(is_over));
    (at, done)
}

/// Unpacks a ZIP into a folder; answers the names of its files.
pub fn unpack(zip: &[u8], folder: &Path) -> Vec<String> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut names = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        names.push(name);
    }
    names
}

/// Packs files of a folder into a ZIP.
pub fn zip_of(folder: &Path, names: &[String], to: &Path) {
    let mut zip = ZipWriter::new(File::create(to).unwrap());
    for name in names {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(name, options).unwrap();
        zip.write_all(&fs::read(folder.join(name)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
}
