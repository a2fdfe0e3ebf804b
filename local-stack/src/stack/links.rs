//! The links between the processes, and those of the clients, each through a proxy of its own that a test can break.

use std::{collections::BTreeMap, ffi::OsString};

use anyhow::Result;

use super::{Manifest, plan::Planned};
use crate::proxy::Proxy;

/// What stands before a port in every address that a service is told.
const HOST: &str = "127.0.0.1:";
/// What those are called who connect to the gateways.
const CLIENTS: &str = "clients";
/// Flags that say where a service itself listens.
const LISTEN: &str = "listen";

/// The links of a stack by their names, who connects first: `gateway-0>nats`, `clients>gateway-1`.
#[derive(Debug, Default)]
pub struct Links {
    proxies: BTreeMap<String, Proxy>,
}

impl Links {
    /// Leads everything that the services and the clients connect to through proxies, before anything is started.
    pub(super) fn between(services: &mut [Planned], manifest: &mut Manifest) -> Result<Self> {
        let targets = targets(services, manifest);
        let mut links = Self::default();
        for service in services {
            let launch = service.launch_mut();
            let mut is_own = false;
            for value in launch.args.iter_mut().chain(launch.env.iter_mut().map(|(_, value)| value)) {
                if !is_own {
                    links.reroute(&launch.name, value, &targets)?;
                }
                is_own = value.to_str().is_some_and(|flag| flag.starts_with("--") && flag.ends_with(LISTEN));
            }
        }
        for gateway in &mut manifest.gateways {
            gateway.port = links.proxy(CLIENTS, &gateway.name, gateway.port)?;
            gateway.url = format!("http://localhost:{}", gateway.port);
        }
        Ok(links)
    }

    /// The names of all links.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.proxies.keys().map(String::as_str)
    }

    /// The link of this name.
    pub fn get(&self, name: &str) -> Option<&Proxy> {
        self.proxies.get(name)
    }

    /// Replaces the ports of the targets in a list of addresses.
    fn reroute(&mut self, who: &str, value: &mut OsString, targets: &BTreeMap<u16, String>) -> Result<()> {
        let Some(text) = value.to_str() else { return Ok(()) };
        let mut parts = text.split(HOST);
        let mut rerouted = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (digits, rest) = part.split_at(part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()));
            rerouted += HOST;
            match digits.parse().ok().and_then(|port| Some((port, targets.get(&port)?))) {
                Some((port, target)) => rerouted += &self.proxy(who, target, port)?.to_string(),
                None => rerouted += digits,
            }
            rerouted += rest;
        }
        *value = rerouted.into();
        Ok(())
    }

    fn proxy(&mut self, who: &str, target: &str, to: u16) -> Result<u16> {
        let proxy = Proxy::start(to)?;
        let port = proxy.port();
        self.proxies.insert(format!("{who}>{target}"), proxy);
        Ok(port)
    }
}

/// Who listens on which port.
fn targets(services: &[Planned], manifest: &Manifest) -> BTreeMap<u16, String> {
    let mut targets: BTreeMap<u16, String> =
        services.iter().filter_map(|service| Some((service.grpc_port()?, service.name().to_owned()))).collect();
    for (name, urls) in
        [("nats", &manifest.nats_url), ("redis", &manifest.redis_url), ("postgres", &manifest.database_url)]
    {
        let ports = ports_in(urls);
        let is_alone = ports.len() == 1;
        let named = |(i, port)| (port, if is_alone { name.to_owned() } else { format!("{name}-{i}") });
        targets.extend(ports.into_iter().enumerate().map(named));
    }
    targets
}

fn ports_in(text: &str) -> Vec<u16> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split(HOST).skip(1).filter_map(|part| digits(part).parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_ports_of_targets_are_replaced_and_others_stay() {
        let targets = BTreeMap::from([(5001, "nats-0".to_owned()), (5002, "nats-1".to_owned())]);
        let mut value = OsString::from("nats://127.0.0.1:5001,nats://127.0.0.1:5002/x,127.0.0.1:5003");
        let mut links = Links::default();
        links.reroute("gateway-0", &mut value, &targets).unwrap();
        assert_eq!(links.names().collect::<Vec<_>>(), ["gateway-0>nats-0", "gateway-0>nats-1"]);
        let [a, b] = ["gateway-0>nats-0", "gateway-0>nats-1"].map(|name| links.get(name).unwrap().port());
        assert_eq!(value, *format!("nats://127.0.0.1:{a},nats://127.0.0.1:{b}/x,127.0.0.1:5003"));
    }

    #[test]
    fn ports_are_found_behind_passwords() {
        assert_eq!(ports_in("postgres://p:q1@127.0.0.1:2000,127.0.0.1:2001/chat"), [2000, 2001]);
    }
}
