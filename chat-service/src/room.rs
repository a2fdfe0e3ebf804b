//! A match as one transaction sees it: what stands in it already, and what the commands of a batch add. Pure: what is
//! stored goes in, what is to be stored comes out. Each command decides by itself what it adds (`command/`).

use std::collections::{BTreeMap, HashMap};

use proto::{
    ClientId, MatchId, UserId,
    chat::{Change, Code, Membership, Message, change::Kind},
};

use crate::{
    audience::Audience,
    digest::digest,
    invitation::Invitation,
    may::{Action, Standing, may},
    news::{Entry, Logged},
    stored::{Named, Row, Version},
    succession::Succession,
};

/// Who sends, from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The sender.
    pub id: UserId,
    /// Hash of the sending socket.
    pub origin: Option<u64>,
    /// Whether the REST call saves it, so that a later event may name it.
    pub by_rest: bool,
}

/// A message that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The sender's own name for it.
    pub client_id: ClientId,
    /// Canonical JSON.
    pub body: String,
    /// The messages that an object names by its own ids: it may be one of them, saved by REST before.
    pub names: Vec<i64>,
    /// The message that it answers.
    pub reply_to: Option<i64>,
}

/// The row of a match under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The seq of its newest message; 0 when there is none.
    pub last_seq: i64,
    /// The rev of its newest change; 0 when there is none.
    pub rev: i64,
    /// Closed for good.
    pub closed: bool,
    /// The database's time, which its new messages and changes get.
    pub now_ms: i64,
    /// The rev of the last change of its members.
    pub members_rev: i64,
}

/// A match under lock, with what the commands of a batch have to see of it.
#[derive(Debug)]
pub struct Room {
    id: MatchId,
    head: Head,
    members: Succession,
    messages: HashMap<(UserId, ClientId), Row>,
    changes: Vec<Change>,
    commands: Vec<Named>,
    invitations: Vec<Invitation>,
    additions: Additions,
}

/// What the commands of a batch have come to in a room.
#[derive(Debug, Default, PartialEq)]
pub struct Additions {
    /// New messages, in `seq` order.
    pub rows: Vec<Row>,
    /// New changes, in `rev` order.
    pub changes: Vec<Logged>,
    /// Messages that were there before and have become others, by seq.
    pub updates: BTreeMap<i64, Row>,
    /// Earlier versions of messages in `updates`.
    pub versions: Vec<Version>,
    /// Commands that named themselves.
    pub commands: Vec<Named>,
    /// What was there before and is told to the members once more.
    pub retold: Vec<Entry>,
    /// What was there before. The members are told of it only if it may have been told to nobody.
    pub repeated: Vec<Entry>,
}

impl Room {
    /// The room of a match that stands at `head`, with its members then.
    pub fn new(id: MatchId, head: Head, audience: Audience) -> Self {
        let (messages, changes, commands, invitations) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        let (members, additions) = (Succession::new(audience), Additions::default());
        Self { id, head, members, messages, changes, commands, invitations, additions }
    }

    /// Whether a user may do something here now.
    ///
    /// # Errors
    /// Why not.
    pub fn may(&self, user: &UserId, action: Action) -> Result<(), Code> {
        may(user, action, Standing { audience: self.audience(), closed: self.head.closed })
    }

    /// The members, with what was changed.
    pub fn audience(&self) -> &Audience {
        self.members.last()
    }

    /// Whom concerns what is found or added here.
    pub fn members(&self) -> &Succession {
        &self.members
    }

    /// Lets the commands see a stored message.
    pub fn remember(&mut self, row: Row) {
        let sender = UserId::new(row.message.sender_id.as_str());
        let client_id = ClientId::new(row.message.client_id.as_str());
        if let (Ok(sender), Ok(client_id)) = (sender, client_id) {
            self.messages.insert((sender, client_id), row);
        }
    }

    /// Lets the commands see a stored change.
    pub fn remember_change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// A user has hidden a message, and is shown nothing of what becomes of its content.
    pub fn remember_hidden(&mut self, seq: i64, user: UserId) {
        self.members.hide(seq, user);
    }

    /// Lets the commands see one that named itself.
    pub fn remember_command(&mut self, command: Named) {
        self.commands.push(command);
    }

    /// Lets the commands see what is known of one whom a user wants to add.
    pub fn remember_invitation(&mut self, invitation: Invitation) {
        self.invitations.push(invitation);
    }

    /// What is known of one user whom another one wants to add.
    pub fn invitation(&self, by: &UserId, user: &UserId) -> Option<&Invitation> {
        self.invitations.iter().find(|invitation| invitation.by == *by && invitation.user == *user)
    }

    /// A user has added so many more, here or in another match of the batch.
    pub fn count_invitations(&mut self, by: &UserId, count: i64) {
        let made = self.invitations.iter_mut().filter(|invitation| invitation.by == *by);
        made.for_each(|invitation| invitation.made += count);
    }

    /// The command that a user has named so.
    pub fn command(&self, user: &UserId, client_id: &ClientId) -> Option<&Named> {
        self.commands.iter().find(|command| command.user == *user && command.client_id == *client_id)
    }

