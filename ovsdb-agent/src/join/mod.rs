//! How a host becomes a node, and stops being one: `weir-agent join` and `weir-agent leave`.
//!
//! ```text
//! join:   certificate ─▶ journal ─▶ NIC into br-phy, addresses and routes with it ─▶ controller reached? ─▶ settings ─▶ joined
//!                                                                                        │ not within 30 s
//!                                                                                        ▼
//! leave:  the controller forgets the node ─▶ journal ─▶ containers' remains ─▶ NIC as it was ─▶ settings, certificate gone
//! ```
//!
//! The journal is on disk before anything is changed (`journal.rs`). Each step may be repeated, and the host can be reached
//! after each. A join that was cut short is undone by whoever finds its journal: the next join, a leave, or the agent when it
//! starts ([`resume`]). What stays of a join that is undone is the certificate, so that no other token is needed.

mod host;
mod journal;
mod leave;
mod settings;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use ipnet::Ipv4Net;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use self::{
    host::{Host, PATIENCE},
    settings::Settings,
};
pub use self::{
    journal::{Journal, JournalError, Phase, State},
    leave::{Leave, leave},
};
use crate::{
    bridge::{self, BR_PHY, MONITORED, Rest, Switch, SwitchError, offload},
    config,
    credentials::{Credentials, CredentialsError, Current},
    enrol::{self, EnrolError},
    link::{LinkError, Links, treatment},
    ovsdb,
    runtime::RuntimeError,
};

/// Have this node join a pool, with a token that `weir pool token create` has made.
///
/// A key is made here and stays here; the controller, which the token's fingerprint proves, signs a certificate for it. With
/// --uplink the NIC is taken too, with its addresses and routes, into the bridge br-phy: the host keeps them, connections
/// go on. If the controller cannot be reached that way in time, all is put back. Afterwards the agent's settings are in a
/// file, and `systemctl enable --now weir-agent` starts it.
#[derive(Clone, Debug, Args)]
pub struct Join {
    /// Where to get the certificate.
    #[command(flatten)]
    pub request: enrol::Request,
    /// The NIC that leads to the fabric. Without it only the certificate is fetched.
    #[arg(long, value_name = "NIC", value_parser = config::interface)]
    pub uplink: Option<String>,
    /// Which of the NIC's addresses other nodes send their tunnels to [default: its first]
    #[arg(long, value_name = "ADDRESS/LEN", requires = "uplink")]
    pub tunnel_address: Option<Ipv4Net>,
    /// The OVSDB server of this node: unix:PATH or tcp:HOST:PORT.
    #[arg(long, env = "WEIR_OVSDB", value_name = "ADDRESS", default_value = config::OVSDB)]
    pub ovsdb: ovsdb::Address,
    /// How long the controller may take to be reached over br-phy, in seconds, before all is put back.
    #[arg(long, value_name = "SECONDS", default_value = "30", requires = "uplink")]
    pub timeout: u32,
    /// The file for the agent's settings, which its systemd unit reads.
    #[arg(long, value_name = "FILE", default_value = "/etc/weir/agent.env")]
    pub configuration: PathBuf,
}

/// Why a node has not joined, or not left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The state directory.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No certificate.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// Key and certificate.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The NIC cannot be taken.
    #[error("{nic} cannot be taken: {why}")]
    Unfit {
        /// The NIC.
        nic: String,
        /// What is the matter with it.
        why: String,
    },
    /// The system refuses something.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// As `Link`.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Open vSwitch.
    #[error("{0}: is Open vSwitch running (`systemctl status openvswitch-switch`)?")]
    Switch(#[from] SwitchError),
    /// Not over br-phy.
    #[error("the controller was not reached over {BR_PHY} within {} s: {why}", waited.as_secs())]
    NotReached {
        /// How long it was tried.
        waited: Duration,
        /// What came of the last attempt.
        why: String,
    },
    /// Somebody has stopped it.
    #[error("stopped on request")]
    Stopped,
    /// The NIC was taken and is as it was.
    #[error("{0}. {1} has its addresses and routes back")]
    RolledBack(Box<JoinError>, String),
    /// The NIC was taken and is not as it was.
    #[error("{cause}. Nor could {nic} be given back: {error}; `weir-agent leave --force` tries again")]
    Stuck {
        /// Why it was to be given back.
        cause: Box<JoinError>,
        /// The NIC.
        nic: String,
        /// What went wrong then.
        error: Box<JoinError>,
    },
    /// The agent has found a join that was not finished.
    #[error("a `weir-agent join` was cut short here: {0} has its addresses and routes back; join again")]
    CutShort(String),
    /// The agent has found a leave that was not finished.
    #[error("a `weir-agent leave` was cut short here: run it again")]
    Leaving,
    /// A container does not go.
    #[error("container {0} cannot be removed: {1}")]
    Container(u32, String),
    /// Another NIC was taken.
    #[error("this node has joined with {0}: `weir-agent leave` gives it back, then join with another")]
    OtherNic(String),
    /// The node does not leave.
    #[error("the controller does not let the node go: {0}; drain it with `weir node drain`, or use --force")]
    Needed(String),
    /// The node cannot say that it leaves.
    #[error("{0}; with --force the node leaves all the same: then remove it with `weir node delete`")]
    Unsaid(String),
}

