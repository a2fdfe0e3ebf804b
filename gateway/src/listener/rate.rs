//! New connections per client IP: a token bucket each, kept only while it is not full.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use service_kit::rate::{Accounts, Bucket, Rate};

/// Below this number of buckets nobody looks for full ones.
const SWEEP_FROM: usize = 4096;

/// New connections per client IP.
#[derive(Debug)]
pub(super) struct ConnectionRate {
    rate: Rate,
    buckets: Mutex<Accounts<IpAddr, Bucket>>,
}

impl ConnectionRate {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(Accounts::new(SWEEP_FROM)) }
    }

    /// Takes a token of the client, if it has one. Loopback needs none.
    pub(super) fn admits(&self, client: IpAddr) -> bool {
        client.is_loopback() || self.admits_at(client, Instant::now())
    }

    fn admits_at(&self, client: IpAddr, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let take = |bucket: &mut Bucket| bucket.take(self.rate.interval(), self.rate.fill(), now).is_ok();
        buckets.with(&group(client), now, take)
    }
}

/// Whom a bucket is for: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer has.
fn group(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn rate(text: &str) -> ConnectionRate {
        ConnectionRate::new(text.parse().unwrap())
    }

    #[test]
    fn a_burst_is_let_in_and_then_the_rate() {
        let rate = rate("2/3");
        let client = IpAddr::from([192, 0, 2, 1]);
        let start = Instant::now();
        let admitted = |at| (0..10).filter(|_| rate.admits_at(client, at)).count();
        assert_eq!(admitted(start), 3);
        assert_eq!(admitted(start + Duration::from_millis(500)), 1);
        assert_eq!(admitted(start + Duration::from_mins(1)), 3);
    }

    #[test]
    fn clients_do_not_share_a_bucket_but_one_ipv6_network_does() {
        let rate = rate("1/1");
        let now = Instant::now();
        let admits = |client: &str| rate.admits_at(client.parse().unwrap(), now);
        assert!(admits("192.0.2.1"));
        assert!(admits("192.0.2.2"));
        assert!(!admits("::ffff:192.0.2.2"));
        assert!(admits("2001:db8::1"));
        assert!(!admits("2001:db8::2"));
    }

    #[test]
    fn loopback_is_exempt() {
        let rate = rate("1/1");
        assert!((0..100).all(|_| rate.admits(IpAddr::from([127, 0, 0, 1]))));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let rate = rate("1/1");
        let start = Instant::now();
        for client in 0..100_000_u32 {
            let at = start + Duration::from_millis(u64::from(client));
            rate.admits_at(IpAddr::from(client.to_be_bytes()), at);
        }
        assert!(rate.buckets.lock().unwrap().len() <= 2 * SWEEP_FROM);
    }
}
