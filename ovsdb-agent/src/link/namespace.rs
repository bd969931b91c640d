//! Named network namespaces, kept as `ip netns` keeps them: a bind mount of the namespace's file under `/run/netns`.
//!
//! A thread that has entered another namespace must never go back to work for anybody else, so everything that must
//! happen inside one happens in a thread of its own, which ends afterwards.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::statfs::{NSFS_MAGIC, fstatfs},
};
use tokio::sync::oneshot;

use super::{LinkError, Links};

/// The directory in which namespaces have their names.
#[derive(Clone, Debug)]
pub struct Namespaces {
    directory: PathBuf,
    /// One that is empty and has no name yet: making it takes a millisecond or two, naming it none.
    spare: Arc<Mutex<Option<Nameless>>>,
}

/// A network namespace without a name; it goes with this value.
#[derive(Debug)]
struct Nameless {
    file: File,
    links: Links,
}

/// One existing network namespace; it lives at least as long as this value.
#[derive(Clone, Debug)]
pub struct Namespace {
    path: PathBuf,
    file: Arc<File>,
}

/// A namespace that is there now.
#[derive(Clone, Debug)]
pub struct Created {
    /// The namespace.
    pub namespace: Namespace,
    /// A connection into it.
    pub links: Links,
    /// It was not there before, so it is empty.
    pub is_new: bool,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self { directory: PathBuf::from("/run/netns"), spare: Arc::default() }
    }
}

impl Namespaces {
    /// Makes a namespace, or opens the one there is, and connects to it.
    ///
    /// A name without a namespace behind it, left by a creation that was cut short, is taken over.
    ///
    /// # Errors
    /// The system's refusal, for example without CAP_SYS_ADMIN.
    pub async fn create(&self, name: &str) -> Result<Created, LinkError> {
        if let Some(namespace) = self.open(name)? {
            let links = namespace.connect().await?;
            return Ok(Created { namespace, links, is_new: false });
        }
        let path = self.directory.join(name);
        self.prepare_directory()?;
        File::create(&path).map_err(LinkError::namespace("create", &path))?;
        let failed = LinkError::namespace("make the namespace", &path);
        let made = match self.take_spare() {
            Some(spare) => Ok(spare),
            None => make_nameless().await,
        };
        let links = made.and_then(|made| made.name(&path)).map_err(failed)?;
        let namespace = self.open(name)?.ok_or_else(|| vanished(&path))?;
        Ok(Created { namespace, links, is_new: true })
    }

    /// Gives the namespace of the file `source` a name here, in place of whatever bore it before.
    ///
    /// # Errors
    /// The system's refusal; that there is no namespace behind `source`.
    pub async fn adopt(&self, name: &str, source: &Path) -> Result<Created, LinkError> {
        let path = self.directory.join(name);
        let wanted = fs::metadata(source).map_err(LinkError::namespace("open", source))?;
        let own =
            fs::metadata("/proc/self/ns/net").map_err(LinkError::namespace("open", "/proc/self/ns/net"))?;
        if (own.dev(), own.ino()) == (wanted.dev(), wanted.ino()) {
            // Of a process that has ended, and whose number another bears now.
            return Err(LinkError::namespace("name", source)(io::Error::other(
                "it is the host's own namespace",
            )));
        }
        if let Some(namespace) = self.open(name)? {
            let present = namespace.file.metadata().map_err(LinkError::namespace("open", &path))?;
            if (present.dev(), present.ino()) == (wanted.dev(), wanted.ino()) {
                let links = namespace.connect().await?;
                return Ok(Created { namespace, links, is_new: false });
            }
        }
        self.remove(name)?;
        self.prepare_directory()?;
        File::create(&path).map_err(LinkError::namespace("create", &path))?;
        mount(Some(source), &path, NOTHING, MsFlags::MS_BIND, NOTHING)
            .map_err(|error| LinkError::namespace("name", &path)(error.into()))?;
        let namespace = self.open(name)?.ok_or_else(|| vanished(source))?;
        let links = namespace.connect().await?;
        Ok(Created { namespace, links, is_new: true })
    }

    /// Makes a namespace for the next [`Namespaces::create`], if there is none.
    ///
    /// # Errors
    /// The system's refusal.
    pub async fn make_spare(&self) -> Result<(), LinkError> {
        if self.spare().is_none() {
            let made = make_nameless()
                .await
                .map_err(LinkError::namespace("make a namespace in", &self.directory))?;
            *self.spare() = Some(made);
        }
        Ok(())
    }

