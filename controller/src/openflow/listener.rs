//! Accepts connections of switches.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::Instrument;

use super::connection::{Connection, Hearers};
use super::session::{self, Heard, Surroundings};
use super::switch::Switch;
use super::watch::Watch;

/// Connections at the same time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 20_000;
/// Requests that may wait for a connection.
const COMMANDS: usize = 64;
/// What a switch may have said unasked that nobody has looked at.
const UNASKED: usize = 256;

/// Serves switches that connect to `listener`, for ever.
pub async fn listen(listener: TcpListener, around: Surroundings) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let span = tracing::info_span!("switch", %peer);
                let serve = serve(stream, peer, around.clone());
                tokio::spawn(
                    async move {
                        serve.await;
                        drop(place);
                    }
                    .instrument(span),
                );
            }
            Err(error) => {
                // Out of file descriptors, most likely: the ones that end make room.
                tracing::error!(%error, "cannot accept a switch's connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, around: Surroundings) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no TCP_NODELAY");
    }
    let (commands, received) = mpsc::channel(COMMANDS);
    let (unasked, said) = mpsc::channel(UNASKED);
    let (open, opened) = oneshot::channel();
    let watch = Watch::new(around.counts.flows_changed_by_others.clone());
    let connection =
        Connection::new(stream, received, Hearers { unasked, watch: watch.clone() }, open, &around).run();
    let counts = around.counts.clone();
    let session = async move {
        if opened.await.is_ok() {
            session::serve(Switch::new(commands), Heard { unasked: said, watch }, around).await
        } else {
            Ok(())
        }
    };
    let (end, result) = tokio::join!(connection, session);
    if let Err(error) = result {
        counts.refused_connections.add(1);
        tracing::warn!(%error, reason = %end, "session ended");
    } else {
        tracing::info!(reason = %end, "connection ended");
    }
}
