//! JetStream streams and consumers by name and shape.

use std::time::Duration;

use crate::subjects::Subjects;

/// What a stream is called and keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The stream's name: the prefix, with what a name cannot hold replaced, and its own.
    pub name: String,
    /// The subjects it stores.
    pub subjects: Vec<String>,
    /// How long it keeps a message.
    pub max_age: Duration,
}

/// The durable consumer that milestone-service's replicas share.
pub const MILESTONE_CONSUMER: &str = "milestone-service";

/// `CHAT_EVENTS`: the commits of all partitions, for 48 h. It can be rebuilt from PostgreSQL.
pub fn chat_events(subjects: &Subjects) -> Stream {
    Stream {
        name: format!("{}CHAT_EVENTS", subjects.prefix().replace('.', "_")),
        subjects: vec![subjects.all_posted().as_str().to_owned()],
        max_age: Duration::from_hours(48),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_prefixed_stack_has_its_own_name() {
        assert_eq!(chat_events(&Subjects::default()).name, "CHAT_EVENTS");
        assert_eq!(chat_events(&Subjects::new("t1.")).name, "t1_CHAT_EVENTS");
        assert_eq!(chat_events(&Subjects::new("t1.")).subjects, ["t1.chat.posted.*"]);
    }
}
