//! The one thread that starts all children.
//!
//! The kernel sends the parent-death signal when the *thread* that started a child ends. Test harnesses and async
//! runtimes end threads all the time; this one lives as long as the process.

use std::{
    io,
    process::{Child, Command},
    sync::{
        LazyLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

struct Request {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

static LAUNCHER: LazyLock<SyncSender<Request>> = LazyLock::new(|| {
    let (requests, inbox) = sync_channel::<Request>(0);
    thread::spawn(move || {
        for Request { mut command, reply } in inbox {
            // Who asked waits for the answer, so the send cannot fail.
            let _ = reply.send(command.spawn());
        }
    });
    requests
});

pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = sync_channel(1);
    LAUNCHER.send(Request { command, reply }).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}
