mod access;
mod delegations;
mod pages;
mod proofs;
mod reading;
mod submission_keys;
