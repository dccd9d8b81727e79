//! A token in software. Where its files are, SoftHSM asks the environment, once in a process: so each test runs in a process of
//! its own, with a token of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::Token;

pub(crate) const LABEL: &str = "trialseal test";
const PIN: &str = "canary-pin-4711";
const CONF: &str = "SOFTHSM2_CONF";
const OURS: &str = "TRIALSEAL_TEST_SOFTHSM";

/// Where Debian has it.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

pub(crate) fn module() -> PathBuf {
    let module = Path::new(MODULE);
    assert!(module.exists(), "SoftHSM is missing ({MODULE}): apt-get install softhsm2");
    module.to_owned()
}

/// Runs a check, given by its own name as a test, beside a token that has nothing yet.
pub(crate) fn beside<F: Future<Output = ()>>(test: &str, check: impl FnOnce() -> F) {
    if env::var_os(OURS).is_some() {
        set_up();
        return tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check());
    }
    module();
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("softhsm2.conf");
    fs::write(&conf, format!("directories.tokendir = {}\n", folder.path().display())).unwrap();
    let test = test.split_once("::").unwrap().1;
    let mut command = Command::new(env::current_exe().unwrap());
    let output =
        command.args(["--exact", test, "--nocapture"]).env(CONF, conf).env(OURS, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}

/// Makes a test of a check that runs beside a token.
macro_rules! softhsm_tests {
    ($($check:ident)*) => { $(
        mod $check {
            #[test]
            fn softhsm() {
                $crate::tests::softhsm::beside(concat!(module_path!(), "::softhsm"), super::$check);
            }
        }
    )* };
}
pub(crate) use softhsm_tests;

fn pin(pin: &str) -> AuthPin {
    AuthPin::new(pin.into())
}

fn library() -> Pkcs11 {
    let library = Pkcs11::new(module()).unwrap();
    // Once in a process.
    drop(library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)));
    library
}

fn set_up() {
    let library = library();
    let slot = library.get_slots_with_token().unwrap()[0];
    library.init_token(slot, &pin("of the officer"), LABEL).unwrap();
    let session = library.open_rw_session(slot_of(&library)).unwrap();
    session.login(UserType::So, Some(&pin("of the officer"))).unwrap();
    session.init_pin(&pin(PIN)).unwrap();
}

fn slot_of(library: &Pkcs11) -> Slot {
    library.get_slots_with_initialized_token().unwrap()[0]
}

/// The token, with a PIN that need not be the right one.
pub(crate) fn token_with(pin: &str) -> Token {
    Token::new(module(), LABEL.to_owned(), &Zeroizing::new(pin.to_owned()))
}

pub(crate) fn token() -> Token {
    token_with(PIN)
}

/// A session of somebody else who knows the PIN.
pub(crate) fn session() -> Session {
    session_with(PIN)
}

fn session_with(right: &str) -> Session {
    let library = library();
    let session = library.open_rw_session(slot_of(&library)).unwrap();
    // Logged in already, it may be, by another session of this process.
    drop(session.login(UserType::User, Some(&pin(right))));
    session
}

/// Gives the token another PIN.
pub(crate) fn change_pin(other: &str) {
    session().set_pin(&pin(PIN), &pin(other)).unwrap();
}

/// Logs everybody in this process out, as a token does that was pulled and put back.
pub(crate) fn log_out() {
    log_out_of(PIN);
}

/// As [`log_out`], of a token with another PIN.
pub(crate) fn log_out_of(right: &str) {
    session_with(right).logout().unwrap();
}

/// Takes all sessions of this process away.
pub(crate) fn end_all_sessions() {
    library().finalize().unwrap();
}
