//! `[retention]`: how long what is kept. Each value has a floor, and the law that sets it; nothing starts below one.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How long what is kept; see RULES: network logs, records of processing, accounting archives, erasure when the purpose ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Months of operational rows: windows of refusals.
    pub operational_months: i32,
    /// Years of hashed persons after the year they were counted in, of leases after their agreement's last transfer and its
    /// end, and of answers kept for repeated requests.
    pub records_years: i32,
    /// Years of receipts' sealed evidence; of postings, deliveries and leases with receipts after their agreement's last
    /// posting and its end.
    pub accounts_years: i32,
    /// Years of the log and the facts under it, which name no person. Nothing deletes them by itself.
    pub log_years: i32,
    /// Months of openings: who is behind an entry. After the agreement's last transfer and its end, where there is one.
    pub openings_months: i32,
    /// Days of the files of a withdrawn version.
    pub withdrawn_days: i32,
    /// Days of an upload that was not finished.
    pub uploads_days: i32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            operational_months: 6,
            records_years: 3,
            accounts_years: 10,
            log_years: 20,
            openings_months: 36,
            withdrawn_days: 180,
            uploads_days: 30,
        }
    }
}

/// Nothing is kept longer than this by configuration: beyond it a mistyped number.
const MAX: i32 = 1200;

impl Retention {
    /// Every value with its floor and the reason for it.
    fn floors(&self) -> [(&'static str, i32, i32, &'static str); 7] {
        [
            (
                "retention.operational_months",
                self.operational_months,
                6,
                "Cybersecurity Law art. 23: network logs at least six months",
            ),
            (
                "retention.records_years",
                self.records_years,
                3,
                "PIPL art. 56 and the standard contract: assessments and records of processing at least three years",
            ),
            (
                "retention.accounts_years",
                self.accounts_years,
                10,
                "Administrative Measures for Accounting Archives: invoices and evidence of rewards at least ten years",
            ),
            (
                "retention.log_years",
                self.log_years,
                10,
                "the log holds every posting, so accounting archives bind it too",
            ),
            (
                "retention.openings_months",
                self.openings_months,
                36,
                "PIPL art. 56: who is behind a record of processing is kept as long as the record, three years",
            ),
            ("retention.withdrawn_days", self.withdrawn_days, 1, "a version is withdrawn before its files are deleted"),
            ("retention.uploads_days", self.uploads_days, 1, "an upload may take a day"),
        ]
    }

    /// Refuses a value below its floor, naming the law.
    ///
    /// # Errors
    /// The first such value.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (key, value, floor, law) in self.floors() {
            if value < floor {
                return Err(ConfigError::Value { key, problem: format!("{value} is below {floor}: {law}") });
            }
            if value > MAX {
                return Err(ConfigError::Value { key, problem: format!("{value} is above {MAX}: mistyped?") });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_floor_can_be_lowered_and_the_refusal_names_the_law() {
        assert!(Retention::default().check().is_ok());
        for (text, law) in [
            ("operational_months = 5", "Cybersecurity Law"),
            ("records_years = 2", "PIPL art. 56"),
            ("accounts_years = 9", "Accounting Archives"),
            ("log_years = 9", "accounting"),
            ("openings_months = 35", "PIPL art. 56"),
            ("withdrawn_days = 0", "withdrawn"),
            ("uploads_days = -1", "upload"),
            ("log_years = 2000", "mistyped"),
        ] {
            let retention: Retention = toml::from_str(text).unwrap();
            let error = retention.check().unwrap_err().to_string();
            let (key, _) = text.split_once(' ').unwrap();
            assert!(error.contains(key) && error.contains(law), "{error}");
        }
        let longer: Retention = toml::from_str("openings_months = 60\nwithdrawn_days = 1").unwrap();
        assert!(longer.check().is_ok());
        assert!(toml::from_str::<Retention>("opening_months = 60").is_err());
    }
}
