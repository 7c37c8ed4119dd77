//! The query of a data request: which columns, whether to redact, what for. Every door reads it the same way.

use axum::http::HeaderMap;
use catalog::{DatasetId, Purpose, VersionName};
use gateway_api::{Code, Problem, names};

use crate::admission::Ask;

/// What a data request asks for beside its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataQuery {
    /// Column names; all if absent.
    pub columns: Option<Vec<String>>,
    /// Leave out what may not go.
    pub redact: bool,
    /// What for.
    pub purpose: Option<Purpose>,
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::BadInput, detail)
}

impl DataQuery {
    /// Parses a query string. `columns` may be repeated or comma-separated; `*` is all.
    pub fn parse(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut parsed = Self::default();
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(query.unwrap_or("")).map_err(|error| bad(format!("the query: {error}")))?;
        for (name, value) in pairs {
            match name.as_str() {
                "columns" => {
                    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
                    parsed.columns.get_or_insert_default().extend(names);
                }
                "redact" => {
                    parsed.redact = match value.as_str() {
                        "true" | "1" | "" => true,
                        "false" | "0" => false,
                        other => return Err(bad(format!("`redact` is `{other}`: write true or false"))),
                    };
                }
                "purpose" => parsed.purpose = Some(Purpose::parse(&value).map_err(|error| bad(error.to_string()))?),
                "where" => crate::rest::exchange::refuse_where(Some(&value))?,
                other => {
                    return Err(bad(format!("`{other}` is not a query parameter here: columns, redact, purpose are")));
                }
            }
        }
        if parsed.purpose.is_none()
            && let Some(value) = headers.get(names::PURPOSE)
        {
            let value = value.to_str().map_err(|_| bad(format!("`{}` is not ASCII", names::PURPOSE)))?;
            parsed.purpose = Some(Purpose::parse(value).map_err(|error| bad(error.to_string()))?);
        }
        if parsed.columns.as_ref().is_some_and(|columns| columns.iter().any(|name| name == "*")) {
            parsed.columns = None;
        }
        Ok(parsed)
    }

    /// The ask for a version named in a path.
    pub fn ask(&self, dataset: DatasetId, version: VersionName) -> Ask {
        Ask {
            dataset,
            version: Some(version),
            columns: self.columns.clone(),
            purpose: self.purpose.clone(),
            needs_agreement: true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn columns_may_be_repeated_or_listed() {
        let parse = |query: &str| DataQuery::parse(Some(query), &HeaderMap::new());
        let names = |query: &str| parse(query).unwrap().columns;
        assert_eq!(names("columns=a,b&columns=c"), Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        assert_eq!(names("columns=%E5%A7%93%E5%90%8D"), Some(vec!["姓名".to_owned()]));
        assert_eq!(names("columns=*"), None);
        assert!(parse("redact=true").unwrap().redact);
        for bad in ["redact=maybe", "color=red", "purpose=Free%20Text"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
