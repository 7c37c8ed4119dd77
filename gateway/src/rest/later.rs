//! What the public contract names and this release does not have: a clear answer instead of a 404.

use axum::http::Uri;
use gateway_api::{Code, Problem};

use super::{Caller, Refused};

/// 501 for a path of a later release.
pub async fn not_yet(uri: Uri, _: Caller) -> Refused {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotYet, format!("`{path}` comes with a later release; gateway/CHANGELOG.md says what is here"))
        .into()
}
