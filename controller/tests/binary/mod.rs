//! The real `weir-controller`, as a process.

#![allow(dead_code, missing_docs, unreachable_pub)] // Each test file uses its own part of this.
#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tonic::transport::Channel;

use crate::support::{PATIENCE, connect};

pub const BINARY: &str = env!("CARGO_BIN_EXE_weir-controller");

/// A running controller; killed when dropped.
pub struct Controller {
    pub child: Child,
    socket: PathBuf,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Controller {
    pub async fn start(dir: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["--data-dir".as_ref(), dir.as_os_str()]);
        Self::start_as(command, dir).await
    }

    /// With what is added to the command: where it listens for gRPC, and for switches unless the command says it.
    pub async fn start_as(mut command: Command, dir: &Path) -> Self {
        let socket = dir.join("api.sock");
        if !command.get_args().any(|arg| arg == "--openflow") {
            command.args(["--openflow", "127.0.0.1:0"]).stderr(Stdio::null());
        }
        let child = command.arg(format!("--listen=unix:{}", socket.display())).spawn().unwrap();
        let mut controller = Self { child, socket };
        controller.wait_until_served().await;
        controller
    }

    /// The socket file may be one of the process before, so it must answer.
    async fn wait_until_served(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while std::os::unix::net::UnixStream::connect(&self.socket).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended");
            assert!(Instant::now() < deadline, "it does not listen");
            tick.tick().await;
        }
    }

    pub async fn channel(&self) -> Channel {
        connect(&self.socket).await
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
