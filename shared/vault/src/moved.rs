use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::keys::KeyManagement;
use crate::master_key_file::MasterKeyFile;

/// A master key on its way from a file to another back end: a vault that is opened with it and renews its master key has all keys
/// wrapped by the other one in the end, and the file is gone. That is one renewal as any other, with a successor of another
/// kind, and goes on wherever it was broken off.
pub struct MovedMasterKey {
    from: MasterKeyFile,
    to: Arc<dyn KeyManagement>,
}

impl MovedMasterKey {
    /// From a file whose own renewal is not under way, to where the successor lies already.
    pub fn new(from: MasterKeyFile, to: Arc<dyn KeyManagement>) -> Self {
        Self { from, to }
    }
}

#[async_trait]
impl KeyManagement for MovedMasterKey {
    fn id(&self) -> String {
        self.to.id()
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<(String, Vec<u8>), VaultError> {
        self.to.wrap(context, key).await
    }

    async fn unwrap(
        &self,
        master: &str,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        match self.to.unwrap(master, context, wrapped).await? {
            None => self.from.unwrap(master, context, wrapped).await,
            opened => Ok(opened),
        }
    }

    /// The successor is there.
    async fn succeed(&self) -> Result<(), VaultError> {
        Ok(())
    }

    /// While the other back end renews its own, that has begun since the file's key was in use.
    fn former_id(&self) -> Option<String> {
        self.to.former_id().or_else(|| Some(self.from.id()))
    }

    /// A renewal of the other back end that was broken off ends here as well.
    async fn destroy_former(&self) -> Result<(), VaultError> {
        self.from.destroy()?;
        self.to.destroy_former().await
    }
}
