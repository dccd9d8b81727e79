mod pages;
mod proofs;
mod reading;
