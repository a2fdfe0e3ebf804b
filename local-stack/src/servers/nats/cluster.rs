//! NATS servers that form a cluster.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::recipe_of;
use crate::{
    daemon::{Daemon, Recipe},
    programs,
    servers::starting::{absolute, create_folder, start_on_free_ports},
};

/// What all servers of the cluster share.
///
/// A server that hangs is dropped by the others at its third unanswered ping: until then they pass on what its clients
/// ask for, and lose it. A server in lame-duck mode ends when its clients have left, at the latest after the duration,
/// whose least is 30 s. Clients know all servers and are told of no other addresses, which would lead around a proxy.
const SHARED: &str = r#"
lame_duck_duration: "30s"
lame_duck_grace_period: "1s"
"#;
const CLUSTER: &str = r#"  no_advertise: true
  ping_interval: "1s"
  ping_max: 2
"#;

/// NATS servers with JetStream that form a cluster: `nats-0`, `nats-1`, …, each with its store in the folder of its
/// name.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Daemon>,
    urls: Vec<String>,
}

impl NatsCluster {
    /// Starts `size` servers and waits until each accepts clients. They elect their leaders a moment later.
    ///
    /// # Errors
    /// When the program is missing, or a server does not get ready: with its last lines.
    pub async fn start(dir: &Path, size: usize) -> Result<Self> {
        let dir = absolute(dir)?;
        let program = programs::nats_server()?;
        let recipes_for = |ports: &[u16]| {
            let (clients, routes) = ports.split_at(size);
            (0..size).map(|i| node(&dir, &program, i, (clients[i], routes))).collect::<Result<Vec<Recipe>>>()
        };
        let (nodes, mut ports) = start_on_free_ports(2 * size, recipes_for).await?;
        ports.truncate(size);
        Ok(Self { nodes, urls: ports.into_iter().map(|port| format!("nats://127.0.0.1:{port}")).collect() })
    }

    /// For clients: of every server.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The servers.
    pub fn nodes_mut(&mut self) -> &mut [Daemon] {
        &mut self.nodes
    }

    /// The processes, when they are to be kept beside others.
    pub fn into_daemons(self) -> Vec<Daemon> {
        self.nodes
    }
}

fn node(dir: &Path, program: &Path, i: usize, (port, routes): (u16, &[u16])) -> Result<Recipe> {
    let name = format!("nats-{i}");
    let store = dir.join(&name);
    create_folder(&store)?;
    let file = dir.join(format!("{name}.conf"));
    let text = configuration(&name, &store, (port, routes[i]), routes)?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(recipe_of(dir, &name, (program, vec!["--config".into(), file.into()]), port))
}

fn configuration(name: &str, store: &Path, (port, route): (u16, u16), routes: &[u16]) -> Result<String> {
    let store =
        store.to_str().filter(|path| !path.contains(['"', '\\'])).context("the data folder has a strange name")?;
    let mut text = format!("server_name: {name}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{store}\" }}");
    text += SHARED;
    let others: Vec<String> =
        routes.iter().filter(|other| **other != route).map(|other| format!("\"nats://127.0.0.1:{other}\"")).collect();
    ensure!(!others.is_empty(), "a cluster has more than one server");
    // Writing to a String cannot fail.
    let _ =
        write!(text, "cluster {{\n  name: local\n  listen: \"127.0.0.1:{route}\"\n  routes: [{}]\n", others.join(", "));
    text += CLUSTER;
    text.push_str("}\n");
    Ok(text)
}
