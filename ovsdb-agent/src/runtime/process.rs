//! A command running inside a container: its input, its output, its end.

use std::{io, os::unix::process::ExitStatusExt, process::Stdio};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::AbortHandle,
};

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

/// A running command. Dropping it kills the command and all that it started in its process group.
#[derive(Debug)]
pub struct Process {
    /// Its input; take it away to end that.
    pub input: Option<ProcessInput>,
    events: mpsc::Receiver<ProcessEvent>,
    group: Group,
    feeder: AbortHandle,
}

impl Process {
    /// Starts `command` in the calling thread's network namespace.
    ///
    /// The thread must be one that ends afterwards: it leaves its mount namespace too, so that the command sees its
    /// own namespace's interfaces under /sys, as with `ip netns exec`.
    ///
    /// # Errors
    /// The system's refusal; `InvalidInput` for an empty command.
    pub(super) fn start_here(command: &[String]) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty command"));
        };
        remount_sys()?;
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (sender, events) = mpsc::channel(QUEUE);
        let (input, received) = mpsc::channel(QUEUE);
        let stdin = child.stdin.take();
        let feeder = tokio::spawn(feed(stdin, received)).abort_handle();
        tokio::spawn(follow(child, sender));
        Ok(Self { input: Some(input), events, group: Group(pid), feeder })
    }

    /// The next event; `None` after the end.
    pub async fn next(&mut self) -> Option<ProcessEvent> {
        let event = self.events.recv().await;
        if matches!(event, None | Some(ProcessEvent::Exit(_))) {
            self.group.0 = None;
        }
        event
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group.0 {
            // It may have ended by itself just now.
            killpg(group, Signal::SIGKILL).ok();
        }
        // The task that follows the child stays, to collect its exit status.
        self.feeder.abort();
    }
}

/// The process group to kill; `None` once its leader has been waited for, since the number may be another's then.
#[derive(Debug)]
struct Group(Option<Pid>);

async fn feed(stdin: Option<ChildStdin>, mut received: mpsc::Receiver<Vec<u8>>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = received.recv().await {
        // The command need not read its input; then the rest of it has no reader.
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn follow(mut child: Child, events: mpsc::Sender<ProcessEvent>) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let out = pump(stdout, &events, ProcessEvent::Stdout);
    let err = pump(stderr, &events, ProcessEvent::Stderr);
    tokio::join!(out, err);
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

async fn pump(
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
const UNKNOWN: i32 = 127;

/// Pieces of input and output under way.
const QUEUE: usize = 16;

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;
