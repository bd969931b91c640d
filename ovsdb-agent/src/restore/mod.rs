//! The node's last table, kept on disk and given back when ovs-vswitchd has lost it.
//!
//! ovs-vswitchd keeps flows, groups and meters only in memory. This room holds a connection to br-int's management
//! socket; that it ends is how a restart is noticed, and the first thing done on a new one is to give back what is
//! missing. The controller is not needed for that, and is not in the way: whoever comes first wins as a whole.
//!
//! ```text
//!  agent ──SaveHandle::request──▶ Restorer ──snapshot, replay──▶ mgmt ──OpenFlow──▶ br-int.mgmt
//!    ◀────────── Event ───────────   │
//!                                    └──▶ file (checked, replaced as a whole)
//! ```
//!
//! What the ledger is: one flow for each segment of flows in table 62, with the segment's digest in its actions. A row
//! whose digest is 0 claims nothing: its segment is being changed, or the switch refuses some of it. Rows are all that is
//! understood of the table here.

pub mod file;
pub mod mgmt;
pub mod replay;
pub mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use crate::restore::file::FileError;
use crate::restore::mgmt::{Management, MgmtError};
use crate::restore::replay::{Replayed, replay};
use crate::restore::snapshot::{Snapshot, Taken, take};

/// Where things are.
#[derive(Debug, Clone)]
pub struct Config {
    /// br-int's management socket: `br-int.mgmt` in ovs-vswitchd's run directory.
    pub socket: PathBuf,
    /// The file that holds the table; its directory must exist.
    pub file: PathBuf,
    /// How long the switch may take for one answer.
    pub patience: Duration,
}

/// What happened; for logs and status, nothing waits for it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The switch answers on its management socket.
    Connected,
    /// It does not any more.
    Lost(MgmtError),
    /// The switch's table was empty and has been given back.
    Replayed {
        /// Flows, ledger rows included.
        n_flows: usize,
        /// From the socket's first answer to the commit.
        took: Duration,
    },
    /// The table was empty, but was not given back, and why; that the controller was first is no fault.
    NotReplayed(NotReplayed),
    /// The table is on disk.
    Saved {
        /// Flows, ledger rows included.
        n_flows: usize,
    },
    /// A save was asked for, but what the switch held then is not worth keeping; the file stays as it was.
    NotSaved(&'static str),
    /// The file could not be written.
    SaveFailed(FileError),
}

/// Why an empty table stays as it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotReplayed {
    /// There is no file yet.
    NothingSaved,
    /// The file is torn or of another format; the next save replaces it.
    BadFile(FileError),
    /// The file is of another bridge: the node has been given another name.
    OtherBridge,
    /// The controller was first.
    ControllerFirst,
    /// The switch refused.
    Refused(String),
}

/// Asks for the table to be saved. Requests that come while one is carried out become one more.
#[derive(Debug, Clone)]
pub struct SaveHandle(Arc<Notify>);

impl SaveHandle {
    /// Saves the table as soon as the switch is there and its table is whole.
    pub fn request(&self) {
        self.0.notify_one();
    }
}

/// Keeps the table.
#[derive(Debug)]
pub struct Restorer {
    config: Config,
    saves: Arc<Notify>,
    /// What is on disk, as far as known: a save that would write the same is left out.
    saved: Option<Snapshot>,
}

impl Restorer {
    /// A keeper that has not begun, and the handle by which it is asked to save.
    pub fn new(config: Config) -> (Self, SaveHandle) {
        let saves = Arc::new(Notify::new());
        (Self { config, saves: saves.clone(), saved: None }, SaveHandle(saves))
    }

