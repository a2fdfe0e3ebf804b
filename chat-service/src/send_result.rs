//! What a sender hears of each of its drafts.

use proto::chat::{Code, Failure, Message, SendResult, Stored, send_result};

/// When what could not be stored may be sent again: a lost connection may be back by then.
pub const RETRY_UNAVAILABLE_MS: i64 = 250;

/// The result of a draft that is stored: by this send, or `duplicate` by an earlier one.
pub fn stored(message: &Message, duplicate: bool) -> SendResult {
    let stored = Stored {
        seq: message.seq,
        created_at_ms: message.created_at_ms,
        duplicate,
        client_id: message.client_id.clone(),
    };
    SendResult { result: Some(send_result::Result::Stored(stored)) }
}

/// The result of a draft that was refused.
pub fn failure(code: Code) -> SendResult {
    failed(Failure { code: code.into(), ..Failure::default() })
}

/// The result of a draft that may succeed when it is sent again after `retry_after_ms`.
pub fn failure_for_now(code: Code, retry_after_ms: i64) -> SendResult {
    failed(Failure { code: code.into(), retry_after_ms: Some(retry_after_ms), ..Failure::default() })
}

/// The same, of a draft that is refused for what its sender sends, and not for what all send together.
pub fn failure_of_sender(code: Code, retry_after_ms: i64) -> SendResult {
    failed(Failure { code: code.into(), retry_after_ms: Some(retry_after_ms), of_sender: true })
}

/// The result of a draft whose outcome is unknown, or that nobody can store now.
pub fn unavailable() -> SendResult {
    failure_for_now(Code::Unavailable, RETRY_UNAVAILABLE_MS)
}

fn failed(failure: Failure) -> SendResult {
    SendResult { result: Some(send_result::Result::Failure(failure)) }
}
