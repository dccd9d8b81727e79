//! Lines of a stream of bytes, each bounded.

use std::io::{self, BufRead};

/// Longest line that is read, bytes. An event of 1 MiB of data has some 1.2 MiB, and where it is shown in part up to ten
/// times as much; how many values a line may have is bounded besides ([`trialseal_seal::canonical::MAX_VALUES`]).
pub(crate) const MAX_LINE_BYTES: usize = 32 << 20;

/// Gives `take` each line without its newline, and whether there was one (only the last line can lack it).
///
/// # Errors
/// Those of the reader, and [`io::ErrorKind::FileTooLarge`] for a line above [`MAX_LINE_BYTES`].
pub(crate) fn for_each(
    mut reader: impl BufRead,
    mut take: impl FnMut(&[u8], bool) -> io::Result<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return if line.is_empty() { Ok(()) } else { take(&line, false) };
        }
        let (part, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&buffer[..end], true),
            None => (buffer, false),
        };
        if line.len() + part.len() > MAX_LINE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(ended);
        reader.consume(used);
        if ended {
            take(&line, true)?;
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_newlines_alone() {
        let read = |text: &[u8]| {
            let mut lines = Vec::new();
            let reader = io::BufReader::with_capacity(2, text);
            for_each(reader, |line, ended| {
                lines.push((String::from_utf8_lossy(line).into_owned(), ended));
                Ok(())
            })
            .unwrap();
            lines
        };
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n"), [(String::new(), true)]);
        assert_eq!(read(b"abc\r\nd"), [("abc\r".into(), true), ("d".into(), false)]);
    }
}
