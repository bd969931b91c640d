//! The controller that is measured: a process of its own, which can be killed and started again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tonic::transport::Channel;

use super::figures::Usage;
use crate::process::find_executable;

/// A controller with a store of its own, on loopback.
#[derive(Debug)]
pub(super) struct Controller {
    program: PathBuf,
    dir: TempDir,
    api: SocketAddr,
    openflow: SocketAddr,
    child: Option<Child>,
    /// What the processes before this one used.
    before: Usage,
}

impl Controller {
    /// Starts one; it is killed when this is dropped.
    ///
    /// # Errors
    /// If it is not built, or does not start.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let mut controller = Self {
            program: find_executable("weir-controller")?,
            dir: TempDir::new()?,
            api: free_address()?,
            openflow: free_address()?,
            child: None,
            before: Usage::default(),
        };
        controller.launch().await?;
        Ok(controller)
    }

    /// Where its API is.
    pub(super) fn server(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Starts it again, after [`Controller::kill`].
    ///
    /// # Errors
    /// If it does not start.
    pub(super) async fn launch(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log"))?;
        let child = Command::new(&self.program)
            .arg(format!("--listen={}", self.api))
            .arg(format!("--openflow={}", self.openflow))
            .arg(format!("--data-dir={}", self.dir.path().join("data").display()))
            .arg("--log=warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        let patience = tokio::time::Instant::now() + PATIENCE;
        let mut poll = tokio::time::interval(Duration::from_millis(5));
        while std::net::TcpStream::connect(self.api).is_err() {
            if self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some())) {
                bail!("weir-controller ended: {}", self.log());
            }
            if tokio::time::Instant::now() > patience {
                bail!("weir-controller does not listen: {}", self.log());
            }
            poll.tick().await;
        }
        Ok(())
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// If it has ended by itself.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.before = self.usage();
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(status) = child.try_wait()? {
            bail!("weir-controller ended by itself ({status}): {}", self.log());
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// What it has used since [`Controller::start`].
    pub(super) fn usage(&self) -> Usage {
        let now = self.child.as_ref().map(|child| Usage::of(&child.id().to_string())).unwrap_or_default();
        self.before.and(now)
    }

    /// What it last said.
    pub(super) fn log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// A connection to its API.
    ///
    /// # Errors
    /// If it does not answer.
    pub(super) async fn channel(&self) -> anyhow::Result<Channel> {
        crate::api::connect(&self.server()).await
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address that was free a moment ago, and stays the same when the controller is started again.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
