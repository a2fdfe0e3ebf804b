//! The REST API under `/api/v1`: what the clients read and save, and what the app server changes.

mod answers;
mod api;
mod asyncapi;
mod blocks;
mod body;
mod caller;
mod changes;
mod erasures;
mod matches;
mod members;
mod message;
mod messages;
mod milestones;
mod observe;
mod openapi;
mod params;
mod receipts;
mod reports;
mod request;
mod settings;
mod sync;
mod users;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::Response,
    routing::{delete, get, patch, post, put},
};
use http::{HeaderValue, StatusCode, header};

use crate::{cors::Origins, failure};

pub use api::Api;

/// The routes of the API and its descriptions, for pages of `origins` and everything that is no web page.
pub fn routes(api: Api, origins: Origins) -> Router {
    let v1 = Router::new()
        .route("/matches", get(matches::list))
        .route("/matches/{id}", put(matches::put).get(matches::get).delete(matches::close))
        .route("/matches/{id}/members", patch(members::patch))
        .route("/matches/{id}/members/me", delete(members::leave))
        .route("/matches/{id}/messages", get(messages::page).post(messages::post))
        .route("/matches/{id}/messages/{seq}", patch(message::edit).delete(message::delete))
        .route("/matches/{id}/messages/{seq}/reactions/{emoji}", put(message::react).delete(message::unreact))
        .route("/matches/{id}/changes", get(changes::page))
        .route("/matches/{id}/milestones", get(milestones::progress))
        .route("/matches/{id}/receipts", get(receipts::get).put(receipts::put))
        .route("/matches/{id}/report", post(reports::post))
        .route("/sync", post(sync::post))
        .route("/reports", get(reports::list))
        .route("/reports/{id}", get(reports::get))
        .route("/reports/{id}/resolve", post(reports::resolve))
        .route("/users/me/blocks", get(blocks::list))
        .route("/users/me/blocks/{other}", put(blocks::put).delete(blocks::delete))
        .route("/users/{id}/blocks", get(blocks::list_of))
        .route("/users/{id}/blocks/{other}", put(blocks::put_of).delete(blocks::delete_of))
        .route("/users/me/settings", get(settings::get).put(settings::put))
        .route("/users/{id}/settings", get(settings::get_of).put(settings::put_of))
        .route("/users/{id}", delete(erasures::delete))
        .route("/users/{id}/erasure", get(erasures::get))
        .route("/users/{id}/revoke", post(users::revoke))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(map_response(unstored))
        .with_state(api);
    Router::new()
        .nest("/api/v1", v1)
        .route("/openapi.json", get(openapi::document))
        .route("/asyncapi.json", get(asyncapi::document))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(origins, cross_origin))
        .layer(from_fn(observe::request))
}

/// The answer where there is no route.
pub async fn not_found() -> Response {
    failure::unrouted(StatusCode::NOT_FOUND)
}

async fn method_not_allowed() -> Response {
    failure::unrouted(StatusCode::METHOD_NOT_ALLOWED)
}

/// What the API answers is the caller's alone: no cache may keep it.
async fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lets the pages of the allowed origins read the answers.
async fn cross_origin(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    if let Some(answer) = origins.preflight(request.method(), request.headers()) {
        return answer;
    }
    let asking = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    let mut headers = http::HeaderMap::new();
    headers.extend(asking.map(|origin| (header::ORIGIN, origin)));
    origins.apply(&headers, response.headers_mut());
    if response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        let exposed = HeaderValue::from_static("retry-after");
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}
