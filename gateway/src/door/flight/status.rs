//! Problems as gRPC statuses: message = rule ids and the reason, details = the problem object.

use bytes::Bytes;
use gateway_api::{Code, Problem};
use serde_json::{Value, json};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code as Grpc, Status};

/// The status of a problem. No `_` arm: a new code chooses here.
pub fn of(problem: &Problem) -> Status {
    let code = match problem.code {
        Code::BadInput | Code::UnsupportedMediaType | Code::NotAcceptable | Code::TooLarge => Grpc::InvalidArgument,
        Code::Unauthenticated => Grpc::Unauthenticated,
        Code::Forbidden
        | Code::Denied
        | Code::Review
        | Code::NoAgreement
        | Code::OfferMismatch
        | Code::RowFilter
        | Code::Cut => Grpc::PermissionDenied,
        Code::PurposeRequired
        | Code::SelectionChanged
        | Code::Conflict
        | Code::KeyReused
        | Code::WrongOffset
        | Code::PreconditionFailed => Grpc::FailedPrecondition,
        Code::RangeNotSatisfiable => Grpc::OutOfRange,
        Code::NotFound | Code::Erased => Grpc::NotFound,
        Code::MethodNotAllowed | Code::NotYet => Grpc::Unimplemented,
        Code::RateLimited => Grpc::ResourceExhausted,
        Code::Integrity => Grpc::DataLoss,
        Code::Internal => Grpc::Internal,
        Code::Unavailable => Grpc::Unavailable,
    };
    let details = details(problem);
    let mut metadata = MetadataMap::new();
    // Arrow's C++ client, and pyarrow on it, hands the details on only beside its own status code (IOError).
    metadata.insert("x-arrow-status", MetadataValue::from_static("5"));
    Status::with_details_and_metadata(code, message(problem), Bytes::from(details), metadata)
}

/// gRPC clients refuse more than 8 to 16 KiB of metadata, of which base64 takes a third.
const DETAILS_BYTES_MAX: usize = 4096;
const MESSAGE_CHARS_MAX: usize = 1200;

/// The problem as JSON, and as much of its explanation as there is room for: without the sentences about facts and
/// remedies, which their other members say as well; with lists of columns as their number; without what decided and who
/// can help. The `explain` action gives all of it.
fn details(problem: &Problem) -> Vec<u8> {
    let mut problem = problem.clone();
    let steps: [fn(&mut Value); 4] = [|_| {}, without_sentences, shorten, without_because];
    for step in steps {
        if let Some(explain) = problem.explain.as_mut() {
            step(explain);
        }
        let text = serde_json::to_vec(&problem).unwrap_or_default();
        if text.len() <= DETAILS_BYTES_MAX {
            return text;
        }
    }
    let rules = problem.explain.take().and_then(|mut explain| Some(json!({"rules": explain.get_mut("rules")?.take()})));
    problem.explain = rules;
    problem.detail = problem.detail.chars().take(MESSAGE_CHARS_MAX).collect();
    problem.extra.clear();
    serde_json::to_vec(&problem).unwrap_or_default()
}

fn without_sentences(explain: &mut Value) {
    for member in ["because", "help"] {
        if let Some(value) = explain.get_mut(member) {
            forget(value, "text");
        }
    }
}

fn without_because(explain: &mut Value) {
    if let Some(members) = explain.as_object_mut() {
        members.retain(|name, _| name != "because" && name != "help");
    }
}

fn forget(value: &mut Value, member: &str) {
    match value {
        Value::Object(members) => {
            members.remove(member);
            members.values_mut().for_each(|value| forget(value, member));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| forget(value, member)),
        _ => {}
    }
}

/// Replaces lists of more than 16 entries by their number.
fn shorten(value: &mut Value) {
    match value {
        Value::Array(entries) if entries.len() > 16 => *value = json!({"count": entries.len()}),
        Value::Array(entries) => entries.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}

fn message(problem: &Problem) -> String {
    let rules = problem.explain.as_ref().and_then(|explain| explain.get("rules")).and_then(Value::as_array);
    let rules: Vec<&str> = rules.into_iter().flatten().filter_map(Value::as_str).collect();
    let text =
        if rules.is_empty() { problem.detail.clone() } else { format!("{}: {}", rules.join(", "), problem.detail) };
    text.chars().take(MESSAGE_CHARS_MAX).collect()
}
