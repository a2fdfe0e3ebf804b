//! Requests without a connection: what is written, and what is told of answers that the test makes up.

use std::{pin::pin, task::Poll};

use futures_util::poll;
use prost::Message as _;
use proto::{
    MatchId,
    chat::{SendReply, SendRequest},
    subjects::Subjects,
};

use super::*;
use crate::inboxes::protocol::{Received, parse};

const PATIENCE: Duration = Duration::from_secs(1);

fn subject() -> RequestSubject<SendRequest, SendReply> {
    Subjects::default().send_any(&MatchId::new("demo").unwrap())
}

fn request() -> SendRequest {
    SendRequest { match_id: "demo".into(), sender_id: "alice".into(), ..SendRequest::default() }
}

/// What was asked, as the server reads it: the subjects for the answers, and the bytes.
fn asked(requests: &Requests) -> (Vec<String>, BytesMut) {
    let mut out = BytesMut::new();
    requests.take(&mut out);
    let text = String::from_utf8_lossy(&out);
    let lines = text.lines().filter_map(|line| line.strip_prefix("PUB match.any.demo.send "));
    (lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect(), out)
}

/// A message of the server.
fn answer(requests: &Requests, text: &str) -> bool {
    let Some((Received::Message(message), _)) = parse(text.as_bytes()).unwrap() else { panic!("{text}") };
    requests.answer(&message)
}

#[tokio::test]
async fn a_request_is_written_in_the_words_of_the_protocol_and_answered_by_its_number() {
    let requests = Requests::new();
    let answers = requests.follow();
    let (subject, request) = (subject(), request());
    let mut first = pin!(requests.ask(&subject, &request, PATIENCE));
    let mut second = pin!(requests.ask(&subject, &request, PATIENCE));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());

    let (replies, written) = asked(&requests);
    let prefix = answers.strip_suffix('*').unwrap();
    assert_eq!(replies, [1, 2].map(|number| format!("{prefix}{number}")));
    let mut expected = format!("PUB match.any.demo.send {prefix}1 {}\r\n", request.encoded_len()).into_bytes();
    request.encode(&mut expected).unwrap();
    assert!(written.starts_with(&[expected.as_slice(), b"\r\nPUB "].concat()));

    assert!(answer(&requests, &format!("MSG {} 0 0\r\n\r\n", replies[1])));
    assert_eq!(poll!(&mut second), Poll::Ready(Ok(SendReply::default())));
    let nobody = format!("HMSG {} 0 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", replies[0]);
    assert!(answer(&requests, &nobody));
    assert_eq!(poll!(&mut first), Poll::Ready(Err(BusError::NoResponders)));
    assert!(answer(&requests, &nobody), "one that comes twice is nobody's");
    assert!(!answer(&requests, "MSG user.alice.chat 7 0\r\n\r\n"), "what an inbox hears is no answer");
}

#[tokio::test]
async fn without_a_link_nobody_is_asked_and_one_that_is_lost_takes_the_answers_along() {
    let requests = Requests::new();
    let (subject, request) = (subject(), request());
    assert_eq!(requests.ask(&subject, &request, PATIENCE).await, Err(BusError::NoResponders));
    requests.follow();
    let mut open = pin!(requests.ask(&subject, &request, PATIENCE));
    assert!(poll!(&mut open).is_pending());
    requests.forsake();
    assert_eq!(poll!(&mut open), Poll::Ready(Err(BusError::Unavailable)));
    assert!(asked(&requests).1.is_empty(), "and what was not written yet");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_makes_the_server_suspect_and_is_forgotten() {
    let requests = Requests::new();
    requests.follow();
    let silent = requests.ask(&subject(), &request(), PATIENCE).await;
    assert_eq!(silent, Err(BusError::TimedOut));
    assert!(requests.lock().open.is_empty());
    assert!(requests.take_suspicion() && !requests.take_suspicion());
}

#[tokio::test]
async fn more_than_a_server_takes_is_not_asked() {
    let requests = Requests::new();
    requests.follow();
    requests.lock().waiting.resize(MAX_WAITING_BYTES + 1, 0);
    assert_eq!(requests.ask(&subject(), &request(), PATIENCE).await, Err(BusError::NoResponders));
}
