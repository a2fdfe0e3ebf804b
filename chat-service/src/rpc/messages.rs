//! Calls about messages, and about what else changes in a match.

use std::time::Instant;

use proto::{
    ClientId,
    chat::{
        ChangeMessageRequest, ChangeMessageResponse, Code, Failure, HideMessageRequest, HideMessageResponse,
        ListChangesRequest, ListChangesResponse, ListMessagesRequest, ListMessagesResponse, MessageChange,
        MessageHidden,
        change_message_request::{self, React},
        change_message_response, hide_message_response, list_messages_request,
    },
    inbox::{self, chat_event::Event},
};
use tonic::Status;

use super::{
    Rpc, limit,
    status::{failure, malformed, match_id, no_match, user_id},
};
use crate::{
    command::{self, ChangeMessage, Command, Windows},
    outcome::{Changed, Refusal},
    store::{Listed, ListedChanges, Position},
};

impl Rpc {
    pub(super) async fn messages_of(&self, request: ListMessagesRequest) -> Result<ListMessagesResponse, Status> {
        let id = match_id(request.match_id)?;
        let position = match request.position {
            None => Position::Latest,
            Some(list_messages_request::Position::Before(seq)) => Position::Before(seq),
            Some(list_messages_request::Position::After(seq)) => Position::After(seq),
        };
        let user = request.user_id.map(user_id).transpose()?;
        let page = self.store.list_messages((&id, user.as_ref()), position, limit(request.limit)).await?;
        let page = page.ok_or_else(no_match)?;
        // Where the members never changed there are none.
        let notes = if request.with_notes && page.members_rev > 0 {
            self.store.notes((&id, user.as_ref()), position, &page).await?
        } else {
            Vec::new()
        };
        let Listed { messages, has_more, through_seq, through_rev, .. } = page;
        Ok(ListMessagesResponse { messages, has_more, through_seq, through_rev: Some(through_rev), notes })
    }

    pub(super) async fn changes_of(&self, request: ListChangesRequest) -> Result<ListChangesResponse, Status> {
        let id = match_id(request.match_id)?;
        let user = request.user_id.map(user_id).transpose()?;
        let page = self.store.list_changes((&id, user.as_ref()), request.after_rev, limit(request.limit)).await?;
        let ListedChanges { changes, through_rev, has_more, oldest_rev } = page.ok_or_else(no_match)?;
        Ok(ListChangesResponse { changes, through_rev, has_more, oldest_rev })
    }

    pub(super) async fn change_message_of(
        &self,
        request: ChangeMessageRequest,
    ) -> Result<ChangeMessageResponse, Status> {
        let command = change_of_message(request, self.rules.windows)?;
        // For a match of others and for one that does not exist the same is done, as with sends.
        let changed = match self.audiences.of(&command.match_id, &command.actor).await? {
            Some(audience) => {
                let (of, now) = ((&command.match_id, &command.actor), Instant::now());
                if let Err(failure) = self.limits.take(of, command.bytes(), now) {
                    return Ok(refused(failure));
                }
                self.commit(command, audience).await?
            }
            None => Err(Refusal::NoMatch),
        };
        let result = match changed {
            Ok(Changed { change, is_new }) => {
                change_message_response::Result::Changed(MessageChange { rev: change.rev, duplicate: !is_new })
            }
            Err(refusal) => change_message_response::Result::Failure(failure(refusal)?),
        };
        Ok(ChangeMessageResponse { result: Some(result) })
    }

    /// Every call tells the user's devices, so that one whose news were lost can be repeated.
    pub(super) async fn hide(&self, request: HideMessageRequest) -> Result<HideMessageResponse, Status> {
        let (id, user, seq) = (match_id(request.match_id)?, user_id(request.user_id)?, request.seq);
        let hidden = match self.audiences.of(&id, &user).await? {
            Some(_) if let Err(failure) = self.limits.take((&id, &user), 0, Instant::now()) => {
                return Ok(HideMessageResponse { result: Some(hide_message_response::Result::Failure(failure)) });
            }
            Some(_) => self.store.hide(&id, &user, seq).await?.ok_or(Refusal::MayNot(Code::MessageNotFound)),
            None => Err(Refusal::NoMatch),
        };
        let result = match hidden {
            Ok(duplicate) => {
                let event = Event::MessageHidden(inbox::MessageHidden { match_id: id.into(), seq });
                // What is not told is seen in the next page.
                let _ = self.inbox.publish(&[user], event).await;
                hide_message_response::Result::Hidden(MessageHidden { duplicate })
            }
            Err(refusal) => hide_message_response::Result::Failure(failure(refusal)?),
        };
        Ok(HideMessageResponse { result: Some(result) })
    }
}

fn change_of_message(request: ChangeMessageRequest, windows: Windows) -> Result<ChangeMessage, Status> {
    let change = match request.change {
        Some(change_message_request::Change::Edit(body)) => command::MessageChange::Edit(body),
        Some(change_message_request::Change::Delete(_)) => command::MessageChange::Delete,
        Some(change_message_request::Change::React(React { emoji, on })) => command::MessageChange::React(emoji, on),
        None => return Err(Status::invalid_argument("nothing is to be changed")),
    };
    let client_id = request.client_id.map(ClientId::new).transpose().map_err(malformed)?;
    let (match_id, actor) = (match_id(request.match_id)?, user_id(request.user_id)?);
    Ok(ChangeMessage { match_id, actor, seq: request.seq, client_id, change, windows })
}

fn refused(failure: Failure) -> ChangeMessageResponse {
    ChangeMessageResponse { result: Some(change_message_response::Result::Failure(failure)) }
}
