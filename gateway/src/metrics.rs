//! The gateway's own metrics, in one table; the listener's are in `admin/metrics.rs`. No names of persons, no free text.

use catalog::ReviewState;

use crate::admin::metrics::{Kind, Metric};
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
    Metric { name: "kouan_reviews_open", kind: Kind::Gauge, labels: &[], help: "Reviews that wait for an officer" },
    Metric {
        name: "kouan_reviews_total",
        kind: Kind::Counter,
        labels: &["outcome"],
        help: "Reviews requested, released, refused, withdrawn",
    },
    Metric {
        name: "kouan_quarantines_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Versions whose stored bytes were not what was inspected",
    },
];

/// Sets the gauges that follow from the catalog.
pub fn gauge(snapshot: &Snapshot) {
    let open = snapshot.reviews.values().filter(|review| review.state == ReviewState::Open).count();
    #[expect(clippy::cast_precision_loss, reason = "a gauge; the number of open reviews is small")]
    metrics::gauge!("kouan_reviews_open").set(open as f64);
}
