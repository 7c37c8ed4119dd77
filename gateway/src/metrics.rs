//! The gateway's own metrics, in one table; the listener's are in `admin/metrics.rs`. No names of persons, no free text.

use std::collections::BTreeMap;

use catalog::{MechanismState, ReviewState};
use jiff::Timestamp;
use policy::{RuleSet, WarningCode};

use crate::admin::metrics::{Kind, Metric};
use crate::rest::mechanisms::upkeep;
use crate::snapshot::Snapshot;

/// Name, kind, labels and meaning of each.
pub const GATEWAY_METRICS: &[Metric] = &[
    Metric {
        name: "kouan_decisions_total",
        kind: Kind::Counter,
        labels: &["effect"],
        help: "Recorded export decisions, by effect: allow, deny, review, or a review that was released",
    },
    Metric {
        name: "kouan_streams",
        kind: Kind::Gauge,
        labels: &[],
        help: "Responses that carry data and have not ended",
    },
    Metric {
        name: "kouan_data_bytes_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Bytes of data handed to connections",
    },
    Metric {
        name: "kouan_cuts_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Streams that were ended before their end",
    },
    Metric {
        name: "kouan_acks_refused_total",
        kind: Kind::Counter,
        labels: &["why"],
        help: "Acknowledgements that changed nothing: forged, replayed, out_of_range, out_of_order, malformed",
    },
    Metric { name: "kouan_reviews_open", kind: Kind::Gauge, labels: &[], help: "Reviews that wait for an officer" },
    Metric {
        name: "kouan_reviews_total",
        kind: Kind::Counter,
        labels: &["outcome"],
        help: "Reviews requested, released, refused, withdrawn",
    },
    Metric {
        name: "kouan_mechanisms",
        kind: Kind::Gauge,
        labels: &["state"],
        help: "Mechanisms on file, by state: proposed, confirmed, revoked",
    },
    Metric {
        name: "kouan_mechanism_warnings",
        kind: Kind::Gauge,
        labels: &["warning"],
        help: "Mechanisms of which something is due: filing, extension, renewal, expiry, by warning",
    },
    Metric {
        name: "kouan_quarantines_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Versions whose stored bytes were not what was inspected",
    },
    Metric {
        name: "kouan_subject_key_files_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Files whose persons were read by subject key, once for each year",
    },
    Metric {
        name: "kouan_reservations",
        kind: Kind::Gauge,
        labels: &[],
        help: "Exports that count towards an exporter's year, all exporters and years together",
    },
    Metric {
        name: "kouan_witness_answers_total",
        kind: Kind::Counter,
        labels: &["outcome"],
        help: "What witnesses of the log answered: cosigned, later, ahead, fork",
    },
    Metric {
        name: "kouan_unwitnessed_entries",
        kind: Kind::Gauge,
        labels: &[],
        help: "Published entries that no quorum of witnesses has cosigned",
    },
    Metric {
        name: "kouan_witness_quorum_age_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Seconds since a quorum of witnesses last cosigned",
    },
    Metric {
        name: "kouan_witness_clock_skew_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "How far the clock of the witness that answered last is ahead of ours",
    },
    Metric {
        name: "kouan_witness_halted",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 if a witness has seen another history of the log, and nothing new leaves",
    },
    Metric {
        name: "kouan_scrub_flaws",
        kind: Kind::Gauge,
        labels: &[],
        help: "What the last scrub found that is not what was written",
    },
    Metric {
        name: "kouan_scrubs_total",
        kind: Kind::Counter,
        labels: &["outcome"],
        help: "Scrubs that came to their end: clean, damaged",
    },
    Metric {
        name: "kouan_scrubbed_bytes_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Bytes that scrubs have read again",
    },
    Metric {
        name: "kouan_clock_behind_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "How far the wall clock is behind, if that is more than it may be; nothing is granted then",
    },
    Metric {
        name: "kouan_clock_anomalies_total",
        kind: Kind::Counter,
        labels: &["event"],
        help: "What was odd about the wall clock: jumped, behind, ahead of the witnesses, in_step again",
    },
    Metric {
        name: "kouan_year_turns_total",
        kind: Kind::Counter,
        labels: &["effect"],
        help: "Leases decided again because the year had turned, by effect",
    },
];

/// Sets the gauges that follow from the catalog and the day.
pub fn gauge(snapshot: &Snapshot, rules: &RuleSet, now: Timestamp) {
    let open = snapshot.reviews.values().filter(|review| review.state == ReviewState::Open).count();
    metrics::gauge!("kouan_reviews_open").set(number(open));
    let mut states = [MechanismState::Proposed, MechanismState::Confirmed, MechanismState::Revoked].map(|s| (s, 0));
    let mut due: BTreeMap<WarningCode, usize> = WarningCode::ALL.iter().map(|code| (*code, 0)).collect();
    for mechanism in snapshot.mechanisms.values() {
        for (_, count) in states.iter_mut().filter(|(state, _)| *state == mechanism.state) {
            *count += 1;
        }
        for warning in upkeep(rules, mechanism, now).warnings {
            *due.entry(warning.code).or_default() += 1;
        }
    }
    for (state, count) in states {
        metrics::gauge!("kouan_mechanisms", "state" => state.as_str()).set(number(count));
    }
    // Those of which there is none are told as well: an alert that ends has to end.
    for (code, count) in due {
        metrics::gauge!("kouan_mechanism_warnings", "warning" => code.as_str()).set(number(count));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of documents in memory: far below 2^52")]
const fn number(count: usize) -> f64 {
    count as f64
}
