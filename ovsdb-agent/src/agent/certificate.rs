//! The node's certificate, as the agent uses it: for the controller, and for ovs-vswitchd.

use tokio::{sync::watch, task::JoinSet};

use super::AgentError;
use crate::{
    bridge,
    config::{Config, ControllerAddress},
    credentials::{Credentials, Current},
    enrol,
};

/// The node's key and certificate, if it has joined.
pub(super) fn joined(config: &Config) -> Result<Option<Current>, AgentError> {
    let current = Credentials::of(&config.state_dir).current()?;
    let wants_tls = matches!(config.controller, ControllerAddress::Https(_));
    match &current {
        None if wants_tls => Err(AgentError::NotJoined("this node has not joined".to_owned())),
        Some(Current { about, .. }) if (&about.pool, &about.node) != (&config.pool, &config.name) => {
            let (pool, node) = (&about.pool, &about.node);
            Err(AgentError::NotJoined(format!("this node has joined the pool `{pool}` as `{node}`")))
        }
        _ => Ok(current),
    }
}

/// Starts the task that renews the node's certificate.
pub(super) fn keep_credentials(
    config: &Config,
    current: Current,
    tasks: &mut JoinSet<&'static str>,
) -> watch::Receiver<Current> {
    let (renewed, credentials) = watch::channel(current);
    let kept = Credentials::of(&config.state_dir);
    // By any other way nobody is asked who it is.
    if let ControllerAddress::Https(controller) = config.controller.clone() {
        tasks.spawn(async move {
            enrol::keep(controller, kept, renewed).await;
            "the keeper of the node's certificate"
        });
    } else {
        tracing::warn!(
            not_after = ?current_end(&credentials),
            "the node has joined, but its controller's address is not https://: its certificate is not renewed"
        );
    }
    credentials
}

fn current_end(credentials: &watch::Receiver<Current>) -> std::time::SystemTime {
    credentials.borrow().about.not_after
}

/// The node's key and certificate, when there are others.
pub(super) async fn renewed(credentials: &mut Option<watch::Receiver<Current>>) -> Option<Current> {
    let credentials = credentials.as_mut()?;
    credentials.changed().await.ok()?;
    Some(credentials.borrow_and_update().clone())
}

pub(super) fn ssl_files(current: &Current) -> bridge::SslFiles {
    // ovs-vswitchd has a working directory of its own.
    let text = |path: std::path::PathBuf| std::path::absolute(&path).unwrap_or(path).display().to_string();
    bridge::SslFiles {
        private_key: text(current.key()),
        certificate: text(current.certificate()),
        ca_cert: text(current.authority()),
    }
}
