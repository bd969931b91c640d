//! The control socket: requests of `weir-lab` commands and tests, a JSON line each.

use std::rc::Rc;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::daemon::Order;
use super::site::Site;
use crate::protocol::{Request, Response};
use crate::state::State;

/// Asks the supervisor's main task to remove the lab.
pub(super) struct Down {
    /// Where to say how that went.
    pub(super) reply: oneshot::Sender<anyhow::Result<()>>,
    /// Its other end is dropped when the answer has been written; then the supervisor may end.
    pub(super) told: oneshot::Receiver<()>,
}

/// Opens the socket.
pub(super) fn listen(state: &State) -> anyhow::Result<UnixListener> {
    let path = state.control_socket();
    UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))
}

/// Answers everyone who connects, for as long as the supervisor runs.
pub(super) async fn serve(listener: UnixListener, site: Rc<Site>, down: mpsc::Sender<Down>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (site, down) = (site.clone(), down.clone());
                tokio::task::spawn_local(async move {
                    if let Err(e) = converse(stream, &site, &down).await {
                        eprintln!("control socket: {e:#}");
                    }
                });
            }
            Err(e) => eprintln!("control socket: {e}"),
        }
    }
}

async fn converse(stream: UnixStream, site: &Site, down: &mpsc::Sender<Down>) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let (telling, told) = oneshot::channel();
        let response = match serde_json::from_str(&line) {
            Ok(Request::Down) => outcome(go_down(down, told).await),
            Ok(request) => answer(request, site).await,
            Err(e) => Response::Refused(format!("not a request: {e}")),
        };
        let mut text = serde_json::to_string(&response)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
        drop(telling);
    }
    Ok(())
}

async fn answer(request: Request, site: &Site) -> Response {
    let (name, order) = match request {
        Request::Status | Request::Down => return Response::Status(Box::new(site.status())),
        Request::Start(name) => (name, Order::Start),
        Request::Stop(name) => (name, Order::Stop),
        Request::Kill(name) => (name, Order::Kill),
    };
    match site.daemon(&name) {
        Ok(handle) => outcome(handle.order(order).await),
        Err(e) => outcome(Err(e)),
    }
}

async fn go_down(down: &mpsc::Sender<Down>, told: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let (reply, answer) = oneshot::channel();
    down.send(Down { reply, told }).await.ok().context("the supervisor is ending already")?;
    answer.await.context("the supervisor has ended")?
}

fn outcome(result: anyhow::Result<()>) -> Response {
    match result {
        Ok(()) => Response::Done,
        Err(e) => Response::Refused(format!("{e:#}")),
    }
}
