//! `weir network`: L3 segments of a pool.

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::networks_client::NetworksClient;

use super::failure::Failure;
use super::output::{self, View, or_dash};
use super::session::Session;
use super::setting;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a network
    #[command(after_help = SETTINGS)]
    Create(Create),
    /// List the pool's networks, or those of all pools
    #[command(visible_alias = "ls")]
    List,
    /// Show one network: its settings, blocks and external neighbours
    Show(Named),
    /// Print what a VLAN's gateway should route where, so that it has one neighbour a node instead of one a container
    Routes(Routes),
    /// Delete a network without containers
    #[command(visible_alias = "rm")]
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name: letters a-z, digits, '-' and '.'
    pub(super) name: String,
    /// How packets travel between nodes: tagged on the physical network, or in a tunnel
    #[arg(long, short, value_enum)]
    pub(super) driver: Driver,
    /// A setting: the subnet, or KEY=VALUE (see below)
    #[arg(long = "setting", short = 'l', value_name = "SETTING")]
    pub(super) settings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Driver {
    Vlan,
    Vxlan,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The network's name
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Routes {
    /// The network's name
    name: String,
    /// As commands for the gateway instead: for `ip -batch -`, or for FRR's vtysh
    #[arg(long, value_enum, requires = "dev")]
    format: Option<RouteFormat>,
    /// The gateway's interface on the VLAN, for --format
    #[arg(long, value_name = "INTERFACE")]
    dev: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RouteFormat {
    IpRoute,
    Frr,
}

const SETTINGS: &str = "\
Settings, keys in any case:
  10.209.164.0/22       the subnet (required)
  Gateway=10.209.164.1  the default route's next hop, a host on the VLAN
  Vlan=100              VLAN id; otherwise the next free one of the pool's range
  Vni=10000             VXLAN network identifier; otherwise the next free one of the pool's range
  Mtu=1500              largest IP packet in bytes; otherwise 1500, or 1450 in a tunnel
  Block=26              prefix length of the blocks of addresses given to nodes

Example:
  weir --pool=pool2 network create myvlan -d vlan -l 10.209.164.0/22 -l Gateway=10.209.164.1";

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => {
            let network = requested(session.pool()?, arguments)?;
            let request = session.request(v1::CreateNetworkRequest { network: Some(network) });
            let mut client = client(session).await?;
            let network = session.patiently("creating", client.create_network(request)).await?;
            output::show(session.format(), &NetworkView::from(network))
        }
        Command::List => {
            let pool = session.pool_or_all();
            let request = session.request(v1::ListNetworksRequest { pool, ..Default::default() });
            let mut client = client(session).await?;
            let answer = session.patiently("listing", client.list_networks(request)).await?;
            let networks = answer.networks.into_iter().map(Into::into).collect();
            output::show(session.format(), &NetworkList(networks))
        }
        Command::Show(Named { name }) => {
            let request = session.request(v1::GetNetworkRequest { pool: session.pool()?, name });
            let mut client = client(session).await?;
            let network = session.patiently("asking", client.get_network(request)).await?;
            output::show(session.format(), &NetworkView::from(network))
        }
        Command::Routes(Routes { name, format, dev }) => {
            let request = session.request(v1::GetNetworkRequest { pool: session.pool()?, name });
            let mut client = client(session).await?;
            let network = session.patiently("asking", client.get_network(request)).await?;
            let routes = RouteList(network.routes.into_iter().map(Into::into).collect());
            match format {
                None => output::show(session.format(), &routes),
                Some(format) => output::raw(routes.commands(format, &dev.unwrap_or_default()).as_bytes()),
            }
        }
        Command::Delete(Named { name }) => {
            let pool = session.pool()?;
            let request =
                session.request(v1::DeleteNetworkRequest { pool: pool.clone(), name: name.clone() });
            let mut client = client(session).await?;
            session.patiently("deleting", client.delete_network(request)).await?;
            output::show(session.format(), &output::Deleted { kind: "network", pool: Some(pool), name })
        }
    }
}

async fn client(session: &Session) -> Result<NetworksClient<tonic::transport::Channel>, Failure> {
    Ok(weir_api::client::networks(session.channel().await?))
}

fn requested(pool: String, arguments: Create) -> Result<v1::Network, Failure> {
    let settings = setting::network(&arguments.settings).map_err(|e| Failure::Usage(e.to_string()))?;
    let driver = match arguments.driver {
        Driver::Vlan => "vlan",
        Driver::Vxlan => "vxlan",
    };
    Ok(v1::Network {
        pool,
        name: arguments.name,
        driver: driver.to_owned(),
        subnet: settings.subnet,
        gateway: settings.gateway,
        vlan: settings.vlan,
        vni: settings.vni,
        mtu: settings.mtu,
        block_prefix_len: settings.block_prefix_len,
        ..v1::Network::default()
    })
}

#[derive(Serialize)]
struct NetworkView {
    pool: String,
    name: String,
    driver: String,
    subnet: String,
    gateway: Option<String>,
    vlan: Option<u32>,
    vni: Option<u32>,
    mtu: u32,
    block_prefix_len: u32,
    id: u32,
    revision: u64,
    blocks: Vec<BlockView>,
    neighbours: Vec<NeighbourView>,
}

#[derive(Serialize)]
struct BlockView {
    prefix: String,
    node: String,
    used: u32,
}

