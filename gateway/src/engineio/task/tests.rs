//! A session's task without the server around it: no sweeper runs, so nothing is ever due by itself.

use super::*;
use crate::engineio::{
    Config, Control, Handle, Handshake, Message, Payload, context::Context as Shared, deadlines::Deadline,
};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// A masked text frame with the message `a`.
const MESSAGE: [u8; 8] = [0x81, 0x82, 0, 0, 0, 0, b'4', b'a'];

/// Tells the test of each message, and has reading pause after it.
struct Pausing(mpsc::Sender<()>);

impl Handler for Pausing {
    type Session = Handle;
    type Outcome = Infallible;

    fn open(&self, handle: &Handle) -> Handle {
        handle.clone()
    }

    fn message(&self, handle: &mut Handle, _: Message<'_>) -> Control<Infallible> {
        self.0.try_send(()).unwrap();
        handle.pause_reads();
        Control::Continue
    }

    fn resume(&self, _: &mut Handle, outcome: Infallible) -> Control<Infallible> {
        match outcome {}
    }

    fn closed(&self, _: Handle, _: CloseReason) {}
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

fn session() -> Arc<Session> {
    let shared = Arc::new(Shared::new(Config::default()));
    let handshake = Handshake { client: IpAddr::V4(Ipv4Addr::LOCALHOST), request: None };
    Session::new(&shared, handshake, false).unwrap()
}

#[tokio::test]
async fn while_reading_pauses_what_was_read_is_handled_and_what_is_queued_is_written() {
    let (mut client, server) = connection().await;
    let (told, mut heard) = mpsc::channel(8);
    let session = session();
    let link = Link::new(server, &[]);
    let mut task = JoinSet::new();
    task.spawn(SessionTask::new(Arc::new(Pausing(told)), Arc::clone(&session), Some(link)));
    client.write_all(&[MESSAGE, MESSAGE].concat()).await.unwrap();
    heard.recv().await.unwrap();
    heard.recv().await.unwrap();
    client.write_all(&MESSAGE).await.unwrap();
    Handle(Arc::clone(&session)).send([Payload::text("x")]).unwrap();
    let mut written = Vec::new();
    while !written.ends_with(b"4x") {
        client.read_buf(&mut written).await.unwrap();
    }
    assert!(heard.try_recv().is_err(), "nothing more was read");
    assert_eq!(session.due(Deadline::ReadPause, 0), None);
    heard.recv().await.unwrap();
}

/// Begins something with the first message.
struct Beginning(std::sync::Mutex<Option<oneshot::Receiver<()>>>);

impl Handler for Beginning {
    type Session = Handle;
    type Outcome = Infallible;

    fn open(&self, handle: &Handle) -> Handle {
        handle.clone()
    }

    fn message(&self, handle: &mut Handle, _: Message<'_>) -> Control<Infallible> {
        let (answer, answered) = (self.0.lock().unwrap().take().unwrap(), handle.clone());
        handle.run(async move {
            answer.await.unwrap();
            let _ = answered.send([Payload::text("done")]);
        });
        Control::Continue
    }

    fn resume(&self, _: &mut Handle, outcome: Infallible) -> Control<Infallible> {
        match outcome {}
    }

    fn closed(&self, _: Handle, _: CloseReason) {}
}

async fn beginning() -> (TcpStream, JoinSet<()>, oneshot::Sender<()>) {
    let (mut client, server) = connection().await;
    let (answer, answered) = oneshot::channel();
    let mut task = JoinSet::new();
    let handler = Beginning(std::sync::Mutex::new(Some(answered)));
    task.spawn(SessionTask::new(Arc::new(handler), session(), Some(Link::new(server, &[]))));
    client.write_all(&MESSAGE).await.unwrap();
    (client, task, answer)
}

#[tokio::test]
async fn what_a_message_began_goes_on_beside_the_connection() {
    let (mut client, _task, answer) = beginning().await;
    answer.send(()).unwrap();
    let mut written = Vec::new();
    while !written.ends_with(b"4done") {
        client.read_buf(&mut written).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_message_began_is_ended_although_the_client_has_gone() {
    let (mut client, mut task, answer) = beginning().await;
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    drop(client);
    assert!(task.try_join_next().is_none(), "the answer is waited for");
    answer.send(()).unwrap();
    task.join_next().await.unwrap().unwrap();
}

/// What an idle connection costs beside its socket: the handler's state comes on top.
#[test]
fn a_session_is_small() {
    let task = size_of::<SessionTask<Pausing>>() - size_of::<Handle>();
    assert!(task <= 216, "{task}");
    assert!(size_of::<Session>() <= 280, "{}", size_of::<Session>());
}
