//! `weir-agent registry-proxy`: a pool's pull-through cache, a process of its own on a host that reaches the upstream registry.
//!
//! ```text
//!  dockerd ──▶ agent's loopback ──▶ front ──▶ docker-registry (cache) ──▶ uplink ──▶ upstream registry
//!                                    │             ▲     │ log              │
//!                          why there is nothing   started, asked,   each blob once, time limits,
//!                                                   restarted        room for it, who asks
//! ```
//!
//! The cache is the CNCF registry, as it is packaged; this room configures it, keeps it running, and stands between it and the
//! upstream, since by itself it fetches a blob anew for each repository, and for every request that comes before it has all of
//! it, its own included; and between nodes and it, since it does not say why it has nothing.
//!
//! | file | is for |
//! |---|---|
//! | `options.rs` | the command line |
//! | `settings.rs` | the registry's configuration |
//! | `supervise.rs` | starting it, asking how it is, ending it |
//! | `journal.rs` | what it logs |
//! | `front.rs` | the port that nodes ask |
//! | `uplink.rs` | the way to the upstream |
//! | `keys.rs` | who asks there |
//! | `spool.rs` | a blob that is being fetched, for all who want it |
//! | `room.rs` | room on the disk for it |
//! | `check.rs` | whether what it has delivered is what its digest says |
//! | `http.rs` | what front and uplink have in common |

mod check;
mod front;
mod http;
mod journal;
mod keys;
mod options;
mod room;
mod settings;
mod spool;
mod supervise;
mod uplink;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;

pub use self::options::Options;
use self::{
    front::{Front, Trouble},
    keys::Keys,
    room::Room,
    spool::Spools,
    uplink::Uplink,
};

/// Runs the cache until `stop` is cancelled; what it has stays.
///
/// # Errors
/// Only what no retry can mend: folders that cannot be made, no registry installed, a port that somebody else has.
pub async fn run(options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let folders = Folders::make(&options.storage)?;
    let keys = Keys::read(options.credentials.as_deref())?;
    let (trouble, room) = (Trouble::default(), Room::of(folders.cache.clone()));
    let client = reqwest::Client::builder().unix_socket(folders.socket.as_path()).build()?;
    let _front = Front::open(options.listen, client.clone(), room.clone(), trouble.clone()).await?;
    let uplink =
        Uplink::open(&options.upstream, keys, Spools::new(folders.spool.clone(), room, trouble)).await?;
    let (checks, delivered) = check::channel();
    tokio::spawn(check::run(delivered, folders.cache.clone()));
    let settings = settings::write(&options, &folders, uplink.address())?;
    tracing::info!(upstream = %options.upstream, listen = %options.listen, storage = %options.storage.display(), "registry proxy");
    supervise::run((&options.program, &settings), &client, &checks, &stop).await
}

/// Where things are in the storage folder.
struct Folders {
    /// The registry's own.
    cache: PathBuf,
    /// Blobs on their way.
    spool: PathBuf,
    /// Its configuration.
    settings: PathBuf,
    /// Where it listens.
    socket: PathBuf,
}

impl Folders {
    fn make(storage: &Path) -> anyhow::Result<Self> {
        let folders = Self {
            cache: storage.join("cache"),
            spool: storage.join("spool"),
            settings: storage.join("registry.yml"),
            socket: storage.join("registry.sock"),
        };
        let too_long = folders.socket.as_os_str().len() > MAX_SOCKET;
        ensure!(
            !too_long,
            "{} is too long a path: a socket's has {MAX_SOCKET} bytes",
            folders.socket.display()
        );
        // What was on its way when the last one was killed is of no use.
        match std::fs::remove_dir_all(&folders.spool) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot empty {}", folders.spool.display()))
            }
            _ => [&folders.cache, &folders.spool].into_iter().try_for_each(|folder| {
                std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
            }),
        }?;
        Ok(folders)
    }
}

/// Source: unix(7).
const MAX_SOCKET: usize = 107;
