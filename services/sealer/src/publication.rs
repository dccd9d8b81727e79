use async_trait::async_trait;

use crate::error::SealError;

/// The place where the public log is published: C2SP paths such as `checkpoint` and `tile/0/000`.
///
/// A write that failed may have been done all the same; writing the same bytes again is always right.
#[async_trait]
pub trait Publication: Send + Sync {
    /// Writes a file durably and all at once; readers see the old bytes or the new ones.
    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), SealError>;
    /// Reads a file; `None` where there is none.
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, SealError>;
    /// Removes a folder of partial tiles, if it is there.
    async fn remove_folder(&self, path: &str) -> Result<(), SealError>;
}
