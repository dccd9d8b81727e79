//! Ingest as its callers meet it: over HTTP, on a ledger in memory.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod delegation;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod spool;
#[cfg(test)]
mod submissions;
#[cfg(test)]
mod support;
