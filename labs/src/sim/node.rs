//! A node: its switch, and the task that carries bytes between the switch and the controller.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flowlib::channel;
use flowlib::openflow::Port;
use flowlib::openflow::fixed_text::FixedText;
use flowlib::openflow::port::{PortConfig, PortState};
use flowlib::switch::{Bodies, Config, ConnectionId, Counts, Switch};
use flowlib::types::{DatapathId, MacAddr, PortNo, TableId};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};

use super::pause::Pause;

/// What happens to a switch from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its connection is cut.
    Cut,
    /// It has lost all it held.
    Restart,
}

/// A node of the fleet.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) pool: String,
    pub(super) name: String,
    pub(super) datapath_id: u64,
    slow_by: Duration,
    limits: BTreeMap<TableId, u32>,
    bodies: Arc<Bodies>,
    switch: Mutex<Switch>,
    /// What the switches before had counted.
    before: Mutex<Counts>,
    ports: Mutex<BTreeMap<u32, Port>>,
    changed: Notify,
    faults: watch::Sender<(u64, Fault)>,
    /// The last thing that went wrong.
    complaint: Mutex<Option<String>>,
}

/// How late a switch reads, and how many flows its tables can hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Handicap {
    pub(super) slow_by: Duration,
    pub(super) limits: BTreeMap<TableId, u32>,
}

impl Node {
    pub(super) fn new(
        pool: &str,
        name: String,
        datapath_id: u64,
        handicap: Handicap,
        bodies: &Arc<Bodies>,
    ) -> Self {
        let Handicap { slow_by, limits } = handicap;
        let switch = new_switch(datapath_id, &limits, bodies);
        Self {
            pool: pool.to_owned(),
            name,
            datapath_id,
            slow_by,
            limits,
            bodies: bodies.clone(),
            switch: Mutex::new(switch),
            before: Mutex::default(),
            ports: Mutex::default(),
            changed: Notify::new(),
            faults: watch::Sender::new((0, Fault::Cut)),
            complaint: Mutex::default(),
        }
    }

    fn switch(&self) -> MutexGuard<'_, Switch> {
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes down what went wrong.
    pub(super) fn complain(&self, complaint: String) {
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(complaint);
    }

    /// The last thing that went wrong.
    pub(super) fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many flows its switch holds.
    pub(super) fn n_flows(&self) -> usize {
        self.switch().n_flows()
    }

    /// What its switch was asked for since the node began.
    pub(super) fn counts(&self) -> Counts {
        let (now, before) =
            (self.switch().counts(), *self.before.lock().unwrap_or_else(PoisonError::into_inner));
        Counts {
            flow_mods: now.flow_mods + before.flow_mods,
            bundles: now.bundles + before.bundles,
            packet_outs: now.packet_outs + before.packet_outs,
            errors: now.errors + before.errors,
        }
    }

    /// Gives the switch a port.
    pub(super) fn plug(&self, number: u32) {
        let port = port(self.datapath_id, number);
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).insert(number, port);
        self.switch().set_port(port);
        self.changed.notify_one();
    }

    /// Takes a port away.
    pub(super) fn unplug(&self, number: u32) {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        self.switch().remove_port(PortNo(number));
        self.changed.notify_one();
    }

    /// Does that to its switch.
    pub(super) fn suffer(&self, fault: Fault) {
        self.faults.send_modify(|(n, last)| {
            *n += 1;
            *last = fault;
        });
    }

    fn restart(&self) {
        let counts = self.counts();
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        let mut switch = new_switch(self.datapath_id, &self.limits, &self.bodies);
        for port in self.ports.lock().unwrap_or_else(PoisonError::into_inner).values() {
            switch.set_port(*port);
        }
        *self.switch() = switch;
    }

    /// Keeps its switch connected to the controller for ever.
    pub(super) async fn connect(self: Arc<Self>, address: std::net::SocketAddr) {
        let mut faults = self.faults.subscribe();
        let mut pause = Pause::new();
        loop {
            let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
            if let Ok(Ok(stream)) = stream {
                pause.reset();
                let id = self.switch().connect(Instant::now());
                let fault = tokio::select! {
                    ended = self.carry(id, stream) => {
                        self.complain(format!("switch: the connection ended: {ended:?}"));
                        None
                    }
                    Ok(()) = faults.changed() => Some(faults.borrow_and_update().1),
                };
                match fault {
                    Some(Fault::Restart) => self.restart(),
                    Some(Fault::Cut) | None => self.switch().disconnect(id),
                }
            }
            pause.wait().await;
        }
    }

    /// Carries bytes between the switch and the controller until either closes.
    async fn carry(&self, id: ConnectionId, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        loop {
            self.flush(id, &mut writer).await?;
            let timeout = self.switch().poll_timeout().unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                ready = reader.readable() => {
                    ready?;
                    if !self.slow_by.is_zero() {
                        tokio::time::sleep(self.slow_by).await;
                    }
                    self.read(id, &reader)?;
                }
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(timeout.into()) => self.switch().handle_timeout(Instant::now()),
            }
            if self.switch().is_closed(id) {
                return self.flush(id, &mut writer).await;
            }
        }
    }

    async fn flush(&self, id: ConnectionId, writer: &mut OwnedWriteHalf) -> io::Result<()> {
        loop {
            let Some(bytes) = self.switch().poll_transmit(id) else { return Ok(()) };
            writer.write_all(&bytes).await?;
        }
    }

    /// Takes what has come. The buffer lives on the stack: one a node would be the largest thing that a node has.
    fn read(&self, id: ConnectionId, reader: &OwnedReadHalf) -> io::Result<()> {
        let mut buffer = [0; 32_768];
        match reader.try_read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                self.switch().handle_bytes(Instant::now(), id, &buffer[..n]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// How often a channel that says nothing of its time-outs is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long the controller may take to let it connect, as Open vSwitch has it.
const PATIENCE: Duration = Duration::from_secs(1);

fn new_switch(datapath_id: u64, limits: &BTreeMap<TableId, u32>, bodies: &Arc<Bodies>) -> Switch {
    let config = Config {
        datapath_id: DatapathId(datapath_id),
        limits: limits.clone(),
        channel: channel::Config { idle_interval: Duration::from_secs(30), ..channel::Config::default() },
    };
    Switch::new(Instant::now(), config, bodies.clone())
}

fn port(datapath_id: u64, number: u32) -> Port {
    let [.., a, b, c] = datapath_id.to_be_bytes();
    let [.., d, e] = number.to_be_bytes();
    Port {
        port: PortNo(number),
        hw_addr: MacAddr([2, a, b, c, d, e]),
        name: FixedText::new(&format!("weir-{number}")),
        config: PortConfig::empty(),
        state: PortState::LIVE,
        current: 0,
        advertised: 0,
        supported: 0,
        peer: 0,
        current_speed_kbps: 0,
        max_speed_kbps: 0,
    }
}
