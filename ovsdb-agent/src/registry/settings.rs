//! The registry's configuration.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use super::{Folders, Options};

/// Writes the configuration of a registry that fetches from `remote`, and says where it is.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(options: &Options, folders: &Folders, remote: SocketAddr) -> anyhow::Result<PathBuf> {
    let path = folders.settings.clone();
    // What is JSON is YAML too.
    let text = serde_json::to_vec_pretty(&settings(options, folders, remote))?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Without a cache of descriptors: what is removed from its folder is gone for it too.
///
/// Source: the registry's documentation, "Configuring a registry".
fn settings(options: &Options, folders: &Folders, remote: SocketAddr) -> Value {
    json!({
        "version": "0.1",
        "log": { "level": "info", "formatter": "json", "accesslog": { "disabled": true } },
        "storage": {
            "filesystem": { "rootdirectory": folders.cache },
            "delete": { "enabled": true },
            // What has not come to its end is left behind otherwise.
            "maintenance": { "uploadpurging": { "enabled": true, "age": "24h", "interval": "1h", "dryrun": false } },
        },
        "http": { "net": "unix", "addr": folders.socket },
        "proxy": { "remoteurl": format!("http://{remote}"), "ttl": format!("{}h", options.ttl) },
        "health": { "storagedriver": { "enabled": true, "interval": "10s", "threshold": 3 } },
    })
}
