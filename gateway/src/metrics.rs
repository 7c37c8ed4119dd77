//! The gateway's own metrics, in one table; the listener's are in `admin/metrics.rs`. No names of persons, no free text.

use crate::admin::metrics::{Kind, Metric};

/// Name, kind, labels and meaning of each.
pub const GATEWAY_METRICS: &[Metric] = &[
    Metric {
        name: "kouan_decisions_total",
        kind: Kind::Counter,
        labels: &["effect"],
        help: "Recorded export decisions, by effect",
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
        name: "kouan_quarantines_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Versions whose stored bytes were not what was inspected",
    },
];
