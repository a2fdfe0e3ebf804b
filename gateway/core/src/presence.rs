//! What a socket is shown of somebody else's presence. Pure.

use proto::chat::{self, Sharing};
use serde::Serialize;

/// When somebody was seen last who is not online, as coarsely as it is told. One byte, as each open chat has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastSeen {
    /// Within 24 hours.
    Today,
    /// Within seven times 24 hours.
    ThisWeek,
    /// Longer ago, or never.
    Earlier,
}

/// What a socket was told of the presence of the other member of a chat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: the user may not see it.
    #[default]
    Hidden,
    /// Nothing: the user may see it, and nobody knows it yet.
    Unknown(LastSeen),
    /// That the other one is not online.
    Away(LastSeen),
    /// That the other one is online.
    Here,
}

/// `{online, lastSeen}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceView {
    online: bool,
    last_seen: &'static str,
}

impl Shown {
    /// What is shown to who may see somebody of whom it is known whether that one is online; or to who may not.
    pub fn of(sharing: &Sharing, online: Option<bool>) -> Self {
        let Some(presence) = &sharing.presence else { return Self::Hidden };
        let last_seen = LastSeen::of(presence.last_seen());
        match online {
            None => Self::Unknown(last_seen),
            Some(false) => Self::Away(last_seen),
            Some(true) => Self::Here,
        }
    }

    /// What that is to a client; nothing if nothing is to be told.
    pub(crate) fn view(self) -> Option<PresenceView> {
        match self {
            Self::Hidden | Self::Unknown(_) => None,
            Self::Away(last_seen) => Some(PresenceView { online: false, last_seen: last_seen.as_str() }),
            Self::Here => Some(PresenceView { online: true, last_seen: "now" }),
        }
    }

    /// Whether the user may see it.
    pub(crate) fn is_shown(self) -> bool {
        self != Self::Hidden
    }

    /// Whether the socket was told that the other one is online; `None` if it was told nothing.
    pub(crate) fn online(self) -> Option<bool> {
        self.view().map(|view| view.online)
    }

    /// The other one has come online or is so no more. Returns what the socket is to be told of it.
    pub(crate) fn moved(&mut self, is_online: bool) -> Option<PresenceView> {
        let moved = match (*self, is_online) {
            (Self::Hidden, _) | (Self::Here, true) | (Self::Away(_), false) => return None,
            (Self::Unknown(_) | Self::Away(_), true) => Self::Here,
            (Self::Unknown(last_seen), false) => Self::Away(last_seen),
            (Self::Here, false) => Self::Away(LastSeen::Today),
        };
        *self = moved;
        moved.view()
    }

    /// It was looked up anew. Who may not see it any more is told no more than that the other one is not online.
    pub(crate) fn judged(&mut self, anew: Self) -> Option<PresenceView> {
        let told = match (*self, anew) {
            (Self::Here, Self::Hidden) => Self::Away(LastSeen::Today).view(),
            (_, Self::Hidden) | (Self::Here, Self::Here) | (Self::Away(_), Self::Away(_)) => None,
            // What it was told before stands until something else is known.
            (Self::Here | Self::Away(_), Self::Unknown(_)) => return None,
            (_, anew) => anew.view(),
        };
        *self = anew;
        told
    }
}

impl LastSeen {
    fn of(told: chat::LastSeen) -> Self {
        match told {
            chat::LastSeen::Today => Self::Today,
            chat::LastSeen::ThisWeek => Self::ThisWeek,
            chat::LastSeen::Earlier => Self::Earlier,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::ThisWeek => "this_week",
            Self::Earlier => "earlier",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: LastSeen = LastSeen::Earlier;

    fn json(view: Option<PresenceView>) -> String {
        serde_json::to_string(&view).unwrap()
    }

    #[test]
    fn what_is_shown_is_frozen() {
        let views = [Shown::Hidden, Shown::Unknown(EARLIER), Shown::Away(LastSeen::ThisWeek), Shown::Here];
        assert_eq!(
            views.map(|shown| json(shown.view())),
            ["null", "null", r#"{"online":false,"lastSeen":"this_week"}"#, r#"{"online":true,"lastSeen":"now"}"#]
        );
        assert!(size_of::<Shown>() <= 2);
    }

    #[test]
    fn only_what_differs_is_told() {
        let mut shown = Shown::Unknown(EARLIER);
        assert_eq!(json(shown.moved(false)), r#"{"online":false,"lastSeen":"earlier"}"#);
        assert_eq!(shown.moved(false), None);
        assert_eq!(shown.moved(true), Shown::Here.view());
        assert_eq!(shown.moved(true), None);
        assert_eq!(json(shown.moved(false)), r#"{"online":false,"lastSeen":"today"}"#);
        assert_eq!(Shown::Hidden.moved(true), None);
    }

    #[test]
    fn who_may_not_see_it_any_more_hears_what_an_offline_event_tells_and_then_nothing() {
        let mut shown = Shown::Here;
        let went = Shown::Here.moved(false);
        assert_eq!(shown.judged(Shown::Hidden), went);
        assert_eq!((shown, shown.moved(true), shown.judged(Shown::Hidden)), (Shown::Hidden, None, None));
        assert_eq!(Shown::Away(EARLIER).judged(Shown::Hidden), None);
        assert_eq!(shown.judged(Shown::Here), Shown::Here.view());
        assert_eq!((shown.judged(Shown::Unknown(EARLIER)), shown), (None, Shown::Here));
    }
}
