//! Problems as gRPC statuses: message = rule ids and the reason, details = the problem object.

use bytes::Bytes;
use gateway_api::{Code, Problem};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code as Grpc, Status};

/// The status of a problem. No `_` arm: a new code chooses here.
pub fn of(problem: &Problem) -> Status {
    let code = match problem.code {
        Code::BadInput | Code::UnsupportedMediaType | Code::NotAcceptable | Code::TooLarge => Grpc::InvalidArgument,
        Code::Unauthenticated => Grpc::Unauthenticated,
        Code::Forbidden | Code::Denied | Code::Review | Code::NoAgreement | Code::OfferMismatch | Code::RowFilter | Code::Cut => {
            Grpc::PermissionDenied
        }
        Code::PurposeRequired
        | Code::SelectionChanged
        | Code::Conflict
        | Code::KeyReused
        | Code::WrongOffset
        | Code::PreconditionFailed => Grpc::FailedPrecondition,
        Code::RangeNotSatisfiable => Grpc::OutOfRange,
        Code::NotFound => Grpc::NotFound,
        Code::MethodNotAllowed | Code::NotYet => Grpc::Unimplemented,
        Code::RateLimited => Grpc::ResourceExhausted,
        Code::Integrity => Grpc::DataLoss,
        Code::Internal => Grpc::Internal,
        Code::Unavailable => Grpc::Unavailable,
    };
    let details = serde_json::to_vec(problem).unwrap_or_default();
    let mut metadata = MetadataMap::new();
    // Arrow's C++ client, and pyarrow on it, hands the details on only beside its own status code (IOError).
    metadata.insert("x-arrow-status", MetadataValue::from_static("5"));
    Status::with_details_and_metadata(code, message(problem), Bytes::from(details), metadata)
}

fn message(problem: &Problem) -> String {
    let rules = problem.explain.as_ref().and_then(|explain| explain.get("rules")).and_then(serde_json::Value::as_array);
    let rules: Vec<&str> = rules.into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    if rules.is_empty() { problem.detail.clone() } else { format!("{}: {}", rules.join(", "), problem.detail) }
}
