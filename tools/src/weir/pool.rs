//! `weir pool`: pools, the ranges their networks take VLANs and VNIs from, what they may use, where their images come from, and
//! what lets nodes join them.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::pool;

use super::container::amount;
use super::failure::Failure;
use super::output::{self, View, or_dash};
use super::session::Session;
use super::token;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a pool
    Create(Create),
    /// Change what a pool may use, and where its images come from; what it uses already it keeps
    Update(Update),
    /// List all pools
    #[command(visible_alias = "ls")]
    List,
    /// Show one pool
    Show(Named),
    /// What lets nodes join a pool
    Token {
        #[command(subcommand)]
        command: token::JoinCommand,
    },
    /// Delete a pool without nodes and networks; its tokens go with it
    #[command(visible_alias = "rm")]
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name: letters a-z, digits, '-' and '.'
    name: String,
    /// VLAN ids for networks created without one; otherwise 100-199
    #[arg(long, value_name = "FIRST-LAST", value_parser = range)]
    vlans: Option<v1::Range>,
    /// VXLAN network identifiers for networks created without one; otherwise 10000-19999
    #[arg(long, value_name = "FIRST-LAST", value_parser = range)]
    vnis: Option<v1::Range>,
    /// The image of containers created without one
    #[arg(long, value_name = "IMAGE", default_value = "", hide_default_value = true)]
    default_image: String,
    /// Where its containers go: to the emptiest node, or the fullest that can take them
    #[arg(long, value_enum, default_value = "spread")]
    pub(super) placement: Placement,
    #[command(flatten)]
    quota: Limits,
    #[command(flatten)]
    images: Images,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    /// The pool's name
    name: String,
    #[command(flatten)]
    quota: Limits,
    #[command(flatten)]
    images: Images,
}

/// What a pool may use at most.
#[derive(Debug, Args)]
struct Limits {
    /// At most so many containers, or none for no limit
    #[arg(long, value_name = "N", value_parser = limit::<u32>)]
    max_containers: Option<u32>,
    /// At most so many processors, as containers' limits say, for example 4.5, or none
    #[arg(long, value_name = "NUMBER", value_parser = |text: &str| or_none(text, amount::cpus))]
    max_cpus: Option<u32>,
    /// At most so much memory, as containers' limits say, for example 16g, or none
    #[arg(long, value_name = "BYTES", value_parser = |text: &str| or_none(text, amount::memory))]
    max_memory: Option<u64>,
    /// At most so many addresses, or none
    #[arg(long, value_name = "N", value_parser = limit::<u32>)]
    max_addresses: Option<u32>,
}