/// How a join has ended well.
#[derive(Debug)]
pub struct Joined {
    /// The certificate.
    pub current: Current,
    /// The NIC, if it was to be taken, and what br-phy bears in its place.
    pub taken: Option<(String, Vec<String>)>,
    /// What the NIC bears ends by itself.
    pub leased: bool,
}

/// Has the node join. Again is no error.
///
/// # Errors
/// See [`JoinError`]. The host is then as it was, but for the certificate, unless that is said.
pub async fn join(join: &Join) -> Result<Joined, JoinError> {
    let state = State::take(&join.request.state_dir)?;
    let Some(uplink) = &join.uplink else {
        let current = enrol::join(&join.request).await?;
        return Ok(Joined { current, taken: None, leased: false });
    };
    // One that loses its terminal with the network goes on, to either end.
    let _ignored = signal(SignalKind::hangup()).map_err(LinkError::namespace("watch", "signals"))?;
    let host = open(&join.ovsdb)?;
    let mut taken = state.journal()?;
    if let Some(journal) = taken.take_if(|journal| journal.phase != Phase::Taken) {
        roll_back(&state, &host, &journal).await?;
    }
    if let Some(Journal { nic, .. }) = taken.as_ref().filter(|journal| journal.nic != *uplink) {
        return Err(JoinError::OtherNic(nic.clone()));
    }
    let current = certificate(&join.request).await?;
    if let Some(journal) = taken {
        return again(join, &host, current, journal).await;
    }
    let journal = prepare(join, &host, uplink).await?;
    state.write(&journal)?;
    let leased = journal.bearing.is_leased();
    let cause = match take(join, &host, &current, &journal).await {
        Ok(()) => match state.write(&Journal { phase: Phase::Taken, ..journal.clone() }) {
            Ok(()) => {
                return Ok(Joined { current, taken: Some((journal.nic, journal.lines)), leased });
            }
            Err(error) => error.into(),
        },
        Err(error) => error,
    };
    let nic = journal.nic.clone();
    match roll_back(&state, &host, &journal).await {
        Ok(()) => Err(JoinError::RolledBack(Box::new(cause), nic)),
        Err(error) => Err(JoinError::Stuck { cause: Box::new(cause), nic, error: Box::new(error) }),
    }
}

/// What the agent does first: a join that was cut short is undone. Gives back the state directory, and the NIC that a join
/// has taken.
///
/// # Errors
/// `CutShort`, `Leaving`; that it cannot be undone.
pub async fn resume(state_dir: &Path, ovsdb: &ovsdb::Address) -> Result<(State, Option<String>), JoinError> {
    let state = State::take(state_dir)?;
    let Some(journal) = state.journal()? else { return Ok((state, None)) };
    match journal.phase {
        Phase::Taken => Ok((state, Some(journal.nic))),
        Phase::Leaving => Err(JoinError::Leaving),
        Phase::Taking => {
            roll_back(&state, &open(ovsdb)?, &journal).await?;
            Err(JoinError::CutShort(journal.nic))
        }
    }
}

fn open(ovsdb: &ovsdb::Address) -> Result<Host, JoinError> {
    let settings = ovsdb::Settings::new("Open_vSwitch", MONITORED);
    let client = ovsdb::Client::start(ovsdb::Config::new(ovsdb.clone(), settings));
    let links = Links::open().map_err(LinkError::namespace("open", "/proc/self/ns/net"))?;
    Ok(Host { links, switch: Switch::new(client, PATIENCE) })
}

/// The node's certificate: the one it has, if that is of this name.
async fn certificate(request: &enrol::Request) -> Result<Current, JoinError> {
    match Credentials::of(&request.state_dir).current()? {
        Some(current) if current.about.node == request.name => Ok(current),
        _ => Ok(enrol::join(request).await?),
    }
}