#[derive(Serialize)]
struct NeighbourView {
    address: String,
    mac: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct NetworkList(Vec<NetworkView>);

impl From<v1::Network> for NetworkView {
    fn from(network: v1::Network) -> NetworkView {
        let blocks = network.blocks.into_iter();
        let neighbours = network.neighbours.into_iter();
        NetworkView {
            pool: network.pool,
            name: network.name,
            driver: network.driver,
            subnet: network.subnet,
            gateway: output::present(network.gateway),
            vlan: (network.vlan != 0).then_some(network.vlan),
            vni: (network.vni != 0).then_some(network.vni),
            mtu: network.mtu,
            block_prefix_len: network.block_prefix_len,
            id: network.id,
            revision: network.revision,
            blocks: blocks.map(|v1::Block { prefix, node, used }| BlockView { prefix, node, used }).collect(),
            neighbours: neighbours
                .map(|v1::Neighbour { address, mac }| NeighbourView { address, mac: output::present(mac) })
                .collect(),
        }
    }
}

impl NetworkView {
    /// What tells its frames from others': `vlan 100` or `vni 10000`.
    fn tag(&self) -> String {
        match (self.vlan, self.vni) {
            (Some(vlan), _) => format!("vlan {vlan}"),
            (None, Some(vni)) => format!("vni {vni}"),
            (None, None) => String::new(),
        }
    }
}

impl View for NetworkView {
    fn to_text(&self) -> String {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let mut text = output::facts([
            ("Network", format!("{}/{}", self.pool, self.name)),
            ("Driver", self.driver.clone()),
            ("Subnet", self.subnet.clone()),
            ("Gateway", self.gateway.clone().unwrap_or_default()),
            ("VLAN", number(self.vlan)),
            ("VNI", number(self.vni)),
            ("MTU", self.mtu.to_string()),
            ("Blocks", format!("/{}, {} given to nodes", self.block_prefix_len, self.blocks.len())),
        ]);
        if !self.blocks.is_empty() {
            let rows = self
                .blocks
                .iter()
                .map(|block| vec![Cell::new(&block.prefix), Cell::new(&block.node), Cell::new(block.used)]);
            text.push('\n');
            text.push_str(&output::rows(&["BLOCK", "NODE", "USED"], rows));
        }
        if !self.neighbours.is_empty() {
            let rows = self.neighbours.iter().map(|neighbour| {
                let mac = neighbour.mac.as_deref().unwrap_or("unresolved");
                vec![Cell::new(&neighbour.address), Cell::new(mac)]
            });
            text.push('\n');
            text.push_str(&output::rows(&["NEIGHBOUR", "MAC"], rows));
        }
        text
    }
}

impl View for NetworkList {
    fn to_text(&self) -> String {
        output::rows(
            &["POOL", "NAME", "DRIVER", "TAG", "SUBNET", "GATEWAY", "MTU", "BLOCKS"],
            self.0.iter().map(|network| {
                vec![
                    Cell::new(&network.pool),
                    Cell::new(&network.name),
                    Cell::new(&network.driver),
                    Cell::new(or_dash(network.tag())),
                    Cell::new(&network.subnet),
                    Cell::new(or_dash(network.gateway.as_deref().unwrap_or_default())),
                    Cell::new(network.mtu),
                    Cell::new(network.blocks.len()),
                ]
            }),
        )
    }
}

#[derive(Serialize)]
struct RouteView {
    prefix: String,
    /// Without one the address itself is asked for.
    via: Option<String>,
    node: String,
}

#[derive(Serialize)]
#[serde(transparent)]
struct RouteList(Vec<RouteView>);

impl From<v1::Route> for RouteView {
    fn from(v1::Route { prefix, via, node }: v1::Route) -> RouteView {
        RouteView { prefix, via: output::present(via), node }
    }
}

impl RouteList {
    /// A line a route. Linux looks a next hop up in the table that it is for, where the block's own route would be found
    /// before the interface's: `onlink` says that it need not.
    fn commands(&self, format: RouteFormat, dev: &str) -> String {
        let mut text = String::new();
        for RouteView { prefix, via, .. } in &self.0 {
            let line = match (format, via) {
                (RouteFormat::IpRoute, Some(via)) => {
                    format!("route replace {prefix} via {via} dev {dev} onlink\n")
                }
                (RouteFormat::IpRoute, None) => format!("route replace {prefix} dev {dev}\n"),
                (RouteFormat::Frr, Some(via)) => format!("ip route {prefix} {via} {dev}\n"),
                (RouteFormat::Frr, None) => format!("ip route {prefix} {dev}\n"),
            };
            text.push_str(&line);
        }
        text
    }
}

impl View for RouteList {
    fn to_text(&self) -> String {
        let rows = self.0.iter().map(|route| {
            let via = route.via.as_ref().map_or_else(|| "on the link".to_owned(), |via| format!("via {via}"));
            vec![Cell::new(&route.prefix), Cell::new(via), Cell::new(&route.node)]
        });
        output::rows(&["ROUTE", "NEXT HOP", "NODE"], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_printed_as_commands() {
        let route = |prefix: &str, via: &str| {
            let (prefix, via, node) = (prefix.to_owned(), via.to_owned(), "n1".to_owned());
            RouteView::from(v1::Route { prefix, via, node })
        };
        let routes = RouteList(vec![route("10.1.2.64/26", "10.1.2.64"), route("10.1.2.9/32", "")]);
        assert_eq!(
            routes.commands(RouteFormat::IpRoute, "eth0"),
            "route replace 10.1.2.64/26 via 10.1.2.64 dev eth0 onlink\nroute replace 10.1.2.9/32 dev eth0\n"
        );
        let frr = routes.commands(RouteFormat::Frr, "eth0");
        assert_eq!(frr, "ip route 10.1.2.64/26 10.1.2.64 eth0\nip route 10.1.2.9/32 eth0\n");
    }
}
