//! The metrics of the process: one table of names, one recorder, Prometheus text.
//!
//! INVARIANT (INV-10): labels take their values from fixed sets (doors, statuses, reasons,
//! results). No participant, dataset, principal or address is ever a label.

use std::sync::{Mutex, PoisonError};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As Prometheus sees it, unit included.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// HELP.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

/// The metrics of the listener. Other parts of the gateway keep tables of the same shape and
/// hand them to [`Metrics::install`].
pub const LISTENER_METRICS: &[Metric] = &[
    metric("kouan_connections", Kind::Gauge, &[], "Open connections of the mTLS port, handshakes included."),
    metric(
        "kouan_connections_refused_total",
        Kind::Counter,
        &["limit"],
        "Connections turned away by a limit: all, address, trust_domain.",
    ),
    metric("kouan_connections_closed_total", Kind::Counter, &["reason"], "Connections that ended, by reason."),
    metric("kouan_accept_errors_total", Kind::Counter, &[], "Failed accept(2) calls."),
    metric(
        "kouan_handshakes_total",
        Kind::Counter,
        &["result"],
        "TLS handshakes: ok, tls, io, timeout, drained, or why the certificate was refused.",
    ),
    metric("kouan_handshake_seconds", Kind::Histogram, &[], "Time from accept to a verified peer."),
    metric("kouan_requests_total", Kind::Counter, &["door", "status"], "Requests answered, by front door and status."),
    metric(
        "kouan_requests_refused_total",
        Kind::Counter,
        &["rule"],
        "Requests refused before any front door, by rule.",
    ),
    metric(
        "kouan_request_seconds",
        Kind::Histogram,
        &["door"],
        "Time from a request's head to the head of its response.",
    ),
    metric("kouan_sent_bytes_total", Kind::Counter, &[], "Bytes written to sockets, TLS and framing included."),
    metric("kouan_received_bytes_total", Kind::Counter, &[], "Bytes read from sockets, TLS and framing included."),
];

/// Buckets of every histogram of seconds: from a cached answer to a slow disk.
const SECONDS: [f64; 14] = [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Why the recorder could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Another part of the process has installed one that we cannot read.
    #[error("metrics: {0}")]
    Install(#[from] BuildError),
}

/// The recorder of this process. Clones share it.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Installs the recorder, once per process: a second call gives the same one. Describes the
    /// listener's metrics and those of `tables`.
    ///
    /// Call it before the first connection: what is counted earlier is lost.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Install`] if somebody else was first.
    pub fn install(tables: &[&[Metric]]) -> Result<Self, MetricsError> {
        static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = if let Some(metrics) = installed.as_ref() {
            metrics.clone()
        } else {
            let handle = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
                .install_recorder()?;
            installed.insert(Self(handle)).clone()
        };
        drop(installed);
        for metric in tables.iter().copied().flatten().chain(LISTENER_METRICS) {
            metric.describe();
        }
        Ok(metrics)
    }

    /// All metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds the samples of histograms into their buckets; without it they pile up.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl Metric {
    fn describe(&self) {
        let unit = if self.name.contains("_seconds") {
            Unit::Seconds
        } else if self.name.contains("_bytes") {
            Unit::Bytes
        } else {
            Unit::Count
        };
        match self.kind {
            Kind::Counter => describe_counter!(self.name, unit, self.help),
            Kind::Gauge => describe_gauge!(self.name, unit, self.help),
            Kind::Histogram => describe_histogram!(self.name, unit, self.help),
        }
    }
}
