//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The folder of the programs, where whoever starts the tests has built them already (`./test` does).
const FOLDER: &str = "TRIALSEAL_BIN_DIR";

/// A program: `trialseal`, `trialseal-verify` or `xtask`. Without `FOLDER` they are built first, into the folder that these
/// tests were built into.
pub fn program(name: &str) -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let program = FOUND.get_or_init(|| given().unwrap_or_else(build)).join(name);
    assert!(program.is_file(), "{} is missing", program.display());
    program
}

#[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
fn given() -> Option<PathBuf> {
    std::env::var(FOLDER).ok().map(PathBuf::from)
}

fn build() -> PathBuf {
    // target/<profile>/deps/<this test>
    let test = std::env::current_exe().expect("a test knows its own file");
    let folder = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps").to_path_buf();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--bins", "--workspace"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).status();
    assert!(built.is_ok_and(|status| status.success()), "the programs under test cannot be built");
    folder
}

/// A script of ours that uses packages of others.
pub fn script(name: &str) -> Command {
    let mut command = other("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("others").join(name));
    command
}

/// A script of ours that drives a browser, both installed where they are missing.
pub fn driver(name: &str) -> Command {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let folder =
        INSTALLED.get_or_init(|| installed("browser", "the browser is missing and could not be installed"));
    let mut command = Command::new("node");
    command.arg(folder.join(name)).env("NO_PROXY", "*").stdin(Stdio::null());
    command
}

/// Runs a script of `xtask` that installs something, and says where.
pub(crate) fn installed(script: &str, otherwise: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask").join(script);
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{otherwise}");
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

/// A program of others, which are installed where they are missing.
pub fn other(name: &str) -> Command {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let folder = INSTALLED.get_or_init(|| {
        installed("others", "other people's programs are missing and could not be installed")
    });
    let mut command = Command::new(folder.join(name));
    // Everything is on this machine.
    command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}
