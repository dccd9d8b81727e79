//! A disk that takes no more.

use std::process::Command;

use crate::log::Log;
use crate::program::{Home, Running};

/// The shell's limit on the size of files stands in for the disk: with its signal ignored, a write above it fails.
#[test]
fn a_witness_that_cannot_store_stops_and_has_told_nobody_what_is_lost() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    drop(home.start(&[&log]));
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", crate::program::program()]);
    let mut witness = Running::start(home.wrapped(shell, &[&log]));
    let mut size = 0;
    let failed = loop {
        let answer = witness.post(log.body(size, size + 1));
        if answer.status != 200 {
            break answer;
        }
        size += 1;
    };
    assert_eq!(failed.status, 503, "{failed:?}");
    assert!(size > 3, "the limit allows for a few: {size}");
    // Whatever is asked while it ends is not cosigned.
    assert!(witness.try_post(log.body(size, size + 1)).is_none_or(|answer| answer.status == 503));
    assert_eq!(witness.ended(), Some(1));

    let witness = home.start(&[&log]);
    assert_eq!(witness.size(&log), size);
    assert_eq!(witness.post(log.body(size, size + 1)).status, 200);
}
