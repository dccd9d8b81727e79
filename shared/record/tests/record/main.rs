//! What the record decides and what it remembers, as given / when / then.

#[cfg(test)]
mod authority;
mod blinding;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod delegation;
mod emergency;
mod erasure;
#[cfg(test)]
mod history;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod redaction;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scenario;
mod signatures;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod submissions;
