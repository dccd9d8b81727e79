//! Who may do what: tokens, who holds them, and which role has which permission.
//!
//! What it is not: the rules of a trial. Which role may send which command, and when, is part of what the record means
//! and is decided in `record`; here stands only which doors of the service a role may go through at all. Tokens are
//! stored as hashes, by `store`. To add a permission: a variant of [`Permission`], its line in [`MATRIX`], and its
//! column in the test that walks the whole matrix.

pub mod http;
mod permission;
mod principal;
mod token;

pub use permission::{MATRIX, Permission, policy};
pub use principal::Principal;
pub use token::{InvalidToken, Token};
