//! An endpoint's network namespace and the interface in it, whoever made the namespace: this agent for the runtime `netns`,
//! which has no processes of its own, or Docker.
//!
//! Everything about an endpoint can be read back from the kernel: the namespace's name and the host end's alias both
//! bear the endpoint's number, so nothing need be remembered over a restart.
//!
//! Every call may be cut short by the end of the process and must then be repeatable. The agent never makes two calls
//! for one endpoint at the same time (but for `exec`).

use std::{path::Path, time::Instant};

use weir_api::v1::TerminalSize;

use super::{EndpointId, EndpointSpec, Process, RuntimeError};
use crate::link::{
    INNER, Inner, Link, LinkError, Links, Namespaces, VethPair, create_veth, ensure_inner, finish_host_end,
};

/// Named network namespaces under `/run/netns`, with their interfaces' host ends in the process's own namespace.
#[derive(Clone, Debug)]
pub struct Sandboxes {
    namespaces: Namespaces,
    host: Links,
}

/// An interface's inner end while it is beside the host end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Its name.
    pub name: String,
    /// It was not there before: a port that was plugged under the host end's name holds one that is gone.
    pub is_new: bool,
}

impl Sandboxes {
    /// Those in the calling thread's namespace; to be called within a tokio runtime.
    ///
    /// # Errors
    /// The system's refusal of a socket.
    pub fn new() -> Result<Self, RuntimeError> {
        let host = Links::open().map_err(LinkError::namespace("open", "/proc/self/ns/net"))?;
        Ok(Self { namespaces: Namespaces::default(), host })
    }

    /// Makes the interface, as far as it is needed to plug its host end, in the namespace of the file `sandbox`, or else in
    /// one of its own. What is there already and right is not touched; the interface may still lack addresses. Gives
    /// back whether the interface is a new one: a port that was plugged under its name holds one that is gone.
    ///
    /// # Errors
    /// The system's refusal; an interface of this name that is another's.
    pub async fn prepare(&self, spec: &EndpointSpec, sandbox: Option<&Path>) -> Result<bool, RuntimeError> {
        let started = Instant::now();
        let name = namespace_name(spec.id);
        let created = match sandbox {
            Some(sandbox) => self.namespaces.adopt(&name, sandbox).await?,
            None => self.namespaces.create(&name).await?,
        };
        let (host, alias) = (spec.host_interface(), alias(spec.id));
        let present = self.host.find(&host).await?;
        if let Some(link) = &present {
            if is_pair(link, &created.links).await? {
                return Ok(false);
            }
            if link.alias != alias && !self.is_beside(link, spec).await? {
                return Err(in_the_way(link.clone()));
            }
            self.host.delete(&host).await?;
        }
        if present.is_some() || !created.is_new {
            self.remove_host_ends(spec.id).await?;
        }
        let namespace = Some(&created.namespace);
        let pair = VethPair { host: &host, inner: INNER, namespace, mac: spec.mac, mtu: spec.mtu };
        create_veth(&self.host, &pair).await?;
        tracing::debug!(endpoint = spec.id, elapsed_us = started.elapsed().as_micros(), "interface made");
        Ok(true)
    }

    /// Makes an interface whose inner end Docker will move into its container's namespace, and configure there. One that is
    /// waiting for that already is left as it is; what is left of another goes.
    ///
    /// # Errors
    /// The system's refusal; an interface of this name that is another's.
    pub async fn prepare_for_docker(
        &self,
        spec: &EndpointSpec,
        offload: bool,
    ) -> Result<Beside, RuntimeError> {
        let (host, inner) = (spec.host_interface(), beside_name(spec));
        if let Some(link) = self.host.find(&host).await? {
            match (link.alias == alias(spec.id), self.is_beside(&link, spec).await?) {
                (true, true) => return Ok(Beside { name: inner, is_new: false }),
                (false, false) => return Err(in_the_way(link)),
                _ => drop(self.host.delete(&host).await?),
            }
        }
        self.remove_host_ends(spec.id).await?;
        let pair = VethPair { host: &host, inner: &inner, namespace: None, mac: spec.mac, mtu: spec.mtu };
        create_veth(&self.host, &pair).await?;
        for end in [&inner, &host] {
            self.host.ensure_tx_checksum(end, offload)?;
        }
        self.configure_host_end(spec).await?;
        Ok(Beside { name: inner, is_new: true })
    }

    /// Whether a host end's other end is beside it, where Docker has not taken it yet: it is an agent's then, also one's that
    /// was killed before it could give it its alias.
    async fn is_beside(&self, host: &Link, spec: &EndpointSpec) -> Result<bool, LinkError> {
        let inner = self.host.find(&beside_name(spec)).await?;
        Ok(inner.is_some_and(|inner| inner.peer == Some(host.index)))
    }

