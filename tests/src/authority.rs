//! A timestamp authority (RFC 3161) outside of the service: `openssl ts` behind a few lines of HTTP.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

const CONFIG: &str = "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\n\
     [root]\nbasicConstraints = critical,CA:TRUE\n\
     [tsa]\nextendedKeyUsage = critical,timeStamping\n\
     [answers]\nserial = serial\ncrypto_device = builtin\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n\
     accuracy = secs:1\nordering = no\ntsa_name = yes\ness_cert_id_chain = no\n";

/// How an authority answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// As it should.
    Soundly,
    /// Not at all, for as long as this lasts.
    Never,
    /// With bytes that are no timestamp.
    Garbage,
    /// With HTTP status 500.
    Failure,
    /// That it does not stamp.
    Rejection,
    /// With what it answered before, which was to another request.
    TheOneBefore,
    /// With a certificate of somebody else's.
    AsAnother,
}

/// The authority. It listens for as long as the test lasts.
#[derive(Debug)]
pub struct TimeAuthority {
    inner: Arc<Inner>,
    /// Where it listens.
    pub url: String,
}

#[derive(Debug)]
struct Inner {
    folder: TempDir,
    answers: Mutex<Answers>,
    asked: AtomicU64,
}

impl TimeAuthority {
    /// Starts one whose keys are of a kind: `rsa` or `ec`.
    pub fn start(kind: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("trialseal-authority-").tempdir().unwrap();
        fs::write(folder.path().join("conf"), CONFIG).unwrap();
        for name in ["ours", "another"] {
            certificates(folder.path(), name, kind);
        }
        let (answers, asked) = (Mutex::new(Answers::Soundly), AtomicU64::new(0));
        let inner = Arc::new(Inner { folder, answers, asked });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tsa", listener.local_addr().unwrap());
        let serving = Arc::clone(&inner);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever asked may have gone again.
                drop(stream.and_then(|stream| serving.serve(stream)));
            }
        });
        Self { inner, url }
    }

    /// Changes how it answers.
    pub fn answer(&self, answers: Answers) {
        *self.inner.answers.lock().unwrap() = answers;
    }

    /// How often it was asked.
    pub fn asked(&self) -> u64 {
        self.inner.asked.load(Ordering::SeqCst)
    }

    /// The file of its root.
    pub fn root(&self) -> String {
        self.file("ours-ca.pem")
    }

    /// The file of a root that has nothing to do with it.
    pub fn another_root(&self) -> String {
        self.file("another-ca.pem")
    }

    fn file(&self, name: &str) -> String {
        self.inner.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// What OpenSSL says of a reply.
    pub fn accepts(&self, reply: &Path, note: &Path) -> bool {
        let mut openssl = Command::new("openssl");
        openssl.args(["ts", "-verify", "-CAfile", &self.root(), "-in"]).arg(reply).arg("-data").arg(note);
        openssl.output().unwrap().status.success()
    }
}

impl Inner {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut query = vec![0; length];
        reader.read_exact(&mut query)?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answers = *self.answers.lock().unwrap();
        while answers == Answers::Never && *self.answers.lock().unwrap() == Answers::Never {
            thread::sleep(Duration::from_millis(50));
        }
        let (status, body) = match answers {
            Answers::Failure => ("500 Internal Server Error", b"out of order".to_vec()),
            Answers::Garbage | Answers::Never => ("200 OK", b"half past nine".to_vec()),
            answers => ("200 OK", self.reply(&query, answers)),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        )?;
        stream.write_all(&body)
    }

    fn reply(&self, query: &[u8], answers: Answers) -> Vec<u8> {
        let folder = self.folder.path();
        if answers != Answers::TheOneBefore {
            fs::write(folder.join("query"), query).unwrap();
        }
        let name = if answers == Answers::AsAnother { "another" } else { "ours" };
        // A policy that it does not have.
        let policy = if answers == Answers::Rejection { "1.2.3.4.9" } else { "1.2.3.4.1" };
        if answers == Answers::Rejection {
            openssl(folder, &format!("ts -query -data conf -sha256 -tspolicy {policy} -out query"));
        }
        openssl(
            folder,
            &format!(
                "ts -reply -config conf -section answers -queryfile query -signer {name}.pem -inkey {name}.key -sha256 \
                 -out reply"
            ),
        );
        fs::read(folder.join("reply")).unwrap()
    }
}

/// A root, and a certificate to state times with.
fn certificates(folder: &Path, name: &str, kind: &str) {
    let key = |file: &str| match kind {
        "rsa" => format!("genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {file}"),
        _ => format!("genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {file}"),
    };
    let ca = format!("{name}-ca");
    openssl(folder, &key(&format!("{ca}.key")));
    openssl(
        folder,
        &format!(
            "req -x509 -new -config conf -extensions root -key {ca}.key -days 9 -subj /CN={ca} -out {ca}.pem"
        ),
    );
    openssl(folder, &key(&format!("{name}.key")));
    openssl(folder, &format!("req -new -config conf -key {name}.key -subj /CN={name} -out {name}.csr"));
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 9 -extfile conf -extensions tsa \
             -out {name}.pem"
        ),
    );
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(folder).output();
    let output = output.expect("openssl is not installed");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
