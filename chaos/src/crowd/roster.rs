//! Who is matched with whom, and on how many devices: the same small town over and over. Pure.

/// Clients of one town.
pub(crate) const TOWN: usize = 8;
/// The user of each client of a town: the first and the fifth have two devices.
const USERS: [usize; TOWN] = [0, 0, 1, 2, 3, 4, 4, 5];
/// The users of each pairing of a town: some are in two.
const PAIRINGS: [[usize; 2]; 5] = [[0, 1], [2, 3], [4, 5], [0, 2], [1, 4]];

/// Two users that chat, and their clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Couple {
    /// By slot: the client's number, and which side of the match it is on.
    pub(crate) clients: Vec<(usize, u8)>,
    /// By side: the user's number.
    pub(crate) users: [usize; 2],
}

/// All couples of a crowd of so many clients, rounded up to whole towns.
pub(crate) fn couples(clients: usize) -> Vec<Couple> {
    (0..clients.div_ceil(TOWN)).flat_map(|town| PAIRINGS.map(|users| couple(town, users))).collect()
}

/// The number of the user of a client.
pub(crate) fn user_of(client: usize) -> usize {
    client / TOWN * TOWN + USERS[client % TOWN]
}

fn couple(town: usize, users: [usize; 2]) -> Couple {
    let clients = (0_u8..).zip(users).flat_map(|(side, user)| {
        let devices = (0..TOWN).filter(move |client| USERS[*client] == user);
        devices.map(move |client| (town * TOWN + client, side))
    });
    Couple { clients: clients.collect(), users: users.map(|user| town * TOWN + user) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_somebody_and_some_have_more() {
        let couples = couples(9);
        assert_eq!(couples.len(), 10);
        for client in 0..2 * TOWN {
            let in_matches = couples.iter().filter(|couple| couple.clients.iter().any(|(other, _)| *other == client));
            assert!((1..=2).contains(&in_matches.count()), "{client}");
        }
        assert_eq!(couples[5], Couple { clients: vec![(8, 0), (9, 0), (10, 1)], users: [8, 9] });
        assert!(couples.iter().all(|couple| {
            couple.clients.iter().all(|(client, side)| user_of(*client) == couple.users[usize::from(*side)])
        }));
    }
}
