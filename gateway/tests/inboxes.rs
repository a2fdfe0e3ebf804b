//! Users' inboxes over real NATS servers: nothing is missed while a server stands, and what may be missed is said.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "inboxes/fake_server.rs"]
mod fake_server;
#[path = "inboxes/world.rs"]
mod world;

use std::time::{Duration, Instant};

use local_stack::servers::Nats;
use rustix::process::Signal;

use world::{OnTwoServers, World, connect, eventually, publish};

#[tokio::test]
async fn a_user_hears_all_kinds_in_order_from_the_subscription_until_it_is_wanted_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let nats = Nats::start(dir.path()).await.unwrap();
    let world = World::start(&[nats.url()], 2);
    let bus = connect(nats.url()).await;
    let [alice, bob] = [world.enter("alice").await, world.enter("bob").await];
    for number in 0..1_000 {
        publish(&bus, if number % 2 == 0 { &alice } else { &bob }, number).await;
    }
    eventually("all is heard", || world.heard().len() == 1_000).await;
    assert_eq!(world.heard_by("alice"), (0..1_000).step_by(2).collect::<Vec<_>>());
    assert_eq!(world.heard_by("bob"), (1..1_000).step_by(2).collect::<Vec<_>>());

    world.leave("alice");
    // Bob's is on another connection, perhaps: a round trip on alice's shows that the server has let her go.
    world.enter_beside("alice").await;
    publish(&bus, &alice, 1_000).await;
    publish(&bus, &bob, 1_001).await;
    eventually("bob still hears", || world.heard_by("bob").last() == Some(&1_001)).await;
    assert_eq!(world.heard_by("alice").last(), Some(&998));
}

#[tokio::test]
async fn all_inboxes_are_subscribed_again_after_the_server_was_killed_and_a_disturbance_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut nats = Nats::start(dir.path()).await.unwrap();
    let world = World::start(&[nats.url()], 2);
    let users = world.enter_many(2_000).await;
    assert!(world.is_ready());
    let mut disturbances = world.inboxes.disturbances();
    disturbances.mark_unchanged();
    nats.kill();
    eventually("the loss is noticed", || !world.is_ready()).await;
    assert!(world.try_enter("late").await.is_err(), "nobody is there to subscribe at");
    assert!(!disturbances.has_changed().unwrap());

    nats.start_again().await.unwrap();
    eventually("the connections are back", || world.is_ready()).await;
    assert!(disturbances.has_changed().unwrap());
    let bus = connect(nats.url()).await;
    for (user, number) in users.iter().zip(0..) {
        publish(&bus, user, number).await;
    }
    eventually("all hear again", || world.heard().len() == users.len()).await;
    world.enter("late").await;
}

#[tokio::test]
async fn a_server_that_hangs_is_left_for_another_within_seconds() {
    let OnTwoServers { mut cluster, world, users, bus, dir: _dir } = OnTwoServers::start().await;
    let mut disturbances = world.inboxes.disturbances();
    disturbances.mark_unchanged();
    cluster.nodes_mut()[0].freeze();
    let frozen_at = Instant::now();
    while !users.iter().all(|user| world.heard_by(user.as_str()).contains(&1)) {
        assert!(frozen_at.elapsed() < Duration::from_secs(8), "some hear nothing");
        for user in &users {
            publish(&bus, user, usize::from(frozen_at.elapsed() > Duration::from_millis(500))).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eventually("that is told", || disturbances.has_changed().unwrap() && world.is_ready()).await;
    cluster.nodes_mut()[0].thaw();
}

#[tokio::test]
async fn nothing_is_missed_and_nothing_heard_twice_while_a_server_is_left_in_lame_duck_mode() {
    let OnTwoServers { mut cluster, world, users, bus, dir: _dir } = OnTwoServers::start().await;
    // Until the cluster knows of all subscriptions.
    for user in &users {
        while !world.heard().iter().any(|(heard, _)| heard == user.as_str()) {
            publish(&bus, user, 0).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let (mut disturbances, began) = (world.inboxes.disturbances(), Instant::now());
    disturbances.mark_unchanged();
    cluster.nodes_mut()[0].signal(Signal::USR2).unwrap();
    let mut rounds = 0;
    while began.elapsed() < Duration::from_secs(6) {
        rounds += 1;
        for user in &users {
            publish(&bus, user, rounds).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let all = rounds * users.len();
    eventually("all is heard", || world.heard().iter().filter(|(_, number)| *number > 0).count() >= all).await;
    for user in &users {
        let mut heard = world.heard_by(user.as_str());
        heard.retain(|number| *number > 0);
        heard.sort_unstable();
        assert_eq!(heard, (1..=rounds).collect::<Vec<_>>(), "{user}");
    }
    assert!(!disturbances.has_changed().unwrap(), "nobody has to look for what was missed");
    // Without clients it need not wait for its time to run out.
    cluster.nodes_mut()[0].ended_by_itself().await.unwrap();
    assert!(world.is_ready());
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol_is_left_and_tried_again() {
    for nonsense in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "MSG user.alice.chat 1 99999999\r\n", "-ERR 'Stale Connection'\r\n"]
    {
        let mut server = fake_server::start().await;
        let world = World::start(&[&server.url], 1);
        let mut first = server.accept().await;
        eventually("the connection stands", || world.is_ready()).await;
        first.say(nonsense).await;
        let _second = server.accept().await;
        eventually("it stands again", || world.is_ready()).await;
        assert!(*world.inboxes.disturbances().borrow() >= 2, "{nonsense:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_pings_is_left() {
    let mut server = fake_server::start().await;
    let world = World::start(&[&server.url], 1);
    let mut first = server.accept().await;
    eventually("the connection stands", || world.is_ready()).await;
    first.fall_silent();
    let silent_since = Instant::now();
    let _second = server.accept().await;
    assert!(silent_since.elapsed() < Duration::from_secs(5), "it took {:?}", silent_since.elapsed());
}

#[tokio::test]
async fn a_server_that_takes_connections_and_complains_is_tried_ever_more_rarely() {
    let mut server = fake_server::start().await;
    let _world = World::start(&[&server.url], 1);
    let began = Instant::now();
    for _ in 0..8 {
        server.refuse("-ERR 'maximum subscriptions exceeded'\r\n").await;
    }
    assert!(began.elapsed() > Duration::from_millis(400), "it took {:?}", began.elapsed());
}
