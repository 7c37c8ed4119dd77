//! What there is: ListFlights, GetFlightInfo, GetSchema, and the `explain` action. All decide without a lease.

use std::sync::Arc;

use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket, flight_descriptor::DescriptorType};
use bytes::Bytes;
use catalog::Purpose;
use gateway_api::exchange::PlanRequest;
use gateway_api::{Code, Problem};
use gateway_stream::batches::Projection;
use gateway_stream::ipc::schema_message;
use jiff::Timestamp;

use super::ticket::{self, LIFE, Voucher, seal};
use crate::admission::{self, Ask, Resolved, preview, refusal, resolve};
use crate::authz::{Action, authorise};
use crate::gateway::Shared;
use crate::rest::Caller;
use crate::rest::datasets::{dataset_id, seen, version_name};
use crate::rest::exchange::{leaf_numbers, named, refuse_where};
use crate::rest::search::fold;

/// Uncompressed bytes that one endpoint stands for, about: a lost connection costs one endpoint.
const ENDPOINT_BYTES: u64 = 128 << 20;

/// What a descriptor asks for.
struct Wish {
    ask: Ask,
    redact: bool,
}

impl Wish {
    /// With `purpose` where the descriptor names none.
    fn or_purpose(mut self, purpose: Option<Purpose>) -> Self {
        self.ask.purpose = self.ask.purpose.or(purpose);
        self
    }
}

fn wish(descriptor: &FlightDescriptor) -> Result<Wish, Problem> {
    let bad = |detail: String| Problem::new(Code::BadInput, detail);
    match DescriptorType::try_from(descriptor.r#type) {
        Ok(DescriptorType::Path) => {
            let (dataset, version) = match descriptor.path.as_slice() {
                [dataset] => (dataset, None),
                [dataset, version] => (dataset, Some(version_name(version)?)),
                _ => return Err(bad("the path is [dataset] or [dataset, version]".to_owned())),
            };
            let ask =
                Ask { dataset: dataset_id(dataset)?, version, columns: None, purpose: None, needs_agreement: true };
            Ok(Wish { ask, redact: false })
        }
        Ok(DescriptorType::Cmd) => request(&descriptor.cmd),
        _ => Err(bad("the descriptor is a path, or a command of JSON".to_owned())),
    }
}

