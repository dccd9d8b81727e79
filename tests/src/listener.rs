//! Any other program that listens at an address which it names.

use std::io::{BufRead as _, BufReader, Read, copy, sink};
use std::process::{Child, Command, Stdio};
use std::thread;

/// A program that listens. Killed when dropped.
#[derive(Debug)]
pub struct Listener {
    child: Child,
    /// What it said before it named its address, line by line.
    pub said: Vec<String>,
    /// The address.
    pub address: String,
}

impl Listener {
    /// Starts a program that says `listening on <address>` on its standard output.
    pub fn on_output(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        Self::wait(child, output)
    }

    /// Starts a program that says so on its standard error.
    pub fn on_error(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.stderr.take().unwrap();
        Self::wait(child, output)
    }

    fn wait(child: Child, output: impl Read + Send + 'static) -> Self {
        let (mut lines, mut said) = (BufReader::new(output), Vec::new());
        loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it does not listen: {said:#?}");
            if let Some((_, address)) = line.split_once("listening on ") {
                let address = address.split_whitespace().next().unwrap().to_owned();
                // What it says later must not fill the pipe.
                thread::spawn(move || copy(&mut lines, &mut sink()));
                return Self { child, said, address };
            }
            said.push(line.trim_end().to_owned());
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