/// Where images come from.
#[derive(Debug, Args)]
struct Images {
    /// Pull images of that registry (docker.io, if none is named) through the registry or cache at that URL, or none any more;
    /// repeatable
    #[arg(long = "registry-proxy", value_name = "[REGISTRY=]URL|none", value_parser = proxy)]
    registry_proxies: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Placement {
    Spread,
    Binpack,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The pool's name
    name: String,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    if let Command::Token { command } = command {
        return token::run_join(session, command).await;
    }
    let mut client = weir_api::client::pools(session.channel().await?);
    match command {
        Command::Create(Create { name, vlans, vnis, default_image, placement, quota, images }) => {
            let placement = match placement {
                Placement::Spread => pool::Placement::Spread,
                Placement::Binpack => pool::Placement::Binpack,
            };
            let placement = placement.into();
            let quota = Some(v1::Quota {
                containers: quota.max_containers.unwrap_or_default(),
                cpu_millis: quota.max_cpus.unwrap_or_default(),
                memory_bytes: quota.max_memory.unwrap_or_default(),
                addresses: quota.max_addresses.unwrap_or_default(),
            });
            let registry_proxies = images.registry_proxies.into_iter().collect();
            let pool = v1::Pool {
                name,
                vlans,
                vnis,
                default_image,
                placement,
                quota,
                registry_proxies,
                ..v1::Pool::default()
            };
            let request = session.request(v1::CreatePoolRequest { pool: Some(pool) });
            let pool = session.patiently("creating", client.create_pool(request)).await?;
            output::show(session.format(), &PoolView::from(pool))
        }
        Command::Update(update) => {
            let name = update.name.clone();
            let request = v1::UpdatePoolRequest::from(update);
            if request == (v1::UpdatePoolRequest { name, ..v1::UpdatePoolRequest::default() }) {
                return Err(Failure::Usage(
                    "nothing to change is named: give one of the options that `weir pool update --help` shows".to_owned(),
                ));
            }
            let pool = session.patiently("updating", client.update_pool(session.request(request))).await?;
            output::show(session.format(), &PoolView::from(pool))
        }
        Command::List => {
            let request = session.request(v1::ListPoolsRequest::default());
            let answer = session.patiently("listing", client.list_pools(request)).await?;
            output::show(session.format(), &PoolList(answer.pools.into_iter().map(Into::into).collect()))
        }
        Command::Show(Named { name }) => {
            let request = session.request(v1::GetPoolRequest { name });
            let pool = session.patiently("asking", client.get_pool(request)).await?;
            output::show(session.format(), &PoolView::from(pool))
        }
        Command::Token { .. } => Ok(()),
        Command::Delete(Named { name }) => {
            let request = session.request(v1::DeletePoolRequest { name: name.clone() });
            session.patiently("deleting", client.delete_pool(request)).await?;
            output::show(session.format(), &output::Deleted { kind: "pool", pool: None, name })
        }
    }
}

/// Reads a number above 0, or `none`, which is 0.
fn limit<T: std::str::FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    let number = |text: &str| text.parse().ok().filter(|number| *number != T::default());
    or_none(text, |text| number(text).ok_or_else(|| "expected a number above 0, or none".to_owned()))
}

fn or_none<T: Default>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    if text == "none" { Ok(T::default()) } else { read(text) }
}

/// Reads `[REGISTRY=]URL` or `[REGISTRY=]none`, which is no URL.
fn proxy(text: &str) -> Result<(String, String), String> {
    let (registry, url) = text.split_once('=').unwrap_or(("docker.io", text));
    match url {
        "none" => Ok((registry.to_owned(), String::new())),
        url if url.contains("://") => Ok((registry.to_owned(), url.to_owned())),
        _ => Err("expected [REGISTRY=]URL, for example http://10.0.0.1:5000, or none".to_owned()),
    }
}

/// Reads `FIRST-LAST`, or one number, which is a range of one.
fn range(text: &str) -> Result<v1::Range, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(v1::Range { first, last }),
        _ => Err("expected FIRST-LAST, for example 100-199".to_owned()),
    }
}

#[derive(Serialize)]
struct RangeView {
    first: u32,
    last: u32,
}

#[derive(Serialize)]
struct PoolView {
    name: String,
    vlans: Option<RangeView>,
    vnis: Option<RangeView>,
    default_image: String,
    placement: &'static str,
    quota: QuotaView,
    used: QuotaView,
    registry_proxies: BTreeMap<String, String>,
    revision: u64,
}

/// Amounts; of a quota, 0 is no limit.
#[derive(Serialize)]
struct QuotaView {
    containers: u32,
    cpu_millis: u32,
    memory_bytes: u64,
    addresses: u32,
}

#[derive(Serialize)]
#[serde(transparent)]
struct PoolList(Vec<PoolView>);

impl From<Update> for v1::UpdatePoolRequest {
    fn from(Update { name, quota, images }: Update) -> v1::UpdatePoolRequest {
        v1::UpdatePoolRequest {
            name,
            max_containers: quota.max_containers,
            max_cpu_millis: quota.max_cpus,
            max_memory_bytes: quota.max_memory,
            max_addresses: quota.max_addresses,
            registry_proxies: images.registry_proxies.into_iter().collect(),
        }
    }
}

impl From<v1::Pool> for PoolView {
    fn from(pool: v1::Pool) -> PoolView {
        let placement = match pool.placement() {
            pool::Placement::Unspecified | pool::Placement::Spread => "spread",
            pool::Placement::Binpack => "binpack",
        };
        let v1::Pool { name, vlans, vnis, default_image, revision, quota, used, registry_proxies, .. } = pool;
        let registry_proxies = registry_proxies.into_iter().collect();
        let (vlans, vnis) = (vlans.map(Into::into), vnis.map(Into::into));
        let (quota, used) = (quota.unwrap_or_default().into(), used.unwrap_or_default().into());
        PoolView { name, vlans, vnis, default_image, placement, quota, used, registry_proxies, revision }
    }
}