    /// Makes the container's side of the interface what it must be. May run while the host end is being plugged.
    /// `offload`: whether checksums may be left to the switch. Gives back whether anything was changed.
    ///
    /// # Errors
    /// The system's refusal; `NoContainer`.
    pub async fn configure(&self, spec: &EndpointSpec, offload: bool) -> Result<bool, RuntimeError> {
        // The host end first: see `create_veth`. Also finishes what an earlier life left half done.
        let mut changed = self.configure_host_end(spec).await?;
        let name = namespace_name(spec.id);
        let namespace = self.namespaces.open(&name)?.ok_or(RuntimeError::NoContainer(spec.id))?;
        let links = namespace.connect().await?;
        let inner = Inner { mac: spec.mac, mtu: spec.mtu, address: spec.address, offload };
        changed |= ensure_inner(&links, &inner).await?;
        changed |= self.host.ensure_tx_checksum(&spec.host_interface(), offload)?;
        if spec.program.is_some() {
            return Ok(changed);
        }
        // Now, when nobody waits for it.
        let namespaces = self.namespaces.clone();
        tokio::spawn(async move {
            if let Err(error) = namespaces.make_spare().await {
                tracing::debug!(%error, "no namespace made in advance");
            }
        });
        Ok(changed)
    }

    /// Sees that the host end of an interface whose other end Docker has taken is what it must be.
    ///
    /// # Errors
    /// The system's refusal; that it is gone, or another's.
    pub async fn keep_host_end(&self, spec: &EndpointSpec) -> Result<(), RuntimeError> {
        let link = self.host.require(&spec.host_interface()).await?;
        if link.alias != alias(spec.id) {
            return Err(in_the_way(link));
        }
        self.configure_host_end(spec).await?;
        Ok(())
    }

    async fn configure_host_end(&self, spec: &EndpointSpec) -> Result<bool, LinkError> {
        let (name, alias) = (spec.host_interface(), alias(spec.id));
        let link = self.host.require(&name).await?;
        let unfinished = !link.up || link.arp || link.alias != alias;
        if unfinished {
            finish_host_end(&self.host, &name, &alias).await?;
        }
        if link.mtu != spec.mtu {
            self.host.set_mtu(link.index, spec.mtu).await?;
        }
        Ok(unfinished || link.mtu != spec.mtu)
    }

    /// Removes the interface and the namespace's name, whatever is left of them; that there is nothing is no error.
    ///
    /// # Errors
    /// The system's refusal.
    pub async fn remove(&self, endpoint: EndpointId) -> Result<(), RuntimeError> {
        self.remove_host_ends(endpoint).await?;
        let name = namespace_name(endpoint);
        if let Some(namespace) = self.namespaces.open(&name)? {
            // A host end that never got its alias goes with its inner end; so does one under a forgotten name.
            namespace.connect().await?.delete(INNER).await?;
        }
        self.namespaces.remove(&name)?;
        Ok(())
    }

    /// Removes every host end that says it is this endpoint's; the inner ends go with them.
    async fn remove_host_ends(&self, endpoint: EndpointId) -> Result<(), LinkError> {
        let alias = alias(endpoint);
        for link in self.host.list().await?.into_iter().filter(|link| link.alias == alias) {
            self.host.delete(&link.name).await?;
        }
        Ok(())
    }

    /// The endpoints of which anything is here.
    ///
    /// # Errors
    /// The system's refusal.
    pub async fn list(&self) -> Result<Vec<EndpointId>, RuntimeError> {
        let mut found: Vec<EndpointId> = Vec::new();
        for name in self.namespaces.list(NAMESPACE_PREFIX)? {
            found.extend(name.strip_prefix(NAMESPACE_PREFIX).and_then(parse_id));
        }
        for link in self.host.list().await? {
            found.extend(link.alias.strip_prefix(ALIAS_PREFIX).and_then(parse_id));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Starts a command inside.
    ///
    /// # Errors
    /// `NoContainer`, or that the command cannot be started.
    pub async fn exec(
        &self,
        endpoint: EndpointId,
        command: &[String],
        terminal: Option<TerminalSize>,
    ) -> Result<Process, RuntimeError> {
        let namespace =
            self.namespaces.open(&namespace_name(endpoint))?.ok_or(RuntimeError::NoContainer(endpoint))?;
        let owned = command.to_vec();
        let started = namespace.run(move || Process::start_here(&owned, terminal)).await?;
        let name = command.first().cloned().unwrap_or_default();
        started.map_err(|source| RuntimeError::Command { command: name, source })
    }
}

/// Whether the link's other end is the one inside: a pair's ends name each other by index.
async fn is_pair(host: &Link, inside: &Links) -> Result<bool, LinkError> {
    Ok(inside.find(INNER).await?.is_some_and(|inner| inner.peer == Some(host.index)))
}

fn in_the_way(link: Link) -> RuntimeError {
    let found = match link.alias.as_str() {
        "" => "not made by this agent".to_owned(),
        alias => format!("it is {alias}"),
    };
    LinkError::InTheWay { name: link.name, found }.into()
}

fn beside_name(spec: &EndpointSpec) -> String {
    format!("{BESIDE_PREFIX}{}", spec.ofport)
}

fn namespace_name(endpoint: EndpointId) -> String {
    format!("{NAMESPACE_PREFIX}{endpoint}")
}

fn alias(endpoint: EndpointId) -> String {
    format!("{ALIAS_PREFIX}{endpoint}")
}

/// The number, if it is written as we write it: `7` but not `07` or `+7`.
fn parse_id(text: &str) -> Option<EndpointId> {
    text.parse().ok().filter(|id: &EndpointId| id.to_string() == text)
}

const NAMESPACE_PREFIX: &str = "weir-";

/// The inner end's name begins so while it is beside the host end.
const BESIDE_PREFIX: &str = "wc";

const ALIAS_PREFIX: &str = "weir endpoint ";