fn request(json: &[u8]) -> Result<Wish, Problem> {
    let request: PlanRequest = serde_json::from_slice(json)
        .map_err(|error| Problem::new(Code::BadInput, format!("the command's JSON: {error}")))?;
    refuse_where(request.r#where.as_deref())?;
    let ask = Ask {
        dataset: request.dataset,
        version: request.version,
        columns: named(request.columns)?,
        purpose: request.purpose,
        needs_agreement: true,
    };
    Ok(Wish { ask, redact: request.redact })
}

struct Allowed {
    resolved: Resolved,
    columns: Vec<String>,
}

async fn allowed(gateway: &Shared, caller: &Caller, wish: &Wish) -> Result<Allowed, Problem> {
    authorise(&caller.principal, Action::Consume)?;
    let resolved = resolve(gateway, Arc::clone(&caller.snapshot), &caller.principal, &wish.ask, caller.now).await?;
    if let Some(lease) = admission::live(gateway, &caller.principal, &resolved, wish.redact)? {
        return Ok(Allowed { resolved, columns: lease.columns });
    }
    admission::uncut(gateway, &caller.principal, &resolved)?;
    let preview = preview(gateway, &resolved, wish.redact)?;
    let columns = match preview.admits() {
        Some(judgement) => judgement.columns.clone(),
        None => return Err(refusal(resolved.viewer(), preview.refused())),
    };
    Ok(Allowed { resolved, columns })
}

/// The schema of `columns` as an encapsulated IPC message.
fn encoded_schema(resolved: &Resolved, columns: &[String]) -> Result<Bytes, Problem> {
    let file = resolved.files.first().ok_or_else(|| Problem::new(Code::NotFound, "the version has no files"))?;
    let projection = Projection::new(Arc::clone(&file.footer), &leaf_numbers(resolved, columns))
        .map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
    Ok(Bytes::from(schema_message(projection.schema()).stream_parts().concat()))
}

/// `GetSchema`.
pub async fn schema(
    gateway: &Shared,
    caller: &Caller,
    purpose: Option<Purpose>,
    descriptor: FlightDescriptor,
) -> Result<Bytes, Problem> {
    let allowed = allowed(gateway, caller, &wish(&descriptor)?.or_purpose(purpose)).await?;
    encoded_schema(&allowed.resolved, &allowed.columns)
}

/// `GetFlightInfo`: one endpoint per row-group range, no location: this connection.
pub async fn info(
    gateway: &Shared,
    caller: &Caller,
    purpose: Option<Purpose>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Problem> {
    let wish = wish(&descriptor)?.or_purpose(purpose);
    let Allowed { resolved, columns } = allowed(gateway, caller, &wish).await?;
    let expires = caller.now.checked_add(LIFE).unwrap_or(Timestamp::MAX);
    let leaves = leaf_numbers(&resolved, &columns);
    let asked = wish.ask.columns.as_ref().map(|_| leaf_numbers(&resolved, &resolved.columns));
    let (mut endpoints, mut bytes, mut rows) = (Vec::new(), 0_u64, 0_u64);
    for (position, file) in resolved.files.iter().enumerate() {
        let sizes = sizes(&file.index, &leaves);
        bytes += sizes.iter().sum::<u64>();
        rows += file.index.rows();
        for row_groups in split(&sizes) {
            let voucher = Voucher {
                dataset: resolved.version.dataset.clone(),
                version: resolved.version.version.clone(),
                file: position,
                row_groups,
                asked: asked.clone(),
                columns: ticket::names(&columns),
                redact: wish.redact,
                purpose: resolved.purpose.clone(),
                certificate: caller.principal.keyed_certificate(&gateway.secrets),
                principal: caller.principal.keyed(&gateway.secrets),
                expires,
            };
            let ticket = Ticket { ticket: seal(gateway, &voucher) };
            endpoints.push(FlightEndpoint {
                ticket: Some(ticket),
                location: Vec::new(),
                expiration_time: Some(prost_types::Timestamp { seconds: expires.as_second(), nanos: 0 }),
                app_metadata: Bytes::new(),
            });
        }
    }
    Ok(FlightInfo {
        schema: encoded_schema(&resolved, &columns)?,
        flight_descriptor: Some(descriptor),
        endpoint: endpoints,
        total_records: i64::try_from(rows).unwrap_or(-1),
        total_bytes: i64::try_from(bytes).unwrap_or(-1),
        ordered: true,
        app_metadata: Bytes::new(),
    })
}

/// Uncompressed bytes of the selected units of each row group.
fn sizes(index: &catalog::FileIndex, leaves: &[usize]) -> Vec<u64> {
    let mut sizes = vec![0_u64; index.row_groups.len()];
    for unit in &index.units {
        let wanted = usize::try_from(unit.column).is_ok_and(|column| leaves.binary_search(&column).is_ok());
        let row_group = usize::try_from(unit.row_group).ok().filter(|_| wanted);
        if let Some(size) = row_group.and_then(|row_group| sizes.get_mut(row_group)) {
            *size = size.saturating_add(unit.uncompressed_bytes);
        }
    }
    sizes
}

/// Neighbouring row groups together, as long as an endpoint stays small; never none.
fn split(sizes: &[u64]) -> Vec<std::ops::Range<usize>> {
    let (mut ranges, mut start, mut sum) = (Vec::new(), 0, 0_u64);
    for (number, size) in sizes.iter().enumerate() {
        if number > start && sum.saturating_add(*size) > ENDPOINT_BYTES {
            ranges.push(start..number);
            (start, sum) = (number, 0);
        }
        sum = sum.saturating_add(*size);
    }
    ranges.push(start..sizes.len());
    ranges
}

/// `ListFlights`: what the caller may pull or could after accepting an offer; `expression` is a search text.
pub async fn list(gateway: &Shared, caller: &Caller, expression: &[u8]) -> Result<Vec<FlightInfo>, Problem> {
    let scope = authorise(&caller.principal, Action::Consume)?;
    let text =
        std::str::from_utf8(expression).map_err(|_| Problem::new(Code::BadInput, "the expression is not UTF-8"))?;
    let words: Vec<String> = fold(text).split_whitespace().map(str::to_owned).collect();
    let mut found = Vec::new();
    for dataset in caller.snapshot.datasets.values() {
        let versions = seen(caller, &scope, dataset);
        let published = versions.iter().rev().find(|version| version.state == catalog::VersionState::Published);
        let Some(version) = published else { continue };
        let entry = &version.manifest.dataset;
        let titles: Vec<&str> = entry.title.values().map(String::as_str).collect();
        let described = fold(&format!("{} {} {}", entry.id, titles.join(" "), entry.keyword.join(" ")));
        if !words.iter().all(|word| described.contains(word.as_str())) {
            continue;
        }
        let Some(first) = version.files.first() else { continue };
        let Ok(file) = gateway.files.open(first).await else { continue };
        let leaves: Vec<usize> = (0..file.index.leaves.len()).collect();
        let Ok(projection) = Projection::new(Arc::clone(&file.footer), &leaves) else { continue };
        let (rows, bytes) =
            version.files.iter().fold((0, 0), |(rows, bytes), file| (rows + file.rows, bytes + file.bytes));
        found.push(FlightInfo {
            schema: Bytes::from(schema_message(projection.schema()).stream_parts().concat()),
            flight_descriptor: Some(FlightDescriptor::new_path(vec![entry.id.to_string()])),
            endpoint: Vec::new(),
            total_records: i64::try_from(rows).unwrap_or(-1),
            total_bytes: i64::try_from(bytes).unwrap_or(-1),
            ordered: true,
            app_metadata: Bytes::new(),
        });
    }
    Ok(found)
}

/// The `explain` action: the decision on a request, as JSON.
pub async fn explain(gateway: &Shared, caller: &Caller, json: &[u8]) -> Result<Bytes, Problem> {
    authorise(&caller.principal, Action::Consume)?;
    let mut wish = request(json)?;
    wish.ask.needs_agreement = false;
    let resolved = resolve(gateway, Arc::clone(&caller.snapshot), &caller.principal, &wish.ask, caller.now).await?;
    let preview = preview(gateway, &resolved, wish.redact)?;
    let (_, explain) = preview.shown().explained(resolved.viewer());
    Ok(Bytes::from(explain.to_value().to_string()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn endpoints_are_whole_row_groups() {
        let mib = 1 << 20;
        assert_eq!(split(&[10 * mib, 20 * mib]), vec![0..2]);
        assert_eq!(split(&[100 * mib, 100 * mib, 10 * mib]), vec![0..1, 1..3]);
        assert_eq!(split(&[500 * mib, 500 * mib]), vec![0..1, 1..2]);
        assert_eq!(split(&[]), vec![0..0]);
    }
}
