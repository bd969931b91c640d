//! Finding containers: by the controller's API, or, while it is away, by what the agents wrote into OVSDB.

use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use weir_api::v1::ListContainersRequest;

use crate::api::connect;
use crate::ovs::Ovs;
use crate::place::Place;
use crate::state::{Kind, State};
use crate::wait::wait_until;

/// A container, as far as a lab needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// The node it runs on.
    pub node: String,
    /// Its endpoint's number: its network namespace is `weir-ID`.
    pub endpoint_id: u32,
    /// Its network.
    pub network: String,
    /// Its address; not known from OVSDB.
    pub address: Option<String>,
    /// Its MAC address.
    pub mac: String,
    /// Its port on br-int; 0 if unknown.
    pub ofport: u32,
}

/// Finds the place of the container `NAME`, or `POOL/NAME` if several pools have it.
///
/// # Errors
/// If there is none, or more than one.
pub fn find(state: &State, name: &str) -> anyhow::Result<Place> {
    let (pool, bare) = name.split_once('/').map_or((None, name), |(pool, bare)| (Some(pool), bare));
    let is = |c: &Container| c.name == bare && pool.is_none_or(|p| p == c.pool);
    // Daemons that were just killed are back in a moment.
    let found = wait_until(PATIENCE, "controller or databases", || {
        let Ok((all, complete)) = look(state) else { return Ok(None) };
        let found: Vec<Container> = all.into_iter().filter(is).collect();
        Ok((complete || !found.is_empty()).then_some(found))
    })
    .with_context(|| format!("cannot tell whether lab {} has a container `{name}`", state.name))?;
    match &found[..] {
        [one] => Place::endpoint(state, &one.node, one.endpoint_id),
        [] => bail!("lab {} has neither a machine nor a container `{name}`", state.name),
        _ => bail!("several pools have a container `{bare}`: write POOL/{bare}"),
    }
}

/// All containers of a lab, by name; without the controller those on nodes whose database answers.
///
/// # Errors
/// If neither the controller nor any node's database answers.
pub fn list(state: &State) -> anyhow::Result<Vec<Container>> {
    let (mut all, _) = look(state)?;
    all.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
    Ok(all)
}

/// The containers, and whether these are all.
fn look(state: &State) -> anyhow::Result<(Vec<Container>, bool)> {
    // On a thread of its own: the caller may be inside a runtime, which must not be blocked by another.
    let answered = std::thread::scope(|scope| scope.spawn(|| from_controller(state)).join());
    match answered {
        Ok(Ok(all)) => Ok((all, true)),
        _ => from_databases(state),
    }
}

fn from_controller(state: &State) -> anyhow::Result<Vec<Container>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = format!("unix:{}", state.api_socket().display());
    let mut all = Vec::new();
    let asked = async {
        let mut client = weir_api::client::containers(connect(&server).await?);
        for pool in &state.topology.pools {
            let request =
                ListContainersRequest { pool: pool.name.to_string(), ..ListContainersRequest::default() };
            all.extend(client.list_containers(request).await?.into_inner().containers);
        }
        anyhow::Ok(())
    };
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, asked).await })
        .context("the controller is silent")??;
    Ok(all.into_iter().map(Container::from).collect())
}

/// A node whose database does not answer has containers that cannot be found; the others still can.
fn from_databases(state: &State) -> anyhow::Result<(Vec<Container>, bool)> {
    let answers: Vec<_> = state.of_kind(Kind::Node).map(|node| from_database(state, &node.name)).collect();
    if let [Err(e), ..] = &answers[..]
        && answers.iter().all(Result::is_err)
    {
        bail!("no node's database answers: {e:#}");
    }
    let complete = answers.iter().all(Result::is_ok);
    Ok((answers.into_iter().flatten().flatten().collect(), complete))
}

fn from_database(state: &State, node: &str) -> anyhow::Result<Vec<Container>> {
    let list = ["--format=json", "--columns=ofport,external_ids", "list", "Interface"];
    let shown = Ovs::of(state, node)?.vsctl(list)?;
    let table: serde_json::Value = serde_json::from_str(&shown).context("ovs-vsctl prints no JSON")?;
    let rows = table.get("data").and_then(|d| d.as_array()).into_iter().flatten();
    Ok(rows.filter_map(|row| from_row(node, row)).collect())
}

/// Reads a row `[ofport, ["map", [[key, value], …]]]`; one that is no endpoint's gives nothing.
fn from_row(node: &str, row: &serde_json::Value) -> Option<Container> {
    let ids = row.get(1)?.get(1)?.as_array()?;
    let id = |key: &str| {
        let pair = ids.iter().find(|pair| pair.get(0).and_then(|k| k.as_str()) == Some(key))?;
        pair.get(1)?.as_str().map(str::to_owned)
    };
    Some(Container {
        pool: id("weir-pool")?,
        name: id("weir-container")?,
        node: node.to_owned(),
        endpoint_id: id("weir-endpoint")?.parse().ok()?,
        network: id("weir-network").unwrap_or_default(),
        address: None,
        mac: id("attached-mac").unwrap_or_default(),
        ofport: row.get(0)?.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
    })
}

impl From<weir_api::v1::Container> for Container {
    fn from(c: weir_api::v1::Container) -> Container {
        Container {
            pool: c.pool,
            name: c.name,
            node: c.node,
            endpoint_id: c.endpoint_id,
            network: c.network,
            address: Some(c.address),
            mac: c.mac,
            ofport: c.ofport,
        }
    }
}

/// How long a controller may take before its nodes' databases are asked instead, and these to come back.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_endpoint_from_ovsdb() {
        let row = serde_json::json!([
            1024,
            [
                "map",
                [
                    ["weir-pool", "p"],
                    ["weir-container", "c"],
                    ["weir-endpoint", "7"],
                    ["attached-mac", "02:42:0a:00:00:01"]
                ]
            ]
        ]);
        let container = from_row("n1", &row).unwrap();
        assert_eq!((container.name.as_str(), container.endpoint_id, container.ofport), ("c", 7, 1024));
        assert_eq!(from_row("n1", &serde_json::json!([1, ["map", []]])), None);
    }
}
