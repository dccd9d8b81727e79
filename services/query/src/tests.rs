mod access;
mod delegations;
mod pages;
mod proofs;
mod reading;
mod signatures;
mod submission_keys;