/// Looks at everything, and changes nothing.
async fn prepare(join: &Join, host: &Host, uplink: &str) -> Result<Journal, JoinError> {
    let (_, bearing) = host.inspect(uplink).await?;
    if let Some(address) = join.tunnel_address.filter(|address| !bearing.ipv4().contains(address)) {
        let why = format!("it does not bear {address}, but {}", bearing.lines().join(", "));
        return Err(JoinError::Unfit { nic: uplink.to_owned(), why });
    }
    let replica = host.replica().await?;
    Ok(Journal {
        phase: Phase::Taking,
        nic: uplink.to_owned(),
        lines: bearing.lines(),
        treatment: treatment(&host.links, uplink).await?,
        bearing,
        had_bridge: replica.named("Bridge", BR_PHY).is_some(),
        had_tso: offload::is_requested(&replica),
        controller: join.request.controller.clone(),
        configuration: join.configuration.clone(),
    })
}

/// Takes the NIC, reaches the controller over br-phy, and writes the settings.
async fn take(join: &Join, host: &Host, current: &Current, journal: &Journal) -> Result<(), JoinError> {
    let (nic, _) = host.inspect(&journal.nic).await?;
    let address = tunnel_address(join, &journal.bearing.ipv4(), &journal.nic)?;
    let desired = bridge::Desired {
        nic: nic.name.clone(),
        nic_mac: nic.mac.map(|mac| mac.to_string()),
        tunnel_address: address.addr().into(),
        datapath_id: config::datapath_id(&current.about.pool, &current.about.node),
        // br-int is the agent's to make.
        targets: Vec::new(),
        ssl: None,
        userspace_tso: true,
    };
    let watch = |kind| signal(kind).map_err(LinkError::namespace("watch", "signals"));
    let (mut terminate, mut interrupt) = (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    // To its end, which is near: what Open vSwitch was told and has not done yet could not be undone.
    host.take(&nic, &journal.bearing, &desired).await?;
    // Cancel safe: nothing but waiting for the controller happens in here.
    tokio::select! {
        reached = reach(&journal.controller, current, Duration::from_secs(join.timeout.into())) => reached?,
        _ = terminate.recv() => return Err(JoinError::Stopped),
        _ = interrupt.recv() => return Err(JoinError::Stopped),
    }
    write_settings(join, current, &journal.nic, address)
}

/// Tries to reach the controller until it is reached, or for long enough.
async fn reach(controller: &str, current: &Current, patience: Duration) -> Result<(), JoinError> {
    let deadline = Instant::now() + patience;
    let mut poll = tokio::time::interval(RETRY);
    let mut why = "no attempt has ended".to_owned();
    let reached = tokio::time::timeout_at(deadline, async {
        loop {
            poll.tick().await;
            match enrol::reach(controller, current).await {
                Ok(_) => return,
                Err(error) => why = error.to_string(),
            }
        }
    });
    let is_reached = reached.await.is_ok();
    if is_reached { Ok(()) } else { Err(JoinError::NotReached { waited: patience, why }) }
}

fn write_settings(
    join: &Join,
    current: &Current,
    uplink: &str,
    tunnel_address: Ipv4Net,
) -> Result<(), JoinError> {
    let settings = Settings {
        controller: &join.request.controller,
        pool: &current.about.pool,
        name: &current.about.node,
        uplink,
        tunnel_address,
        state_dir: &join.request.state_dir,
        ovsdb: join.ovsdb.to_string(),
    };
    Ok(settings.write(&join.configuration)?)
}

fn tunnel_address(join: &Join, addresses: &[Ipv4Net], nic: &str) -> Result<Ipv4Net, JoinError> {
    let address = join.tunnel_address.or(addresses.first().copied());
    address.ok_or_else(|| JoinError::Unfit { nic: nic.to_owned(), why: "no IPv4 address".to_owned() })
}

/// A node that has joined joins again: its settings are written anew, nothing else is changed.
async fn again(join: &Join, host: &Host, current: Current, journal: Journal) -> Result<Joined, JoinError> {
    let local = host.links.require(BR_PHY).await?;
    let bearing = host.links.bearing(&local).await?;
    let address = tunnel_address(join, &bearing.ipv4(), BR_PHY)?;
    reach(&join.request.controller, &current, Duration::from_secs(join.timeout.into())).await?;
    write_settings(join, &current, &journal.nic, address)?;
    Ok(Joined { current, leased: bearing.is_leased(), taken: Some((journal.nic, bearing.lines())) })
}

/// Undoes what the journal says, and then forgets it. Credentials stay.
async fn roll_back(state: &State, host: &Host, journal: &Journal) -> Result<(), JoinError> {
    undo(state, host, journal).await?;
    Ok(state.forget()?)
}

/// Undoes what the journal says.
async fn undo(state: &State, host: &Host, journal: &Journal) -> Result<(), JoinError> {
    let rest = Rest { tso: journal.had_tso, ssl_outside: state.directory() };
    host.give_back(journal, rest).await?;
    Ok(journal::remove(&journal.configuration)?)
}

/// How soon after an attempt to reach the controller there is another.
const RETRY: Duration = Duration::from_millis(500);
