//! Arrow Flight on the same port: ListFlights, GetFlightInfo, GetSchema and two actions through tonic; DoGet by itself,
//! because its messages are assembled from slices of decoded buffers without a copy.

mod get;
mod info;
mod status;
mod ticket;

use std::pin::Pin;
use std::sync::Arc;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, Result as ActionResult, SchemaResult, Ticket,
};
use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use catalog::Purpose;
use futures::Stream;
use futures::stream::{self, StreamExt as _};
use gateway_api::names;
use tonic::{Request, Response, Status, Streaming};

use crate::gateway::Shared;
use crate::listener::Peer;
use crate::rest::Caller;

/// The routes of the Flight service.
pub fn router(gateway: &Shared) -> Router {
    let service = FlightServiceServer::new(Flight { gateway: Arc::clone(gateway) });
    Router::new()
        .route("/arrow.flight.protocol.FlightService/DoGet", post(get::do_get))
        .with_state(Arc::clone(gateway))
        .route_service("/arrow.flight.protocol.FlightService/{*method}", service)
}

#[derive(Debug)]
struct Flight {
    gateway: Shared,
}

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Flight {
    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let peer =
            request.extensions().get::<Peer>().ok_or_else(|| Status::unauthenticated("no verified certificate"))?;
        Caller::of(&self.gateway, peer).map_err(|problem| status::of(&problem))
    }
}

/// `x-kouan-purpose` of the call: a path has no place for it.
fn purpose<T>(request: &Request<T>) -> Result<Option<Purpose>, Status> {
    let Some(value) = request.metadata().get(names::PURPOSE) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Status::invalid_argument("the purpose is not ASCII"))?;
    Purpose::parse(text).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn later(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not in this release"))
}

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = BoxStream<HandshakeResponse>;
    type ListFlightsStream = BoxStream<FlightInfo>;
    type DoGetStream = BoxStream<FlightData>;
    type DoPutStream = BoxStream<PutResult>;
    type DoActionStream = BoxStream<ActionResult>;
    type ListActionsStream = BoxStream<ActionType>;
    type DoExchangeStream = BoxStream<FlightData>;

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(Status::unimplemented("there is no handshake: the certificate is the identity"))
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        let caller = self.caller(&request)?;
        let found = info::list(&self.gateway, &caller, &request.into_inner().expression).await;
        let found = found.map_err(|problem| status::of(&problem))?;
        Ok(Response::new(stream::iter(found.into_iter().map(Ok)).boxed()))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let caller = self.caller(&request)?;
        let made = info::info(&self.gateway, &caller, purpose(&request)?, request.into_inner()).await;
        made.map(Response::new).map_err(|problem| status::of(&problem))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(later("PollFlightInfo"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.caller(&request)?;
        let made = info::schema(&self.gateway, &caller, purpose(&request)?, request.into_inner()).await;
        made.map(|schema| Response::new(SchemaResult { schema })).map_err(|problem| status::of(&problem))
    }

    /// Routed to [`get::do_get`] before it comes here.
    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Err(Status::internal("DoGet is routed elsewhere"))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(later("DoPut"))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(later("DoExchange"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.caller(&request)?;
        let action = request.into_inner();
        let body: Bytes = match action.r#type.as_str() {
            "explain" => info::explain(&self.gateway, &caller, &action.body).await,
            "renew" => ticket::renew(&self.gateway, &caller, &action.body),
            "ack" => crate::rest::acks::action(&self.gateway, &caller, &action.body).await.map(Bytes::from),
            other => {
                return Err(Status::unimplemented(format!(
                    "action `{other}` is not offered; ack, explain and renew are"
                )));
            }
        }
        .map_err(|problem| status::of(&problem))?;
        Ok(Response::new(stream::iter([Ok(ActionResult { body })]).boxed()))
    }

    async fn list_actions(&self, request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        self.caller(&request)?;
        let actions = [
            ("ack", "JSON {ack: {lease, manifest, seq, units}, signature}: sign for units; the same as POST …/acks"),
            ("explain", "JSON {dataset, version?, columns?, redact?, purpose?}: the decision, without moving anything"),
            (
                "renew",
                "a ticket of the same principal, perhaps from an older certificate: a ticket for this certificate",
            ),
        ];
        let actions =
            actions.map(|(name, text)| Ok(ActionType { r#type: name.to_owned(), description: text.to_owned() }));
        Ok(Response::new(stream::iter(actions).boxed()))
    }
}
