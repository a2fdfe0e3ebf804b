//! The HTTP side: which request is what, and its answer.

use super::{
    CloseReason, Handler, answer::answer, error::HttpError, older_client, payload, polling::Inbound, query::Query,
    requests::PostRequest, server::Shared, session::Session,
};
use axum::{body::Body, extract::Request};
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method, Response, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Time for the body of a POST to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a POST that closes the session waits for the GET that the client sent beside it.
const GET_ON_ITS_WAY: Duration = Duration::from_millis(10);

impl<H: Handler> Shared<H> {
    /// Answers a request to the endpoint's path.
    pub(super) async fn handle(self: &Arc<Self>, request: Request) -> Response<Body> {
        let origins = &self.context.config.cors_origins;
        if let Some(preflight) = origins.preflight(request.method(), request.headers()) {
            return preflight;
        }
        let (parts, body) = request.into_parts();
        // Only what the answer needs outlives the request's headers: an upgraded connection would pin them.
        let origin = origin_only(&parts.headers);
        let mut response = match self.route(parts, body).await {
            Ok(response) => response,
            Err(error) => error.response(),
        };
        origins.apply(&origin, response.headers_mut());
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    async fn route(self: &Arc<Self>, mut parts: Parts, body: Body) -> Result<Response<Body>, HttpError> {
        let uri = parts.uri.clone();
        let query = Query::parse(uri.query().unwrap_or_default());
        let is_websocket = match query.transport {
            Some("websocket") => true,
            Some("polling") => false,
            _ => return Err(HttpError::TransportUnknown),
        };
        let session = match query.sid {
            Some(sid) => Some(self.context.registry.get(sid).ok_or(HttpError::SessionUnknown)?),
            None if parts.method != Method::GET => return Err(HttpError::BadHandshakeMethod),
            None => None,
        };
        if query.eio != Some("4") {
            return match session {
                Some(_) => Err(HttpError::BadRequest),
                None if older_client::has_asked(&self.context.config.path, &query) => Ok(older_client::farewell()),
                None => Err(HttpError::UnsupportedVersion),
            };
        }
        match (session, is_websocket) {
            (None, true) => self.open_websocket(&mut parts),
            (None, false) => self.open_polling(&parts).await,
            (Some(session), true) => self.upgrade(&mut parts, session),
            (Some(session), false) => polled(&session, &parts, body).await,
        }
    }
}

/// A GET or POST of a session.
async fn polled(session: &Arc<Session>, parts: &Parts, body: Body) -> Result<Response<Body>, HttpError> {
    match parts.method {
        Method::GET => session.begin_get()?.await.map(|body| answer("text/plain; charset=UTF-8", body)),
        Method::POST => {
            let received = receive(session, &parts.headers, body).await;
            session.receives(0);
            received?;
            // Not text/plain: some browsers would offer it as a download (as the reference server says).
            Ok(answer("text/html", "ok".to_owned()))
        }
        _ => Err(HttpError::BadHandshakeMethod),
    }
}

/// Reads a POST and has it handled.
async fn receive(session: &Arc<Session>, headers: &HeaderMap, body: Body) -> Result<(), HttpError> {
    let post = session.begin_post()?;
    let limit = session.context.config.max_payload;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if declared.is_some_and(|length| length.parse::<usize>().is_ok_and(|length| length > limit)) {
        post.cancel();
        return Err(HttpError::TooLarge);
    }
    let reading = timeout(BODY_TIMEOUT, read(session, Limited::new(body, limit)));
    let read = tokio::select! {
        read = reading => read.unwrap_or_else(|elapsed| Err(elapsed.into())),
        error = post.refused() => {
            post.cancel();
            return Err(error);
        }
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.is::<LengthLimitError>() => {
            post.cancel();
            return Err(HttpError::TooLarge);
        }
        // The body broke off, or takes too long: dropping the request closes the session.
        Err(_) => return Err(HttpError::BadRequest),
    };
    let is_binary =
        headers.get(header::CONTENT_TYPE).is_some_and(|content_type| content_type == "application/octet-stream");
    let packets = match std::str::from_utf8(&bytes).map(payload::decode) {
        Ok(Ok(packets)) if !is_binary => packets,
        _ => {
            session.close(CloseReason::ProtocolError);
            return Err(HttpError::BadRequest);
        }
    };
    let packets = packets.into_iter().filter_map(Inbound::from_packet).collect();
    deliver(session, post, packets).await
}

/// Reads a body as it comes, and keeps account of it.
async fn read(session: &Arc<Session>, mut body: Limited<Body>) -> Result<BytesMut, axum::BoxError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        bytes.extend_from_slice(&data);
        if !session.receives(bytes.capacity()) {
            return Err("all sessions together hold too much".into());
        }
    }
    Ok(bytes)
}

async fn deliver(session: &Arc<Session>, post: PostRequest, packets: VecDeque<Inbound>) -> Result<(), HttpError> {
    if packets.contains(&Inbound::Close) && !session.has_get() {
        // A client that closes sends a GET and this POST at once, on two connections.
        tokio::time::sleep(GET_ON_ITS_WAY).await;
    }
    post.deliver(packets).await
}

/// The `Origin` header alone, copied.
fn origin_only(headers: &HeaderMap) -> HeaderMap {
    let mut copied = HeaderMap::new();
    if let Some(origin) = headers.get(header::ORIGIN)
        && let Ok(origin) = HeaderValue::from_bytes(origin.as_bytes())
    {
        copied.insert(header::ORIGIN, origin);
    }
    copied
}
