//! A lease between hku and qianhai, for several test programs and an example.

use catalog::{AgreementId, DatasetId, Digest, LeaseId, ParticipantId, Purpose, VersionName};
use gateway_store::{Lease, LeaseState};
use jiff::{SignedDuration, Timestamp};

/// An active lease of `yue-speech` under `a-1` that begins at `now` and lives `hours`.
pub fn lease(id: &str, now: Timestamp, hours: i64) -> Lease {
    Lease {
        id: LeaseId::parse(id).unwrap(),
        key: Digest::of(id.as_bytes()),
        principal: "p".to_owned(),
        certificate: "c".to_owned(),
        participant: ParticipantId::parse("hku").unwrap(),
        agreement: AgreementId::parse("a-1").unwrap(),
        provider: ParticipantId::parse("qianhai").unwrap(),
        dataset: DatasetId::parse("yue-speech").unwrap(),
        version: VersionName::parse("1").unwrap(),
        columns: vec!["a".to_owned(), "b".to_owned()],
        redact: false,
        purpose: Purpose::parse("academic-research").unwrap(),
        price: None,
        state: LeaseState::Active,
        leaf: 0,
        created: now,
        expires: now + SignedDuration::from_hours(hours),
        reason: None,
        sent_bytes: 0,
        unit_bytes: 0,
        mechanism: None,
        release: None,
    }
}