    /// Notes a command that names itself.
    pub fn note_command(&mut self, command: Named) {
        self.additions.commands.push(command.clone());
        self.commands.push(command);
    }

    /// Where the match stands now, with what was added.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The message that a sender has named so.
    pub fn message(&self, sender: &UserId, client_id: &ClientId) -> Option<&Row> {
        self.messages.get(&(sender.clone(), client_id.clone()))
    }

    /// The message with this seq, if it was remembered or is new.
    pub fn message_at(&self, seq: i64) -> Option<&Row> {
        self.messages.values().find(|row| row.message.seq == seq)
    }

    /// The same, if this member sees it.
    pub fn message_for(&self, user: &UserId, seq: i64) -> Option<&Row> {
        if self.audience().sees_message(user, seq) { self.message_at(seq) } else { None }
    }

    /// A change that was remembered or is new.
    pub fn change(&self, is_it: impl Fn(&Kind) -> bool) -> Option<&Change> {
        self.changes.iter().find(|change| change.kind.as_ref().is_some_and(&is_it))
    }

    /// The last of such changes.
    pub fn last_change(&self, is_it: impl Fn(&Kind) -> bool) -> Option<&Change> {
        self.changes.iter().rfind(|change| change.kind.as_ref().is_some_and(&is_it))
    }

    /// Adds the next message.
    pub fn add_message(&mut self, author: &Author, draft: &Draft) -> &Message {
        self.head.last_seq += 1;
        let message = Message {
            match_id: self.id.as_str().to_owned(),
            seq: self.head.last_seq,
            sender_id: author.id.as_str().to_owned(),
            client_id: draft.client_id.as_str().to_owned(),
            origin: author.origin,
            body: draft.body.clone(),
            created_at_ms: self.head.now_ms,
            reply_to: draft.reply_to,
            ..Message::default()
        };
        let row = Row::new(message, author.by_rest);
        self.additions.rows.push(row.clone());
        let key = (author.id.clone(), draft.client_id.clone());
        &self.messages.entry(key).insert_entry(row).into_mut().message
    }

    /// Adds the next change. `kind` is told its rev, and the seq that it comes behind.
    pub fn add_change(&mut self, created_at_ms: i64, kind: impl FnOnce(i64, i64) -> Kind) -> Change {
        self.head.rev += 1;
        let (rev, after_seq) = (self.head.rev, self.head.last_seq);
        let kind = kind(rev, after_seq);
        match &kind {
            Kind::Closing(_) => self.head.closed = true,
            Kind::Membership(membership) => self.change_members(membership),
            Kind::Milestone(_) | Kind::Edited(_) | Kind::Deleted(_) | Kind::Reacted(_) => {}
        }
        let change = Change { rev, after_seq, created_at_ms, kind: Some(kind) };
        self.additions.changes.push(self.logged(&change));
        self.changes.push(change.clone());
        change
    }

    /// Has a message become another, and adds the change that says so; `None` when there is no such message here.
    pub fn change_message(&mut self, seq: i64, alter: impl FnOnce(&mut Row) -> Kind) -> Option<Change> {
        let row = self.messages.values_mut().find(|row| row.message.seq == seq)?;
        let before = row.message.body.clone();
        let kind = alter(row);
        let is_replaced = row.message.body != before;
        if is_replaced {
            row.original.get_or_insert_with(|| digest(&[&before]));
            row.message.edited_at_ms = Some(self.head.now_ms).filter(|_| !row.message.deleted);
        }
        self.additions.updates.insert(seq, row.clone());
        let (replaced_at_ms, change) = (self.head.now_ms, self.add_change(self.head.now_ms, |_, _| kind));
        if is_replaced {
            self.additions.versions.push(Version { seq, rev: change.rev, body: before, replaced_at_ms });
        }
        Some(change)
    }

    /// The newest change is one of the members.
    fn change_members(&mut self, membership: &Membership) {
        let next = self.audience().changed_by(membership, (self.head.rev, self.head.last_seq));
        self.head.members_rev = self.head.rev;
        self.members.add(self.head.last_seq, next);
    }

    /// A command has asked for a message that was there before.
    pub fn repeat_message(&mut self, message: Message) {
        self.additions.repeated.push(Entry::Message(message));
    }

    /// A command has asked for a change that was there before.
    pub fn repeat_change(&mut self, change: &Change) {
        let logged = self.logged(change);
        self.additions.repeated.push(Entry::Change(logged));
    }

    /// The members are told of a change that was there before, as if it were new.
    pub fn retell(&mut self, change: &Change) {
        let logged = self.logged(change);
        self.additions.retold.push(Entry::Change(logged));
    }

    /// What was added, and where the match stands after it, if that has moved.
    pub fn into_additions(self) -> (Additions, Option<(MatchId, Head)>) {
        let has_moved = !self.additions.rows.is_empty() || !self.additions.changes.is_empty();
        (self.additions, has_moved.then_some((self.id, self.head)))
    }

    fn logged(&self, change: &Change) -> Logged {
        Logged { match_id: self.id.clone(), change: change.clone() }
    }
}
