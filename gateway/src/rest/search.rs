//! `GET /v1/datasets`: search with facets. English, Traditional and Simplified Chinese find each other (資料庫 finds 资料库).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use gateway_api::catalog::{DatasetList, DatasetSummary};
use gateway_api::{Code, Problem};
use opencc_fmmseg::OpenCC;
use serde::Deserialize;

use super::datasets::{seen, summary};
use super::{Caller, Refused, json_response};
use crate::authz::Action;
use crate::gateway::Shared;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;

/// Query of `GET /v1/datasets`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    q: Option<String>,
    theme: Option<String>,
    language: Option<String>,
    class: Option<String>,
    participant: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Folds text so that the scripts find each other: Simplified Chinese, lower case.
///
/// The converter's tables take a moment to build; the first search pays for it.
pub fn fold(text: &str) -> String {
    static CONVERTER: OnceLock<OpenCC> = OnceLock::new();
    let converter = CONVERTER.get_or_init(OpenCC::new);
    converter.t2s(text, false).to_lowercase()
}

/// `GET /v1/datasets`.
pub async fn list(
    State(gateway): State<Shared>,
    caller: Caller,
    query: Result<Query<Search>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|error| Problem::new(Code::BadInput, error.body_text()))?;
    let scope = caller.may(Action::Browse)?;
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if limit == 0 || limit > LIMIT_MAX {
        return Err(Problem::new(Code::BadInput, format!("`limit` is 1 to {LIMIT_MAX}")).into());
    }
    let _ = &gateway;
    let words: Vec<String> =
        query.q.as_deref().map(fold).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let provider = query.participant.as_deref().map(|name| {
        caller.snapshot.participant(name).map(|doc| doc.id.clone()).ok_or_else(|| {
            Problem::new(
                Code::NotFound,
                format!("there is no participant `{}`", name.chars().take(64).collect::<String>()),
            )
        })
    });
    let provider = provider.transpose()?;

    let matches: Vec<DatasetSummary> = caller
        .snapshot
        .datasets
        .values()
        .filter_map(|dataset| summary(&seen(&caller, &scope, dataset)))
        .filter(|dataset| {
            query.theme.as_ref().is_none_or(|theme| dataset.theme.contains(theme))
                && query.language.as_ref().is_none_or(|language| dataset.language.contains(language))
                && query.class.as_ref().is_none_or(|class| dataset.class == *class)
                && provider.as_ref().is_none_or(|provider| dataset.provider == *provider)
                && found(&caller, dataset, &words)
        })
        .collect();
    let facets = facets(&matches);
    // Datasets are in order of id, and the cursor is the last id shown: stable while others come and go.
    let after = query.cursor.as_deref();
    let mut rest =
        matches.into_iter().filter(|dataset| after.is_none_or(|after| dataset.id.as_str() > after)).peekable();
    let datasets: Vec<DatasetSummary> = rest.by_ref().take(limit).collect();
    let next = rest.peek().and_then(|_| datasets.last()).map(|dataset| dataset.id.to_string());
    Ok(json_response(StatusCode::OK, &DatasetList { datasets, facets, next }))
}

fn found(caller: &Caller, dataset: &DatasetSummary, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let keywords = caller
        .snapshot
        .version(&dataset.id, &dataset.latest_version)
        .map(|version| version.manifest.dataset.keyword.join(" "))
        .unwrap_or_default();
    let mut text = format!("{} {keywords} {} {}", dataset.id, dataset.theme.join(" "), dataset.language.join(" "));
    for part in dataset.title.values().chain(dataset.description.values()) {
        text.push(' ');
        text.push_str(part);
    }
    let text = fold(&text);
    words.iter().all(|word| text.contains(word.as_str()))
}

fn facets(datasets: &[DatasetSummary]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut facets: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut count = |facet: &str, value: &str| {
        *facets.entry(facet.to_owned()).or_default().entry(value.to_owned()).or_default() += 1;
    };
    for dataset in datasets {
        count("class", &dataset.class);
        count("participant", dataset.provider.as_str());
        dataset.theme.iter().for_each(|theme| count("theme", theme));
        dataset.language.iter().for_each(|language| count("language", language));
    }
    facets
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn scripts_find_each_other() {
        assert_eq!(fold("資料庫"), fold("资料库"));
        assert_eq!(fold("粵語 Speech"), fold("粤语 speech"));
        assert_ne!(fold("語音"), fold("文本"));
    }
}
