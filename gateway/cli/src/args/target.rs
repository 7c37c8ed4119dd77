//! `DATASET[@VERSION]`.

use std::fmt;
use std::str::FromStr;

use catalog::{DatasetId, IdError, VersionName};

/// A dataset, and one of its versions or the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Dataset id.
    pub dataset: DatasetId,
    /// Version, if one was named.
    pub version: Option<VersionName>,
}

impl FromStr for Target {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (dataset, version) = match text.split_once('@') {
            Some((dataset, version)) => (dataset, Some(version)),
            None => (text, None),
        };
        Ok(Self { dataset: DatasetId::parse(dataset)?, version: version.map(VersionName::parse).transpose()? })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dataset)?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn with_and_without_a_version() {
        for text in ["yue-speech", "yue-speech@2", "yue-speech@2026.11"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for bad in ["", "Yue", "yue-speech@", "yue-speech@../x", "@1"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
