//! `/matches/{id}/report` for members, `/reports` for the app server.

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use proto::chat::{Evidence, ReportRequest, ReportSummary};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use service_kit::clock;

use super::{
    answers::{json, within},
    api::Api,
    body::JsonBody,
    caller::{AppServer, User},
    params::{Params, TheMatch, page_limit},
};
use crate::{
    failure::{Failure, Problem},
    views::{raw, to_json},
};

/// Makes a repeat of a report the same report.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_KEY_CHARS: usize = 255;
const MAX_REASON_CHARS: usize = 64;
const MAX_NOTE_CHARS: usize = 1_000;
const MAX_SEQS: usize = 50;

#[derive(Debug, Deserialize)]
struct NewReport {
    reason: String,
    #[serde(default)]
    seqs: Vec<i64>,
    note: Option<String>,
    #[serde(default)]
    block: bool,
}

/// Which page of the reports.
#[derive(Debug, Deserialize)]
pub(super) struct Query {
    after: Option<i64>,
    limit: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reports<'a> {
    reports: Vec<View<'a>>,
    has_more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    report_id: i64,
    match_id: &'a str,
    user_id: &'a str,
    reason: &'a str,
    note: Option<&'a str>,
    seqs: &'a [i64],
    created_at: String,
    state: &'static str,
    resolved_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<EvidenceView<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceView<'a> {
    seq: i64,
    sender_id: &'a str,
    message: &'a RawValue,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by_rev: Option<i64>,
}

/// `POST /matches/{id}/report`: 201, or 200 if the `Idempotency-Key` has reported it before.
pub(super) async fn post(
    User(user): User,
    State(api): State<Api>,
    TheMatch(id): TheMatch,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    let report: NewReport = body.read()?;
    report.check()?;
    within(|now| api.limits.reads.take(user.as_str(), now))?;
    let NewReport { reason, seqs, note, block } = report;
    let (match_id, user_id) = (id.to_string(), user.to_string());
    let request = ReportRequest { match_id, user_id, reason, seqs, note, key: key(&headers)? };
    let reported = api.services.report(request, block).await?;
    let status = if reported.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok(json(status, to_json(&serde_json::json!({ "reportId": reported.report_id, "duplicate": reported.duplicate }))))
}

/// `GET /reports?after&limit`, by their number.
pub(super) async fn list(
    _: AppServer,
    State(api): State<Api>,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let page = api.services.list_reports(query.after, page_limit(query.limit)?).await?;
    let reports = page.reports.iter().map(|report| View::new(report, None)).collect();
    Ok(json(StatusCode::OK, to_json(&Reports { reports, has_more: page.has_more })))
}

/// `GET /reports/{id}`, with the evidence.
pub(super) async fn get(_: AppServer, State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let found = api.services.get_report(number(&id)?).await?;
    let report = found.report.unwrap_or_default();
    Ok(json(StatusCode::OK, to_json(&View::new(&report, Some(&found.evidence)))))
}

/// `POST /reports/{id}/resolve`: it was dealt with.
pub(super) async fn resolve(_: AppServer, State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let report = api.services.resolve_report(number(&id)?).await?;
    Ok(json(StatusCode::OK, to_json(&View::new(&report, None))))
}

impl NewReport {
    fn check(&self) -> Result<(), Failure> {
        let is_text = |text: &str, most: usize| !text.contains('\0') && text.chars().count() <= most;
        let is_valid = !self.reason.is_empty()
            && is_text(&self.reason, MAX_REASON_CHARS)
            && self.note.as_deref().is_none_or(|note| is_text(note, MAX_NOTE_CHARS))
            && self.seqs.len() <= MAX_SEQS
            && self.seqs.iter().all(|seq| *seq > 0);
        if is_valid { Ok(()) } else { Err(Failure::invalid()) }
    }
}

impl<'a> View<'a> {
    fn new(report: &'a ReportSummary, evidence: Option<&'a [Evidence]>) -> Self {
        Self {
            report_id: report.report_id,
            match_id: &report.match_id,
            user_id: &report.user_id,
            reason: &report.reason,
            note: report.note.as_deref(),
            seqs: &report.seqs,
            created_at: clock::rfc3339(report.created_at_ms),
            state: if report.resolved_at_ms.is_some() { "resolved" } else { "open" },
            resolved_at: report.resolved_at_ms.map(clock::rfc3339),
            evidence: evidence.map(|all| all.iter().map(EvidenceView::new).collect()),
        }
    }
}

impl<'a> EvidenceView<'a> {
    fn new(of: &'a Evidence) -> Self {
        let (message, created_at) = (raw(&of.body), clock::rfc3339(of.created_at_ms));
        Self { seq: of.seq, sender_id: &of.sender_id, message, created_at, replaced_by_rev: of.replaced_by_rev }
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    // One of our own, as the call of the service may be made again.
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(Some(format!("{:032x}", fastrand::u128(..)))) };
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY_CHARS).contains(&key.len()));
    key.map(|key| Some(key.to_owned())).ok_or_else(Failure::invalid)
}

fn number(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::invalid())
}
