//! The files that a gateway serves under `/log/`.

use http::StatusCode;

use crate::client::{Call, Client};
use crate::error::CommandError;

/// Largest file of a log.
pub const FILE_BYTES_MAX: usize = 32 << 20;

/// The published log of a gateway.
#[derive(Debug, Clone, Copy)]
pub struct LogClient<'a>(pub &'a Client);

impl LogClient<'_> {
    /// A file, if the gateway serves it.
    pub async fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>, CommandError> {
        let answer = self.0.send(&Call::get(format!("/log/{path}"))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(answer.into_error().await);
        }
        Ok(Some(answer.bytes(FILE_BYTES_MAX).await?))
    }

    /// A file that there must be.
    pub async fn required(&self, path: &str) -> Result<Vec<u8>, CommandError> {
        self.fetch(path).await?.ok_or_else(|| {
            CommandError::NotFound(format!(
                "the gateway does not serve `/log/{path}`, or not to you: compliance of an authority may copy the log"
            ))
        })
    }
}