    fn take_spare(&self) -> Option<Nameless> {
        self.spare().take()
    }

    fn spare(&self) -> MutexGuard<'_, Option<Nameless>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a namespace; `None` if there is none of this name.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn open(&self, name: &str) -> Result<Option<Namespace>, LinkError> {
        let path = self.directory.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LinkError::namespace("open", path)(error)),
        };
        let filesystem =
            fstatfs(&file).map_err(io::Error::from).map_err(LinkError::namespace("open", &path))?;
        if filesystem.filesystem_type() != NSFS_MAGIC {
            return Ok(None);
        }
        Ok(Some(Namespace { path, file: Arc::new(file) }))
    }

    /// Takes a namespace's name away; true if there was one. The namespace itself ends with its last process.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn remove(&self, name: &str) -> Result<bool, LinkError> {
        let path = self.directory.join(name);
        loop {
            match umount2(&path, MntFlags::MNT_DETACH) {
                // A name may carry several mounts, one on another.
                Ok(()) => {}
                Err(nix::Error::EINVAL | nix::Error::ENOENT) => break,
                Err(error) => return Err(LinkError::namespace("unmount", path)(error.into())),
            }
        }
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(LinkError::namespace("remove", path)(error)),
        }
    }

    /// The names that begin with `prefix`, also those without a namespace behind them.
    ///
    /// # Errors
    /// The system's refusal; that the directory does not exist is none.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>, LinkError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(LinkError::namespace("list", &self.directory)(error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    /// Makes the directory a shared mount, as ip-netns(8) does: else a namespace that is deleted stays alive in the
    /// mount namespaces of processes started before.
    fn prepare_directory(&self) -> Result<(), LinkError> {
        let directory = &self.directory;
        fs::create_dir_all(directory).map_err(LinkError::namespace("create", directory))?;
        let failed = |error: nix::Error| LinkError::namespace("share", directory)(error.into());
        match remount(directory, MsFlags::MS_SHARED) {
            Ok(()) => Ok(()),
            Err(nix::Error::EINVAL) => {
                mount(Some(directory), directory, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)
                    .map_err(failed)?;
                remount(directory, MsFlags::MS_SHARED).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Namespace {
    /// Opens an rtnetlink connection in the namespace.
    ///
    /// # Errors
    /// The system's refusal.
    pub async fn connect(&self) -> Result<Links, LinkError> {
        self.run(Links::open).await?.map_err(LinkError::namespace("connect to", &self.path))
    }

    /// The file descriptor to name the namespace by in a request to the kernel.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Runs `work` in a thread inside the namespace and gives back its result; tokio's context is there too.
    ///
    /// # Errors
    /// The system's refusal to start the thread or to enter the namespace.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LinkError> {
        let file = self.file.clone();
        let inside = in_thread(move || {
            setns(&*file, CloneFlags::CLONE_NEWNET)?;
            Ok::<T, io::Error>(work())
        });
        inside.await.and_then(|result| result).map_err(LinkError::namespace("enter", &self.path))
    }
}

/// Runs `work` in a new thread, within the context of the present runtime, and waits for its result.
async fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name("netns".to_owned()).spawn(move || {
        let _context = runtime.enter();
        // The receiver is gone only if whoever asked has been cancelled.
        sender.send(work()).ok();
    })?;
    receiver.await.map_err(|_| io::Error::other("the thread ended without a result"))
}

impl Nameless {
    /// Gives it a name; back comes the connection into it.
    fn name(self, target: &Path) -> io::Result<Links> {
        let source = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        mount(Some(source.as_str()), target, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        Ok(self.links)
    }
}

async fn make_nameless() -> io::Result<Nameless> {
    let made = in_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(Nameless { file: File::open("/proc/thread-self/ns/net")?, links: Links::open()? })
    });
    made.await.and_then(|made| made)
}

fn remount(directory: &Path, flags: MsFlags) -> nix::Result<()> {
    mount(Some(""), directory, Some("none"), flags | MsFlags::MS_REC, NOTHING)
}

fn vanished(path: &Path) -> LinkError {
    LinkError::namespace("open", path)(io::ErrorKind::NotFound.into())
}

const NOTHING: Option<&str> = None;
