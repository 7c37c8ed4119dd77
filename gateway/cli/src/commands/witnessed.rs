//! Who has witnessed a checkpoint, by a trust policy (C2SP tlog-policy).

use std::path::Path;

use gateway_audit::witness::policy::POLICY_BYTES_MAX;
use gateway_audit::{SignedCheckpoint, VerifierKey, WitnessPolicy};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::files;

/// Reads a trust policy.
pub fn policy(path: &Path) -> Result<WitnessPolicy, CommandError> {
    let text = files::read(path, POLICY_BYTES_MAX as u64)?;
    WitnessPolicy::parse(&text)
        .map_err(|error| CommandError::Input(format!("`{}` is no trust policy: {error}", path.display())))
}

/// The keys of the policy's logs.
pub fn log_keys(policy: &WitnessPolicy) -> Vec<VerifierKey> {
    policy.logs().iter().map(|log| log.key.clone()).collect()
}

/// What is to be said of a checkpoint's witnesses: `text` for people, and the policy's judgement. Without a policy nothing
/// is believed, and further signature lines are only counted.
///
/// # Errors
///
/// [`CommandError::Integrity`] if the policy asks for a quorum that is not there, or a witness's line does not verify.
pub fn judge(policy: Option<&WitnessPolicy>, checkpoint: &SignedCheckpoint) -> Result<Value, CommandError> {
    let Some(policy) = policy else {
        let others = checkpoint.note().signatures().iter().filter(|line| line.name != checkpoint.checkpoint().origin);
        let text = match others.count() {
            0 => "unwitnessed".to_owned(),
            count => format!("cosigned by {count} more, not checked: give the trust policy with --policy"),
        };
        return Ok(json!({ "text": text }));
    };
    let witnessed = policy.verify(checkpoint).map_err(|error| CommandError::Integrity(error.to_string()))?;
    let mut value = serde_json::to_value(&witnessed).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("text".to_owned(), witnessed.to_string().into());
    }
    Ok(value)
}
