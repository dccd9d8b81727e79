//! An address at which the operator answers as they like: one reader is led to another ledger, or shown an old log.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use ureq::Agent;

/// Where an answer comes from.
pub(crate) enum Source {
    /// A service.
    Service(String),
    /// A file below a folder, for paths below `/log/`.
    Folder(PathBuf),
}

/// Answers for as long as the tests run.
pub(crate) struct Front {
    pub(crate) address: String,
}

impl Front {
    /// Asks `lead` for each path where its answer comes from.
    pub(crate) fn start(lead: impl Fn(&str) -> Source + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let lead = Arc::new(lead);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let lead = Arc::clone(&lead);
                thread::spawn(move || answer(stream, lead.as_ref()));
            }
        });
        Self { address }
    }
}

fn answer(mut stream: TcpStream, lead: &dyn Fn(&str) -> Source) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(path) = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)) else { return };
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let token = head.iter().find(|line| line.to_lowercase().starts_with("authorization:"));
    let token = token.and_then(|line| line.split_once(':')).map(|(_, token)| token.trim().to_owned());
    let (status, body) = match lead(&path) {
        Source::Folder(folder) => match std::fs::read(folder.join(path.trim_start_matches("/log/"))) {
            Ok(bytes) => (200, bytes),
            Err(_) => (404, Vec::new()),
        },
        Source::Service(address) => {
            let agent: Agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
            let mut request = agent.get(format!("{address}{path}"));
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            match request.call() {
                Ok(mut answer) => (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap()),
                Err(_) => (502, Vec::new()),
            }
        }
    };
    let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // A reader may have gone away.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