impl From<v1::Range> for RangeView {
    fn from(v1::Range { first, last }: v1::Range) -> RangeView {
        RangeView { first, last }
    }
}

impl From<v1::Quota> for QuotaView {
    fn from(v1::Quota { containers, cpu_millis, memory_bytes, addresses }: v1::Quota) -> QuotaView {
        QuotaView { containers, cpu_millis, memory_bytes, addresses }
    }
}

/// What is used, of how much.
fn used_text<T: Default + PartialEq + Copy>(used: T, limit: T, text: impl Fn(T) -> String) -> String {
    let of = if limit == T::default() { "no limit".to_owned() } else { text(limit) };
    format!("{} of {of}", text(used))
}

fn range_text(range: Option<&RangeView>) -> String {
    range.map(|range| format!("{}-{}", range.first, range.last)).unwrap_or_default()
}

impl View for PoolView {
    fn to_text(&self) -> String {
        let PoolView { used, quota, .. } = self;
        let proxies: Vec<_> =
            self.registry_proxies.iter().map(|(registry, url)| format!("{registry}={url}")).collect();
        output::facts([
            ("Pool", self.name.clone()),
            ("VLANs", range_text(self.vlans.as_ref())),
            ("VNIs", range_text(self.vnis.as_ref())),
            ("Placement", self.placement.to_owned()),
            ("Default image", self.default_image.clone()),
            ("Containers", used_text(used.containers, quota.containers, |n| n.to_string())),
            ("CPUs", used_text(used.cpu_millis, quota.cpu_millis, amount::cpus_text)),
            ("Memory", used_text(used.memory_bytes, quota.memory_bytes, amount::bytes_text)),
            ("Addresses", used_text(used.addresses, quota.addresses, |n| n.to_string())),
            ("Registry proxies", proxies.join(", ")),
        ])
    }
}

impl View for PoolList {
    fn to_text(&self) -> String {
        output::rows(
            &["NAME", "VLANS", "VNIS", "PLACEMENT", "DEFAULT IMAGE"],
            self.0.iter().map(|pool| {
                vec![
                    Cell::new(&pool.name),
                    Cell::new(or_dash(range_text(pool.vlans.as_ref()))),
                    Cell::new(or_dash(range_text(pool.vnis.as_ref()))),
                    Cell::new(pool.placement),
                    Cell::new(or_dash(pool.default_image.as_str())),
                ]
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_limits_and_none() {
        assert_eq!((limit::<u32>("3"), limit::<u32>("none")), (Ok(3), Ok(0)));
        assert!(limit::<u32>("0").is_err() && limit::<u32>("-1").is_err());
        assert_eq!(or_none("1.5", amount::cpus), Ok(1500));
        assert_eq!(used_text(2, 0, |n: u32| n.to_string()), "2 of no limit");
        assert_eq!(used_text(2, 3, |n: u32| n.to_string()), "2 of 3");
    }

    #[test]
    fn reads_registry_proxies() {
        let read = |text| proxy(text).map(|(registry, url)| format!("{registry} {url}"));
        assert_eq!(read("http://a:5000").unwrap(), "docker.io http://a:5000");
        assert_eq!(read("quay.io=https://b").unwrap(), "quay.io https://b");
        assert_eq!(read("none").unwrap(), "docker.io ");
        assert_eq!(read("a:1=none").unwrap(), "a:1 ");
        for text in ["", "10.0.0.1:5000", "docker.io=", "docker.io=x"] {
            assert!(proxy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_ranges() {
        assert_eq!(range("100-199"), Ok(v1::Range { first: 100, last: 199 }));
        assert_eq!(range("7"), Ok(v1::Range { first: 7, last: 7 }));
        for text in ["", "-", "9-3", "a-b", "1-2-3", "1-"] {
            assert!(range(text).is_err(), "{text:?}");
        }
    }
}
