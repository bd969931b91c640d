//! What a join does to the host, and how it is undone.
//!
//! Taken:  br-phy with the NIC in it, its link up, addresses, routes, off the NIC; the kernel's stack off the NIC.
//! Given back, the same backwards: stack, addresses, routes, off br-phy; bridges.
//!
//! Open vSwitch's userspace datapath reads the NIC beside the kernel's stack, not before it, so that the host goes on with
//! whatever of both has its addresses at the moment.

use std::time::Duration;

use crate::{
    bridge::{self, BR_PHY, Rest, Switch, dismantle, offload},
    join::{JoinError, Journal, Phase},
    link::{Bearing, Link, LinkError, Links, isolate, reinstate, take_over},
    ovsdb::Replica,
};

/// The host's links and its Open vSwitch.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) links: Links,
    pub(super) switch: Switch,
}

impl Host {
    /// Looks at the NIC, and whether it can be taken.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn inspect(&self, nic: &str) -> Result<(Link, Bearing), JoinError> {
        let link = self.links.require(nic).await?;
        let unfit = |why: String| JoinError::Unfit { nic: nic.to_owned(), why };
        if link.owner.is_some() {
            return Err(unfit(
                "it belongs to a bond, a bridge or a VRF: name that, or take it out".to_owned(),
            ));
        }
        let bearing = self.links.bearing(&link).await?;
        if bearing.ipv4().is_empty() || !link.up {
            return Err(unfit(
                "it is not up with an IPv4 address: is it the one that leads to the fabric?".to_owned(),
            ));
        }
        if let Some(route) = bearing.fixed_route() {
            return Err(unfit(format!(
                "its route {route} uses a nexthop object, which br-phy cannot take over"
            )));
        }
        let replica = self.replica().await?;
        if let Some(bridge) = bridge_with(&replica, nic).filter(|bridge| bridge != BR_PHY) {
            return Err(unfit(format!("it is a port of Open vSwitch's bridge {bridge}")));
        }
        Ok((link, bearing))
    }

    pub(super) async fn replica(&self) -> Result<std::sync::Arc<Replica>, JoinError> {
        self.switch.replica().await.map_err(JoinError::Switch)
    }

    /// Has br-phy take the NIC and what it bears. What has been done already is left as it is.
    ///
    /// # Errors
    /// What the system refuses; the host has its addresses and routes all the same.
    pub(super) async fn take(
        &self,
        nic: &Link,
        bearing: &Bearing,
        desired: &bridge::Desired,
    ) -> Result<(), JoinError> {
        self.switch.reconcile(desired).await?;
        let local = self.appeared(BR_PHY).await?;
        let error = |replica: &Replica| {
            let (_, row) = replica.named("Interface", &nic.name)?;
            row.string("error").map(str::to_owned)
        };
        if let Some(why) = error(self.replica().await?.as_ref()) {
            return Err(JoinError::Unfit { nic: nic.name.clone(), why });
        }
        if local.mtu != nic.mtu {
            self.links.set_mtu(local.index, nic.mtu).await?;
        }
        let tso =
            offload::is_active(BR_PHY).await.map_err(LinkError::namespace("ask for offloads of", BR_PHY))?;
        if tso != Some(true) {
            self.links.ensure_tx_checksum(BR_PHY, false)?;
            self.links.ensure_gro(&nic.name, false)?;
        }
        take_over(&self.links, bearing, &local).await?;
        isolate(&self.links, &nic.name).await?;
        Ok(())
    }

    /// Undoes it all but the credentials. What has been undone already is left as it is.
    ///
    /// # Errors
    /// What the system refuses; the NIC comes first, and does not wait for Open vSwitch.
    pub(super) async fn give_back(&self, journal: &Journal, rest: Rest<'_>) -> Result<(), JoinError> {
        let nic = reinstate(&self.links, &journal.nic, &journal.treatment).await?;
        if !nic.up {
            self.links.set_up(nic.index).await?;
        }
        let local = self.links.find(BR_PHY).await?;
        let borne = match &local {
            // What else it bears was there before.
            Some(local) if journal.phase == Phase::Taking => Some(journal.bearing.on(local)),
            // As it is now: it may have been changed since.
            Some(local) => Some(self.links.bearing(local).await?).filter(|borne| !borne.is_empty()),
            None => None,
        };
        match &borne {
            Some(borne) => {
                self.links.bear(borne, &nic).await?;
                self.links.unburden(borne).await?;
            }
            // Whoever boots the host gives it to the NIC.
            None if journal.phase != Phase::Taking && !self.links.bearing(&nic).await?.is_empty() => {}
            None => self.links.bear(&journal.bearing, &nic).await?,
        }
        if journal.phase == Phase::Taking && journal.had_bridge {
            return Ok(());
        }
        let operations = dismantle(self.replica().await?.as_ref(), rest);
        if !operations.is_empty() {
            self.switch.apply(operations).await?;
        }
        Ok(())
    }

    /// Waits for a link that ovs-vswitchd makes.
    async fn appeared(&self, name: &str) -> Result<Link, JoinError> {
        let mut poll = tokio::time::interval(POLL);
        let appeared = async {
            loop {
                poll.tick().await;
                if let Some(link) = self.links.find(name).await? {
                    return Ok(link);
                }
            }
        };
        let appeared = tokio::time::timeout(PATIENCE, appeared).await;
        appeared.unwrap_or_else(|_| Err(LinkError::NoLink(name.to_owned()))).map_err(JoinError::Link)
    }
}

/// The bridge that has a port of this name.
fn bridge_with(replica: &Replica, port: &str) -> Option<String> {
    let (uuid, _) = replica.named("Port", port)?;
    let bridge = replica.rows("Bridge").find(|(_, row)| row.references("ports").any(|port| port == uuid));
    bridge.and_then(|(_, row)| row.string("name").map(str::to_owned))
}

/// How long Open vSwitch is waited for, each time.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(20);
