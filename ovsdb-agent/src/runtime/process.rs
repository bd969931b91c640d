//! A command running inside a container: its input, its output, its end.

use std::{fmt, io, os::unix::process::ExitStatusExt, process::Stdio};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::{mpsc, watch},
    task::AbortHandle,
};
use weir_api::v1::TerminalSize;

/// What a command says.
#[derive(Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// Some of its standard output.
    Stdout(Vec<u8>),
    /// Some of its standard error.
    Stderr(Vec<u8>),
    /// Its end, after all of its output: the exit code, or 128 + the signal that ended it.
    Exit(i32),
}

/// Where a command's input goes; once the last one is dropped the command's standard input has ended.
pub type ProcessInput = mpsc::Sender<Vec<u8>>;

/// Where the size of a command's terminal goes, of which the last is what counts; without a terminal nobody reads it.
pub type ProcessTerminal = watch::Sender<TerminalSize>;

/// A running command. Dropping it kills the command; one in a namespace also with all that it started in its process
/// group.
pub struct Process {
    /// Its input; take it away to end that.
    pub input: Option<ProcessInput>,
    /// Its terminal's size; taken away by whoever feeds the input.
    pub terminal: Option<ProcessTerminal>,
    events: mpsc::Receiver<ProcessEvent>,
    /// What kills it; `None` once it has been waited for, since its number may be another's then.
    killer: Option<Box<dyn FnOnce() + Send>>,
    feeder: AbortHandle,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("runs", &self.killer.is_some()).finish_non_exhaustive()
    }
}

impl Process {
    /// A command that was started elsewhere: where its input and its terminal's sizes go, where its output comes from,
    /// the task that feeds it, and what kills it.
    pub(super) fn new(
        input: ProcessInput,
        terminal: ProcessTerminal,
        events: mpsc::Receiver<ProcessEvent>,
        feeder: AbortHandle,
        killer: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self { input: Some(input), terminal: Some(terminal), events, killer: Some(Box::new(killer)), feeder }
    }

    /// Starts `command` in the calling thread's network namespace.
    ///
    /// The thread must be one that ends afterwards: it leaves its mount namespace too, so that the command sees its
    /// own namespace's interfaces under /sys, as with `ip netns exec`.
    ///
    /// # Errors
    /// The system's refusal; `InvalidInput` for an empty command.
    pub(super) fn start_here(command: &[String], terminal: Option<TerminalSize>) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty command"));
        };
        remount_sys()?;
        match terminal {
            Some(size) => Self::start_on_terminal(program, arguments, size),
            None => Self::start_on_pipes(program, arguments),
        }
    }

    fn start_on_pipes(program: &str, arguments: &[String]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let killer = group_killer(&child);
        let (sender, events) = mpsc::channel(QUEUE);
        let (input, received) = mpsc::channel(QUEUE);
        let feeder = tokio::spawn(feed(child.stdin.take(), received)).abort_handle();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        tokio::spawn(async move {
            let out = pump(out, &sender, ProcessEvent::Stdout);
            let err = pump(err, &sender, ProcessEvent::Stderr);
            tokio::join!(out, err);
            tell_end(child, &sender).await;
        });
        let (terminal, _) = watch::channel(TerminalSize::default());
        Ok(Self::new(input, terminal, events, feeder, killer))
    }

    /// Starts a command on a terminal of its own, of which it is the session's leader.
    fn start_on_terminal(program: &str, arguments: &[String], size: TerminalSize) -> io::Result<Self> {
        let (terminal, inside) = pty_process::open().map_err(io::Error::other)?;
        terminal.resize(pty_size(size)).map_err(io::Error::other)?;
        let command = pty_process::Command::new(program).args(arguments).current_dir("/");
        let child = command.spawn(inside).map_err(|error| match error {
            pty_process::Error::Io(error) => error,
            other => io::Error::other(other),
        })?;
        let killer = group_killer(&child);
        let (output, mut writer) = terminal.into_split();
        let (sender, events) = mpsc::channel(QUEUE);
        let (input, mut received) = mpsc::channel::<Vec<u8>>(QUEUE);
        let (sizes, mut resized) = watch::channel(size);
        let feeder = tokio::spawn(async move {
            let mut is_open = true;
            loop {
                // Both are cancel safe; writing happens outside.
                tokio::select! {
                    bytes = received.recv(), if is_open => match bytes {
                        Some(bytes) => is_open = writer.write_all(&bytes).await.is_ok(),
                        None => is_open = false,
                    },
                    changed = resized.changed() => {
                        let size = *resized.borrow_and_update();
                        match (changed, writer.resize(pty_size(size))) {
                            (Err(_), _) => return,
                            (Ok(()), Err(error)) => tracing::debug!(%error, "a terminal was not resized"),
                            _ => {}
                        }
                    }
                }
            }
        })
        .abort_handle();
        tokio::spawn(async move {
            pump(Some(output), &sender, ProcessEvent::Stdout).await;
            tell_end(child, &sender).await;
        });
        Ok(Self::new(input, sizes, events, feeder, killer))
    }

    /// The next event; `None` after the end.
    pub async fn next(&mut self) -> Option<ProcessEvent> {
        let event = self.events.recv().await;
        if matches!(event, None | Some(ProcessEvent::Exit(_))) {
            self.killer = None;
        }
        event
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(kill) = self.killer.take() {
            kill();
        }
        // The task that follows the child stays, to collect its exit status.
        self.feeder.abort();
    }
}

/// What kills a child and its process group.
fn group_killer(child: &Child) -> impl FnOnce() + Send + use<> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    move || {
        // It may have ended by itself just now.
        group.map(|group| killpg(group, Signal::SIGKILL).ok());
    }
}

fn pty_size(size: TerminalSize) -> pty_process::Size {
    let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
    pty_process::Size::new(side(size.rows), side(size.columns))
}

async fn feed(stdin: Option<ChildStdin>, mut received: mpsc::Receiver<Vec<u8>>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = received.recv().await {
        // The command need not read its input; then the rest of it has no reader.
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Waits for a child's end and tells it.
async fn tell_end(mut child: Child, events: &mpsc::Sender<ProcessEvent>) {
    let code = match child.wait().await {
        Ok(status) => status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(UNKNOWN),
        Err(error) => {
            tracing::warn!(%error, "cannot learn how a command ended");
            UNKNOWN
        }
    };
    // Nobody listens any more if the process was dropped.
    events.send(ProcessEvent::Exit(code)).await.ok();
}

/// Passes on all that is put out, until it ends or nobody listens.
pub(super) async fn pump(
    from: Option<impl tokio::io::AsyncRead + Unpin>,
    events: &mpsc::Sender<ProcessEvent>,
    wrap: fn(Vec<u8>) -> ProcessEvent,
) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..length) else { return };
        if events.send(wrap(bytes.to_vec())).await.is_err() {
            return;
        }
    }
}

/// Gives the calling thread a mount namespace of its own in which /sys shows its network namespace.
fn remount_sys() -> io::Result<()> {
    const NOTHING: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(Some(""), "/", Some("none"), MsFlags::MS_SLAVE | MsFlags::MS_REC, NOTHING)?;
    // Some systems have no /sys of their own to take away.
    umount2("/sys", MntFlags::MNT_DETACH).ok();
    match mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), NOTHING) {
        Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Exit code where the system did not say: as a shell has it for a command that could not be waited for.
pub(super) const UNKNOWN: i32 = 127;

/// Pieces of input and output under way.
pub(super) const QUEUE: usize = 16;

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;
