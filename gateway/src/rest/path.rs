//! Path parameters: what cannot be one is a problem like any other, not a line of plain text.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use gateway_api::{Code, Problem};
use serde::de::DeserializeOwned;

use super::Refused;

/// Path parameters, by position.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(Code::NotFound, rejection.body_text()).into()),
        }
    }
}
