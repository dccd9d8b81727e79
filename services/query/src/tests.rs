mod access;
mod pages;
mod proofs;
mod reading;
