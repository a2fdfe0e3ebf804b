//! `/users/me/settings` and `/users/{id}/settings`: what users share with others.

use axum::{extract::State, response::Response};
use http::StatusCode;
use proto::{
    UserId,
    chat::{PutSettingsRequest, Settings},
};
use serde::{Deserialize, Serialize};

use super::{
    answers::{json, may_read, read, within},
    api::Api,
    body::JsonBody,
    caller::{AppServer, User},
    params::TheUser,
};
use crate::{failure::Problem, views::to_json};

#[derive(Debug, Serialize)]
struct View {
    receipts: Sharing,
    typing: Sharing,
    presence: Sharing,
    locked: bool,
}

/// What is to be set; what is left out stays.
#[derive(Debug, Deserialize)]
struct Change {
    receipts: Option<Sharing>,
    typing: Option<Sharing>,
    presence: Option<Sharing>,
    locked: Option<bool>,
}

/// Whether something is shown to others, and theirs to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sharing {
    Shared,
    Private,
}

/// `GET /users/me/settings`.
pub(super) async fn get(User(user): User, State(api): State<Api>) -> Result<Response, Problem> {
    may_read(&api, &user, &api.limits.reads)?;
    Ok(read(&api, &user, view(api.services.settings(&user).await?)))
}

/// `PUT /users/me/settings`: 403 if the app server has locked them.
pub(super) async fn put(User(user): User, State(api): State<Api>, body: JsonBody) -> Result<Response, Problem> {
    within(|now| api.limits.reads.take(user.as_str(), now))?;
    let change = Change { locked: None, ..body.read()? };
    let set = api.services.put_settings(change.request(&user, true)).await?;
    Ok(json(StatusCode::OK, view(set)))
}

/// `GET /users/{id}/settings`, by the app server.
pub(super) async fn get_of(_: AppServer, State(api): State<Api>, TheUser(user): TheUser) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, view(api.services.settings(&user).await?)))
}

/// `PUT /users/{id}/settings`, by the app server, which may lock them.
pub(super) async fn put_of(
    _: AppServer,
    State(api): State<Api>,
    TheUser(user): TheUser,
    body: JsonBody,
) -> Result<Response, Problem> {
    let change: Change = body.read()?;
    let set = api.services.put_settings(change.request(&user, false)).await?;
    Ok(json(StatusCode::OK, view(set)))
}

impl Change {
    fn request(&self, user: &UserId, by_user: bool) -> PutSettingsRequest {
        let [share_receipts, share_typing, share_presence] =
            [self.receipts, self.typing, self.presence].map(|set| set.map(|sharing| sharing == Sharing::Shared));
        let (user_id, locked) = (user.to_string(), self.locked);
        PutSettingsRequest { user_id, share_receipts, share_typing, share_presence, locked, by_user }
    }
}

fn view(settings: Settings) -> String {
    let Settings { share_receipts, hides_typing, hides_presence, locked } = settings;
    let sharing = |is_shared| if is_shared { Sharing::Shared } else { Sharing::Private };
    let [receipts, typing, presence] = [share_receipts, !hides_typing, !hides_presence].map(sharing);
    to_json(&View { receipts, typing, presence, locked })
}
