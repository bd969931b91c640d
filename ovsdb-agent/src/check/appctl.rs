//! ovs-vswitchd's control socket, as ovs-appctl uses it: JSON-RPC, one request a connection.

use std::{io, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Asks ovs-vswitchd for something, as in ovs-vswitchd(8), "Runtime Management Commands".
///
/// # Errors
/// The system's; that it refuses, or does not answer in time.
///
/// Source: lib/unixctl.c (v3.1).
pub(super) async fn ask(rundir: &Path, method: &str, arguments: &[&str]) -> io::Result<String> {
    let answer = tokio::time::timeout(PATIENCE, exchange(rundir, method, arguments)).await;
    answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(rundir: &Path, method: &str, arguments: &[&str]) -> io::Result<String> {
    let pid = fs::read_to_string(rundir.join("ovs-vswitchd.pid")).await?;
    let socket = rundir.join(format!("ovs-vswitchd.{}.ctl", pid.trim()));
    let mut stream = UnixStream::connect(socket).await?;
    let request = json!({ "id": 0, "method": method, "params": arguments });
    stream.write_all(request.to_string().as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 || answer.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Nothing says how long it is but that it is whole.
        if let Ok(answer) = serde_json::from_slice::<Value>(&answer) {
            return match (&answer["result"], &answer["error"]) {
                (Value::String(result), Value::Null) => Ok(result.clone()),
                (_, error) => Err(io::Error::other(error.to_string())),
            };
        }
    }
}

/// Bytes of an answer, at most: some ten thousand addresses.
const LONGEST: usize = 1 << 20;

const PATIENCE: Duration = Duration::from_secs(5);
