//! The HTTP/JSON interface: a translation of HTTP requests to calls of the gRPC services, and back.
//!
//! ```text
//! HTTP ─▶ route (routes.rs) ─▶ body, path, query as one JSON document (request.rs) ─▶ message
//!                                                                                       │ call.rs, in this process
//! HTTP ◀─ JSON, events, text (answer.rs), or a problem (problem.rs) ◀───── messages ◀── gRPC service
//! ```
//!
//! It leaves everything that an answer says to the services, and who may ask to the guard around them: a call reaches
//! them with the credentials and the connection of the HTTP request that it is made for. `/openapi.json` is made of the same
//! table and the protocol definitions (openapi.rs).

mod answer;
mod call;
mod openapi;
mod problem;
mod request;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Query, RawPathParams, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, any, get, on};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;
use tonic::{Code, Status, Streaming};

use call::Caller;
use problem::Problem;
use routes::{Answer, ROUTES, Route};

/// Elements of a list that are asked for at a time.
const PAGE: u32 = 500;
/// How long a call may wait whose client says nothing of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The interface to the given services.
pub(super) fn router(services: &Routes) -> Router {
    let pool = DescriptorPool::decode(weir_api::DESCRIPTORS).expect("the build script has compiled them");
    let document = Bytes::from(openapi::document(&pool).to_string());
    let mut router = Router::new();
    for route in ROUTES {
        let (service, method) = route.call;
        let service = pool.get_service_by_name(&format!("weir.v1.{service}"));
        let method = service.and_then(|service| service.methods().find(|found| found.name() == method));
        let method = method.expect("the table of routes names methods that there are");
        let bound = Arc::new(Bound { route, method, services: services.clone() });
        let filter = MethodFilter::try_from(Method::from(route.verb)).expect("one of the usual methods");
        router = router.route(route.path, on(filter, move |request: Request| bound.serve(request)));
    }
    router
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], document)))
        .route("/v1/{*rest}", any(nothing_here))
        .method_not_allowed_fallback(not_that_method)
}

/// A refusal, for who does not speak gRPC.
pub(super) fn refused(status: Status) -> Response {
    Problem::from(status).into_response()
}

async fn nothing_here(uri: Uri) -> Problem {
    let path = uri.path().chars().take(200).collect::<String>();
    let detail = format!("there is nothing at `{}`: /openapi.json says what there is", path.escape_debug());
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, detail)
}

async fn not_that_method(method: Method, uri: Uri) -> Problem {
    let path = uri.path().chars().take(200).collect::<String>();
    let detail = format!("`{}` does not take the method {method}", path.escape_debug());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, detail)
}

/// A route and what it leads to.
struct Bound {
    route: &'static Route,
    method: MethodDescriptor,
    services: Routes,
}

impl Bound {
    async fn serve(self: Arc<Self>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        self.answer(parts, body).await.unwrap_or_else(Problem::into_response)
    }

    async fn answer(self: Arc<Self>, mut parts: Parts, body: Body) -> Result<Response, Problem> {
        request::check_headers(self.route, &parts.headers)?;
        let body = request::read_body(self.route, &parts, body).await?;
        let input = self.method.input();
        let asked = request::Asked {
            route: self.route,
            message: &input,
            path: path(&mut parts).await?,
            query: query(&parts)?,
        };
        let message = asked.message(&body)?;
        let caller = Caller::of(&parts.headers, parts.extensions);
        let wait = request::wait(&parts.headers);
        match self.route.answer {
            Answer::One => {
                let caller = caller.with_timeout(wait.unwrap_or(PATIENCE));
                Ok(answer::one(&self.once(caller, message).await?)?)
            }
            Answer::List(field) => self.list(caller.with_timeout(PATIENCE), message, field).await,
            Answer::Events => Ok(answer::events(self.call(caller, message).await?)),
            Answer::Text => Ok(answer::text(self.call(caller, message).await?)),
        }
    }

    async fn call(
        &self,
        caller: Caller,
        message: DynamicMessage,
    ) -> Result<Streaming<DynamicMessage>, Status> {
        call::call(&self.services, &self.method, caller, message).await
    }

    /// Calls a method that answers once.
    async fn once(&self, caller: Caller, message: DynamicMessage) -> Result<DynamicMessage, Status> {
        let answer = self.call(caller, message).await?.message().await?;
        answer.ok_or_else(|| Status::internal("there is no answer"))
    }

    /// Answers with a list: the page that is asked for, or else all of it, of which never more than a page is held.
    ///
    /// What else there is in the message is that of the first page: its revision is one from which on a watch tells whatever
    /// the other pages may have missed.
    async fn list(
        self: Arc<Self>,
        caller: Caller,
        mut message: DynamicMessage,
        field: &'static str,
    ) -> Result<Response, Problem> {
        let is_one_page = message.get_field_by_name("page_size").and_then(|n| n.as_u32()) != Some(0);
        if !is_one_page {
            message.set_field_by_name("page_size", Value::U32(PAGE));
        }
        let mut page = self.once(caller.clone(), message.clone()).await?;
        let pieces = async_stream::try_stream! {
            let mut elements = answer::take_list(&mut page, field);
            let mut token = next_page(&page).filter(|_| !is_one_page);
            if !is_one_page {
                page.clear_field_by_name("next_page_token");
            }
            let mut piece = format!("{{\"{field}\":[").into_bytes();
            let mut is_first = true;
            loop {
                // The next page is read while this one is written.
                let next = token.map(|token| {
                    message.set_field_by_name("page_token", Value::String(token));
                    let (bound, caller, message) = (self.clone(), caller.clone(), message.clone());
                    AbortOnDropHandle::new(tokio::spawn(async move { bound.once(caller, message).await }))
                });
                for element in elements.iter().filter_map(Value::as_message) {
                    if !std::mem::take(&mut is_first) {
                        piece.push(b',');
                    }
                    piece.extend(answer::json(element)?);
                }
                let Some(next) = next else { break };
                yield std::mem::take(&mut piece);
                let next = next.await.map_err(|error| Status::internal(error.to_string()))?;
                let mut page = next?;
                elements = answer::take_list(&mut page, field);
                token = next_page(&page);
            }
            piece.extend(answer::rest_of_list(&page)?);
            yield piece;
        };
        // Spelled out, since the body is not run here.
        let pieces: std::pin::Pin<Box<dyn futures::Stream<Item = Result<Vec<u8>, Status>> + Send>> =
            Box::pin(pieces);
        Ok(answer::document(Body::from_stream(pieces)))
    }
}

fn next_page(page: &DynamicMessage) -> Option<String> {
    let token = page.get_field_by_name("next_page_token")?;
    token.as_str().filter(|token| !token.is_empty()).map(str::to_owned)
}

async fn path(parts: &mut Parts) -> Result<Vec<(String, String)>, Problem> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|error| Problem::of_field("path", error.to_string()))?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn query(parts: &Parts) -> Result<Vec<(String, String)>, Problem> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    query.map(|Query(pairs)| pairs).map_err(|error| Problem::of_field("query", error.to_string()))
}