    /// Runs until it is dropped.
    ///
    /// Events for which there is no room in the channel are lost.
    pub async fn run(mut self, events: mpsc::Sender<Event>) {
        let mut backoff = MIN_BACKOFF;
        let mut was_connected = false;
        loop {
            let begun = Instant::now();
            let mut max_backoff = MAX_BACKOFF;
            match Management::connect(&self.config.socket, self.config.patience).await {
                Ok(management) => {
                    was_connected = true;
                    tell(&events, Event::Connected);
                    let error = self.attend(management, &events).await;
                    tell(&events, Event::Lost(error));
                    if begun.elapsed() >= SETTLED {
                        backoff = MIN_BACKOFF;
                    }
                    max_backoff = SETTLED;
                }
                Err(error) if was_connected => {
                    was_connected = false;
                    tracing::info!(%error, "switch does not answer on its management socket");
                }
                Err(_) => {}
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(max_backoff);
        }
    }

    /// One connection: gives back, then saves whenever asked. Ends with the connection.
    async fn attend(&mut self, mut management: Management, events: &mpsc::Sender<Event>) -> MgmtError {
        match self.give_back(&mut management).await {
            Ok(Some(event)) => tell(events, event),
            Ok(None) => {}
            Err(error) => return error,
        }
        let saves = self.saves.clone();
        loop {
            // Cancel safe: a notification that is not taken stays for the next wait, and idle loses no bytes.
            tokio::select! {
                error = management.idle() => return error,
                () = saves.notified() => match self.save(&mut management).await {
                    Ok(event) => tell(events, event),
                    Err(error) => {
                        // The request outlives the connection.
                        saves.notify_one();
                        return error;
                    }
                },
            }
        }
    }

    /// Gives the table back if the switch has none.
    async fn give_back(&mut self, management: &mut Management) -> Result<Option<Event>, MgmtError> {
        let begun = Instant::now();
        if !management.ledger().await?.is_empty() {
            return Ok(None);
        }
        let file = self.config.file.clone();
        let snapshot = match in_thread(move || file::read(&file)).await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Ok(Some(Event::NotReplayed(NotReplayed::NothingSaved))),
            Err(error) => return Ok(Some(Event::NotReplayed(NotReplayed::BadFile(error)))),
        };
        if management.datapath_id().await? != snapshot.datapath_id {
            return Ok(Some(Event::NotReplayed(NotReplayed::OtherBridge)));
        }
        let replayed = replay(management, &snapshot).await?;
        let n_flows = snapshot.flows.len();
        self.saved = Some(snapshot);
        Ok(Some(match replayed {
            Replayed::Done => Event::Replayed { n_flows, took: begun.elapsed() },
            Replayed::ControllerFirst => Event::NotReplayed(NotReplayed::ControllerFirst),
            Replayed::Refused(error) => Event::NotReplayed(NotReplayed::Refused(error.to_string())),
        }))
    }

    async fn save(&mut self, management: &mut Management) -> Result<Event, MgmtError> {
        let snapshot = match take(management).await? {
            Taken::Whole(snapshot) => snapshot,
            Taken::Not(why) => return Ok(Event::NotSaved(why)),
        };
        let n_flows = snapshot.flows.len();
        let is_there = matches!(tokio::fs::try_exists(&self.config.file).await, Ok(true));
        if is_there && self.saved.as_ref() == Some(&snapshot) {
            return Ok(Event::Saved { n_flows });
        }
        let file = self.config.file.clone();
        let (written, snapshot) = in_thread(move || (file::write(&file, &snapshot), snapshot)).await;
        Ok(match written {
            Ok(()) => {
                self.saved = Some(snapshot);
                Event::Saved { n_flows }
            }
            Err(error) => {
                self.saved = None;
                Event::SaveFailed(error)
            }
        })
    }
}

/// Says it in the log and to whoever listens.
fn tell(events: &mpsc::Sender<Event>, event: Event) {
    match &event {
        Event::Replayed { n_flows, took } => tracing::info!(n_flows, ?took, "table given back to the switch"),
        Event::NotReplayed(NotReplayed::NothingSaved | NotReplayed::ControllerFirst) => {
            tracing::debug!(?event, "table not given back");
        }
        Event::NotReplayed(why) => tracing::warn!(?why, "table not given back"),
        Event::SaveFailed(error) => tracing::warn!(%error, "table not saved"),
        Event::Lost(error) => tracing::info!(%error, "switch gone from its management socket"),
        Event::Connected | Event::Saved { .. } | Event::NotSaved(_) => {
            tracing::debug!(?event, "table keeper")
        }
    }
    if let Err(error) = events.try_send(event) {
        tracing::trace!(%error, "table keeper's event not taken");
    }
}

/// Runs what waits for the disk on a thread that may wait.
async fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// An attempt to connect to a socket that nobody listens on costs microseconds, and a node without flows cuts off its
/// containers: so attempts are frequent.
const MIN_BACKOFF: Duration = Duration::from_millis(2);
const MAX_BACKOFF: Duration = Duration::from_millis(50);
/// A connection that lasted as long was sound. One that breaks sooner, again and again, is tried again ever more seldom,
/// down to once in this time.
const SETTLED: Duration = Duration::from_secs(1);
