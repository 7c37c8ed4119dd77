//! The REST API: what INTERFACE.md lists, as an axum router. Handlers parse, ask [`crate::authz`], and either read the
//! snapshot or describe a [`change::Change`]; they hold no state of their own.

pub mod acks;
pub mod audit;
pub mod books;
pub mod caller;
pub mod card;
pub mod change;
pub mod claims;
pub mod counters;
mod covering;
pub mod datasets;
pub mod disclosures;
pub mod dual;
pub mod erasures;
pub mod exchange;
pub mod findings;
pub mod flags;
pub mod found;
pub mod fx;
pub mod holds;
pub mod intake;
pub mod later;
pub mod leases;
mod leftover;
pub mod lifecycle;
pub mod lineage;
mod log_files;
pub mod mechanisms;
pub mod participants;
pub mod path;
pub mod payments;
pub mod periods;
mod prose;
pub mod prove;
mod reference;
pub mod refused;
pub mod reviews;
pub mod rulesets;
pub mod search;
pub mod statements;
pub mod store;
mod to_the_end;
pub mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post, put};

pub use caller::{Caller, Posted};
pub use refused::{Refused, json_response};

use crate::door;
use crate::gateway::Shared;

/// Every route of the mutual-TLS listener but Flight's.
pub fn router(gateway: Shared) -> Router {
    // Bodies are limited where they are read: JSON by `Posted`, uploads by their own length.
    let file = get(door::files::get).head(door::files::get).put(upload::put).layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/v1/whoami", get(caller::whoami))
        .route("/v1/datasets", get(search::list).post(intake::register))
        .route("/v1/datasets/{id}", get(datasets::show))
        .route("/v1/datasets/{id}/versions/{version}", get(datasets::version))
        .route("/v1/datasets/{id}/versions/{version}/card", get(card::get))
        .route("/v1/datasets/{id}/versions/{version}/submit", post(lifecycle::submit))
        .route("/v1/datasets/{id}/versions/{version}/approve", post(lifecycle::approve))
        .route("/v1/datasets/{id}/versions/{version}/publish", post(lifecycle::publish))
        .route("/v1/datasets/{id}/versions/{version}/suspend", post(lifecycle::suspend))
        .route("/v1/datasets/{id}/versions/{version}/resume", post(lifecycle::resume))
        .route("/v1/datasets/{id}/versions/{version}/withdraw", post(lifecycle::withdraw))
        .route("/v1/datasets/{id}/versions/{version}/confirm-exemption", post(lifecycle::confirm_exemption))
        .route("/v1/datasets/{id}/versions/{version}/confirm-anonymisation", post(lineage::confirm))
        .route("/v1/datasets/{id}/versions/{version}/accept-finding", post(findings::accept))
        .route("/v1/datasets/{id}/versions/{version}/files/{name}", file)
        .route("/v1/datasets/{id}/versions/{version}/files/{name}/chunks", get(door::files::chunks))
        .route("/v1/datasets/{id}/versions/{version}/data", get(door::data::get))
        .route("/v1/plan", post(exchange::plan))
        .route("/v1/agreements", get(exchange::agreements).post(exchange::accept))
        .route("/v1/agreements/{id}", get(exchange::agreement))
        .route("/v1/agreements/{id}/end", post(exchange::end))
        .route("/v1/agreements/{id}/foreign-authority", post(exchange::flag))
        .route("/v1/leases", get(leases::list))
        .route("/v1/leases/{id}", get(leases::show))
        .route("/v1/ledger/balances", get(books::balances))
        .route("/v1/credit-notes", post(books::credit_note))
        .route("/v1/periods/{month}", get(periods::show))
        .route("/v1/fx-rates", get(fx::list).post(fx::record))
        .route("/v1/payments", get(payments::list).post(payments::record))
        .route("/v1/payments/{id}/reverse", post(payments::reverse))
        .route("/v1/leases/{id}/acks", post(acks::post))
        .route("/v1/leases/{id}/cut", post(leases::cut))
        .route("/v1/leases/{id}/restore", post(leases::restore))
        .route("/v1/mechanisms", get(mechanisms::list).post(mechanisms::add))
        .route("/v1/mechanisms/{id}", get(mechanisms::show))
        .route("/v1/mechanisms/{id}/confirm", post(mechanisms::confirm))
        .route("/v1/mechanisms/{id}/filed", post(mechanisms::filed))
        .route("/v1/mechanisms/{id}/revoke", post(mechanisms::revoke))
        .route("/v1/reviews", get(reviews::list).post(reviews::request))
        .route("/v1/reviews/{id}", get(reviews::show))
        .route("/v1/reviews/{id}/release", post(reviews::release))
        .route("/v1/reviews/{id}/refuse", post(reviews::refuse))
        .route("/v1/reviews/{id}/withdraw", post(reviews::withdraw))
        .route("/v1/participants", get(participants::list).post(participants::add))
        .route("/v1/participants/{id}", get(participants::show))
        .route("/v1/participants/{id}/suspend", post(participants::suspend))
        .route("/v1/participants/{id}/resume", post(participants::resume))
        .route("/v1/participants/{id}/confirm-baseline", post(participants::confirm_baseline))
        .route("/v1/participants/{id}/baselines", post(counters::declare))
        .route("/v1/participants/{id}/counters", get(counters::show))
        .route("/v1/participants/{id}/restricted", post(flags::restricted))
        .route("/v1/participants/{id}/foreign-authority", post(flags::foreign_authority))
        .route("/v1/participants/{id}/crl", put(participants::put_crl))
        .route("/v1/participants/{id}/ca", put(participants::put_ca))
        .route("/v1/statements", get(statements::get))
        .route("/v1/claims", get(claims::list).post(claims::file))
        .route("/v1/claims/{id}", get(claims::show))
        .route("/v1/claims/{id}/release", post(claims::release))
        .route("/v1/claims/{id}/refuse", post(claims::refuse))
        .route("/v1/claims/{id}/evidence", get(claims::evidence::get))
        .route("/v1/claims/{id}/receipts", post(claims::openings::open))
        .route("/v1/audit", get(audit::search))
        .route("/v1/audit/{index}", get(audit::show))
        .route("/v1/audit/{index}/explain", get(audit::explain))
        .route("/v1/audit/{index}/proof", get(audit::proof))
        .route("/v1/audit/{index}/disclosures", post(disclosures::disclose))
        .route("/v1/erasures", post(erasures::erase))
        .route("/v1/store", get(store::report))
        .route("/v1/store/scrubs", get(store::scrubbed).post(store::scrub))
        .route("/v1/retention/runs", post(store::run))
        .route("/v1/holds", get(holds::list).post(holds::add))
        .route("/v1/holds/{id}/release", post(holds::release))
        .route("/v1/log-key", get(audit::key))
        .route("/log/{*path}", get(log_files::get))
        .route("/v1/rulesets", get(rulesets::list).post(rulesets::propose))
        .route("/v1/rulesets/{id}", get(rulesets::show))
        .route("/v1/rulesets/{id}/activate", post(rulesets::activate))
        .route("/v1/rulesets/{id}/revoke", post(rulesets::revoke))
        .route("/openapi.json", any(later::not_yet))
        .route("/catalog.jsonld", any(later::not_yet))
        .route("/console", any(later::not_yet))
        .route("/console/", any(later::not_yet))
        .route("/console/{*rest}", any(later::not_yet))
        .fallback(refused::no_such_path)
        .method_not_allowed_fallback(refused::no_such_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&gateway), prose::open))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&gateway), to_the_end::run))
        .layer(axum::middleware::from_fn(leftover::read))
        .with_state(gateway)
}
