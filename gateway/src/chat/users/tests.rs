//! Users who come and go, and their seats.

use super::*;

#[test]
fn the_last_stay_takes_the_user_along() {
    let users = Arc::new(Users::new(Inboxes::new("")));
    let alice = UserId::new("alice").unwrap();
    let (first, second) = (users.enter(alice.clone()), users.enter(alice.clone()));
    let user = Arc::clone(first.user());
    assert!(Arc::ptr_eq(&user, second.user()));
    drop(first);
    assert!(users.get("alice").is_some());
    drop(second);
    assert!(users.get("alice").is_none());
    // Who comes back is subscribed anew.
    assert_ne!(users.enter(alice).user().sid, user.sid);
}

#[test]
fn a_walk_over_many_users_holds_up_only_a_small_part_of_them_at_a_time() {
    const USERS: usize = 18_000;
    let users = Arc::new(Users::new(Inboxes::new("")));
    let all: Vec<_> = (0..USERS).map(|number| users.enter(UserId::new(format!("u-{number}")).unwrap())).collect();
    let sizes: Vec<usize> = users.parts().map(|part| part.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), USERS);
    assert!(sizes.iter().all(|size| *size < USERS / 32), "{sizes:?}");
    let mut visited = 0;
    users.each(|_| visited += 1);
    assert_eq!(visited, USERS);
    drop(all);
    assert!(users.shards.iter().all(|shard| lock(shard).capacity() <= LARGE_SHARD), "a wave leaves no table behind");
}

#[test]
fn forty_who_ask_at_once_for_sixteen_seats_get_sixteen() {
    let users = Arc::new(Users::new(Inboxes::new("")));
    let alice = UserId::new("alice").unwrap();
    let sixteen = NonZeroU32::new(16).unwrap();
    let stays: Vec<_> = (0..40).map(|_| users.enter(alice.clone())).collect();
    let seated = std::thread::scope(|scope| {
        let asking: Vec<_> = stays.iter().map(|stay| scope.spawn(move || stay.take_seat(sixteen))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).filter(|seated| *seated).count()
    });
    assert_eq!(seated, 16);
}

#[test]
fn a_seat_is_taken_over_once_and_given_back_once() {
    let users = Arc::new(Users::new(Inboxes::new("")));
    let alice = UserId::new("alice").unwrap();
    let one = NonZeroU32::MIN;
    let [first, second, third] = [(); 3].map(|()| users.enter(alice.clone()));
    assert!(first.take_seat(one));
    assert!(!second.take_seat(one));
    assert!(second.take_seat_of(&first));
    assert!(!third.take_seat_of(&first));
    drop(first);
    assert!(!third.take_seat(one), "the first had no seat any more");
    drop(second);
    assert!(third.take_seat(one));
}
