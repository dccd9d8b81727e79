//! HTTP/1.1 over one connection at the price of two system calls a request: the client shares the machine with what it
//! measures.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// Longest answer; the service answers a request of ten events with some four thousand bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// A connection to the service, with a token.
pub(super) struct Wire {
    stream: TcpStream,
    /// What stands in the head of every request.
    head: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Wire {
    /// Connects to `address`, which is `http://` with a host and a port.
    pub(super) fn open(address: &str, token: &str) -> Result<Self> {
        let host = address.strip_prefix("http://").context("the service does not speak plain HTTP")?;
        let stream = TcpStream::connect(host).with_context(|| format!("{host} takes no connection"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let head =
            format!("host: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n");
        Ok(Self { stream, head, request: Vec::new(), answer: vec![0; LONGEST_ANSWER] })
    }

    /// Sends a command and waits until it is recorded.
    pub(super) fn post(&mut self, path: &str, key: &str, body: &str) -> Result<()> {
        self.request.clear();
        let (head, length) = (&self.head, body.len());
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\n{head}idempotency-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        self.stream.write_all(&self.request)?;
        let (status, body) = self.read()?;
        ensure!(status == 201, "POST {path} was answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(())
    }

    /// The status and the body of the next answer.
    fn read(&mut self) -> Result<(u16, &[u8])> {
        let mut read = 0;
        loop {
            if let Some((status, start, end)) = measure(&self.answer[..read])?
                && end <= read
            {
                ensure!(end == read, "the service sent more than one answer");
                return Ok((status, &self.answer[start..end]));
            }
            match self.stream.read(&mut self.answer[read..]) {
                Ok(0) => bail!("the service ended the connection, or its answer is too long"),
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("the service does not answer"),
            }
        }
    }
}

/// Of an answer whose head has come: its status, and where its body starts and ends.
fn measure(answer: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end]).context("the answer's head is no text")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let (status, length) = status.zip(length).context("the answer has no status or no length")?;
    Ok(Some((status, end + 4, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_once_its_head_is_there() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(measure(&answer[..20]).unwrap(), None);
        assert_eq!(measure(answer).unwrap(), Some((201, answer.len() - 2, answer.len())));
        assert!(measure(b"HTTP/1.1 201 Created\r\n\r\n").is_err());
    }
}
