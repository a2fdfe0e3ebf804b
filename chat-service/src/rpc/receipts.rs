//! Calls about how far users have come.

use futures_util::future::join_all;
use proto::chat::{
    Code, Failure, GetReceiptsRequest, GetReceiptsResponse, MarkRequest, MarkResponse, MarkResult, mark_result,
};
use tonic::Status;

use super::{
    Rpc,
    status::{match_id, user_id},
};
use crate::{mark::Mark, marks::Unmarked, send_result::RETRY_UNAVAILABLE_MS};

/// The most marks of one call.
const MAX_MARKS: usize = 1_000;
/// The most matches whose receipts one call reads.
const MAX_MATCHES: usize = 100;
/// The most seqs of a kind in one mark.
const MAX_SEQS: usize = 64;

impl Rpc {
    pub(super) async fn mark_all(&self, request: MarkRequest) -> Result<MarkResponse, Status> {
        if request.marks.len() > MAX_MARKS {
            return Err(Status::invalid_argument(format!("at most {MAX_MARKS} marks")));
        }
        let marks = request.marks.into_iter().map(mark).collect::<Result<Vec<_>, _>>()?;
        let results = join_all(marks.into_iter().map(|mark| self.mark_one(mark))).await;
        Ok(MarkResponse { results })
    }

    async fn mark_one(&self, mark: Mark) -> MarkResult {
        let marked = match &self.marks {
            Some(marks) => marks.take(mark).await.map_err(failure),
            None => Err(Failure { code: Code::Forbidden.into(), ..Failure::default() }),
        };
        let result = marked.map_or_else(mark_result::Result::Failure, mark_result::Result::Position);
        MarkResult { result: Some(result) }
    }

    pub(super) async fn receipts_of(&self, request: GetReceiptsRequest) -> Result<GetReceiptsResponse, Status> {
        let (user, ids) = (user_id(request.user_id)?, request.match_ids);
        if self.marks.is_none() {
            return Err(Status::permission_denied("receipts are turned off"));
        }
        if ids.len() > MAX_MATCHES {
            return Err(Status::invalid_argument(format!("at most {MAX_MATCHES} matches")));
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        Ok(GetReceiptsResponse { receipts: self.store.receipts(&user, &ids).await? })
    }
}

fn mark(mark: proto::chat::Mark) -> Result<Mark, Status> {
    if mark.read_seqs.len().max(mark.delivered_seqs.len()) > MAX_SEQS {
        return Err(Status::invalid_argument(format!("at most {MAX_SEQS} seqs of a kind")));
    }
    let (match_id, user) = (match_id(mark.match_id)?, user_id(mark.user_id)?);
    Ok(Mark { match_id, user, read: mark.read_seqs, delivered: mark.delivered_seqs })
}

fn failure(unmarked: Unmarked) -> Failure {
    let (code, retry_after_ms) = match unmarked {
        Unmarked::NoMatch => (Code::MatchNotFound, None),
        Unmarked::Unavailable => (Code::Unavailable, Some(RETRY_UNAVAILABLE_MS)),
    };
    Failure { code: code.into(), retry_after_ms, of_sender: false }
}
