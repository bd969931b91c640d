//! What labs on one machine share: which there are, and the kernel settings they raised.
//!
//! The record is `/run/weir-lab/registry.json`, changed only under a lock on that directory. The kernel's neighbour
//! table is one for all network namespaces; its limits are raised by the first lab and put back by the last.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::process::ProcessId;

/// A lab that is up, or was when its supervisor was killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The lab's name.
    pub name: String,
    /// The lab's directory.
    pub dir: PathBuf,
    /// Its supervisor.
    pub supervisor: ProcessId,
}

#[derive(Default, Serialize, Deserialize)]
struct Record {
    labs: Vec<Entry>,
    /// Kernel settings as they were before the first lab, and what they were raised to.
    raised: BTreeMap<String, Raised>,
}

#[derive(Serialize, Deserialize)]
struct Raised {
    before: u64,
    to: u64,
}

/// The labs there are, in the order in which they came up.
///
/// # Errors
/// If the record cannot be read.
pub fn labs() -> anyhow::Result<Vec<Entry>> {
    if !Path::new(FOLDER).exists() {
        return Ok(Vec::new());
    }
    Ok(Locked::open()?.record.labs)
}

/// Finds a lab by name, or the only one there is.
///
/// # Errors
/// If there is none of that name, or no name was given and there is not exactly one lab.
pub fn find(name: Option<&str>) -> anyhow::Result<Entry> {
    let labs = labs()?;
    let names = labs.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, &labs[..]) {
        (_, []) => bail!("no lab is up: start one with `weir-lab up FILE`"),
        (None, [only]) => Ok(only.clone()),
        (None, _) => bail!("several labs are up: choose one with --lab ({names})"),
        (Some(name), labs) => {
            let found = labs.iter().find(|l| l.name == name).cloned();
            found.with_context(|| format!("there is no lab `{name}`: there are {names}"))
        }
    }
}

/// Enters a lab and raises the kernel's settings if it is the first.
///
/// # Errors
/// If the name is taken, or a setting cannot be raised.
pub(crate) fn enter(entry: Entry) -> anyhow::Result<()> {
    let mut locked = Locked::open()?;
    if let Some(other) = locked.record.labs.iter().find(|l| l.name == entry.name) {
        bail!("there is a lab `{}` already, in {}", other.name, other.dir.display());
    }
    locked.record.labs.push(entry);
    for (setting, to) in SETTINGS {
        let before = read_setting(setting)?;
        if before < to {
            locked.record.raised.entry(setting.to_owned()).or_insert(Raised { before, to });
        }
    }
    // Written down first: whatever happens next, what was raised can be put back.
    locked.save()?;
    locked.record.raised.iter().try_for_each(|(setting, raised)| write_setting(setting, raised.to))
}

/// Takes a lab out, and puts the kernel's settings back if it was the last.
///
/// # Errors
/// If a setting cannot be put back.
pub(crate) fn leave(name: &str) -> anyhow::Result<()> {
    let mut locked = Locked::open()?;
    locked.record.labs.retain(|l| l.name != name);
    if !locked.record.labs.is_empty() {
        return locked.save();
    }
    for (setting, raised) in &locked.record.raised {
        // Someone else's later change stays.
        if read_setting(setting)? == raised.to {
            write_setting(setting, raised.before)?;
        }
    }
    locked.remove()
}

fn read_setting(setting: &str) -> anyhow::Result<u64> {
    let path = Path::new("/proc/sys").join(setting);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.trim().parse().with_context(|| format!("{} is no number", path.display()))
}

fn write_setting(setting: &str, value: u64) -> anyhow::Result<()> {
    let path = Path::new("/proc/sys").join(setting);
    std::fs::write(&path, value.to_string())
        .with_context(|| format!("cannot set {} to {value}", path.display()))
}

/// The record, while nobody else can change it.
struct Locked {
    record: Record,
    _lock: Flock<File>,
}

impl Locked {
    fn open() -> anyhow::Result<Locked> {
        loop {
            std::fs::create_dir_all(FOLDER).with_context(|| format!("cannot make {FOLDER}"))?;
            let folder = File::open(FOLDER).with_context(|| format!("cannot open {FOLDER}"))?;
            let lock = Flock::lock(folder, FlockArg::LockExclusive)
                .map_err(|(_, errno)| errno)
                .with_context(|| format!("cannot lock {FOLDER}"))?;
            // The last lab removes the folder; a lock on one that is gone guards nothing.
            let same = std::fs::metadata(FOLDER)
                .is_ok_and(|now| lock.metadata().is_ok_and(|l| l.ino() == now.ino()));
            if same {
                return Ok(Locked { record: read_record()?, _lock: lock });
            }
        }
    }

    fn save(&self) -> anyhow::Result<()> {
        let (path, new) = (Path::new(FOLDER).join(RECORD), Path::new(FOLDER).join("new"));
        std::fs::write(&new, serde_json::to_vec_pretty(&self.record)?)
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(FOLDER).with_context(|| format!("cannot remove {FOLDER}"))
    }
}

fn read_record() -> anyhow::Result<Record> {
    let path = Path::new(FOLDER).join(RECORD);
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

const FOLDER: &str = "/run/weir-lab";
const RECORD: &str = "registry.json";
/// Settings that count for all namespaces together, and what a lab with hundreds of endpoints needs, arp(7).
const SETTINGS: [(&str, u64); 3] = [
    ("net/ipv4/neigh/default/gc_thresh1", 8192),
    ("net/ipv4/neigh/default/gc_thresh2", 16384),
    ("net/ipv4/neigh/default/gc_thresh3", 32768),
];
