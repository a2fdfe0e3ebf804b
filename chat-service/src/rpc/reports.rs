//! Calls about what members have reported.

use proto::chat::{
    Code, Failure, GetReportRequest, GetReportResponse, ListReportsRequest, ListReportsResponse, ReportRequest,
    ReportResponse, ReportSummary, Reported, ResolveReportRequest, report_response,
};
use tonic::Status;
use tracing::info;

use super::{
    Rpc, limit,
    status::{match_id, user_id},
};
use crate::store::{Complaint, Filed};

/// Most messages that a report names.
const MAX_SEQS: usize = 50;
/// When a user who has reported too often may do it again at the earliest: an hour.
const RETRY_TOO_MANY_MS: i64 = 3_600_000;

impl Rpc {
    pub(super) async fn report_of(&self, request: ReportRequest) -> Result<ReportResponse, Status> {
        let complaint = complaint(request)?;
        let (filed, other) = self.store.report(&complaint).await?;
        let result = match filed {
            Filed::Report { id, duplicate } => {
                info!(report = id, r#match = %complaint.match_id, duplicate, "reported");
                report_response::Result::Reported(Reported { report_id: id, duplicate, other: other.clone() })
            }
            Filed::NoMatch => failure(Code::MatchNotFound, None),
            Filed::NoMessage => failure(Code::MessageNotFound, None),
            Filed::Conflict => failure(Code::IdempotencyConflict, None),
            Filed::TooMany => failure(Code::RateLimited, Some(RETRY_TOO_MANY_MS)),
        };
        Ok(ReportResponse { result: Some(result), other })
    }

    pub(super) async fn reports(&self, request: ListReportsRequest) -> Result<ListReportsResponse, Status> {
        let (reports, has_more) = self.store.list_reports(request.after.unwrap_or(0), limit(request.limit)).await?;
        Ok(ListReportsResponse { reports, has_more })
    }

    pub(super) async fn report_with_evidence(&self, request: GetReportRequest) -> Result<GetReportResponse, Status> {
        let found = self.store.get_report(request.report_id).await?;
        let (report, evidence) = found.ok_or_else(no_report)?;
        Ok(GetReportResponse { report: Some(report), evidence })
    }

    pub(super) async fn resolve(&self, request: ResolveReportRequest) -> Result<ReportSummary, Status> {
        self.store.resolve_report(request.report_id).await?.ok_or_else(no_report)
    }
}

fn complaint(request: ReportRequest) -> Result<Complaint, Status> {
    let ReportRequest { match_id: id, user_id: user, reason, mut seqs, note, key } = request;
    seqs.sort_unstable();
    seqs.dedup();
    if seqs.len() > MAX_SEQS {
        return Err(Status::invalid_argument(format!("at most {MAX_SEQS} messages")));
    }
    Ok(Complaint { match_id: match_id(id)?, user: user_id(user)?, reason, note, seqs, key })
}

fn failure(code: Code, retry_after_ms: Option<i64>) -> report_response::Result {
    report_response::Result::Failure(Failure { code: code.into(), retry_after_ms, of_sender: true })
}

fn no_report() -> Status {
    Status::not_found("no such report")
}
