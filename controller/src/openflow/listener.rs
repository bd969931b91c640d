//! Accepts connections of switches.

use std::net::SocketAddr;
use std::sync::Arc;

use flowlib::types::DatapathId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::Instrument;

use super::board::NoSeat;
use super::complaints::{Culprit, Fault};
use super::connection::{Connection, End, Hearers, Parts};
use super::counts::Counts;
use super::learning;
use super::places::places;
use super::session::{self, Heard, SessionError, Surroundings};
use super::switch::Switch;
use super::watch::Watch;
use crate::access::{NodeName, tls};

/// Requests that may wait for a connection.
const COMMANDS: usize = 64;
/// What a switch may have said unasked that nobody has looked at.
const UNASKED: usize = 256;

/// Serves switches that connect to `listener`, for ever.
pub async fn listen(listener: TcpListener, around: Surroundings) {
    accept(listener, None, around).await;
}

/// Serves switches that connect to `listener` and show their nodes' certificates over TLS, for ever.
pub async fn listen_tls(listener: TcpListener, tls: tls::Listener, around: Surroundings) {
    accept(listener, Some(tls), around).await;
}

async fn accept(listener: TcpListener, tls: Option<tls::Listener>, around: Surroundings) {
    let places = Arc::new(Semaphore::new(places()));
    loop {
        if places.available_permits() == 0 {
            tracing::error!("all places for switches are taken: the next one waits until one is free");
        }
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let span = tracing::info_span!("switch", %peer);
                let serve = serve(stream, peer, tls.clone(), around.clone());
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

/// Boxes what goes on for long: a connection takes the memory of the kind it is, and not of the largest.
async fn serve(stream: TcpStream, peer: SocketAddr, tls: Option<tls::Listener>, around: Surroundings) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no TCP_NODELAY");
    }
    let culprit = Arc::new(Culprit::new(around.board.complaints().clone(), peer.ip()));
    let Some(tls) = tls else {
        let (end, parts, result) = Box::pin(converse(stream, None, &around, &culprit)).await;
        if around.learns
            && let (Err(SessionError::NoSeat(NoSeat::Unknown(datapath))), End::Released) = (&result, &end)
        {
            return Box::pin(learn(parts, *datapath, peer, &around)).await;
        }
        return over(&around, &culprit, &end, result);
    };
    let (fault, reason) = match tls.accept(stream).await {
        Ok((stream, Ok(Some(name)))) => {
            let (end, _, result) = Box::pin(converse(stream, Some(name), &around, &culprit)).await;
            return over(&around, &culprit, &end, result);
        }
        Ok((_, Ok(None))) => (Fault::NotAdmitted, "the switch shows no certificate".to_owned()),
        Ok((_, Err(reason))) => (Fault::NotAdmitted, reason),
        Err(error) => (Fault::BadMessages, format!("no TLS: {error}")),
    };
    around.counts.refused_connections.add(1);
    tracing::warn!(reason, "switch refused");
    culprit.complain(fault, || reason);
}

/// Serves a connection, whose peer has shown a certificate of that node, until it ends.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    shown: Option<NodeName>,
    around: &Surroundings,
    culprit: &Arc<Culprit>,
) -> (End, Parts<S>, Result<(), SessionError>) {
    let (commands, received) = mpsc::channel(COMMANDS);
    let (unasked, said) = mpsc::channel(UNASKED);
    let (open, opened) = oneshot::channel();
    let watch = Watch::new(around.counts.flows_changed_by_others.clone());
    let hearers = Hearers { unasked, watch: watch.clone(), culprit: culprit.clone() };
    let connection = Connection::new(stream, received, hearers, open, around);
    let kept = around.clone();
    let session = async {
        if opened.await.is_ok() {
            let heard = Heard { unasked: said, watch };
            session::serve(Switch::new(commands), heard, kept, shown.as_ref(), culprit).await
        } else {
            Ok(())
        }
    };
    let ((end, parts), result) = tokio::join!(connection.run(), session);
    (end, parts, result)
}

fn over(around: &Surroundings, culprit: &Culprit, end: &End, result: Result<(), SessionError>) {
    culprit.explain(end, &result);
    match result {
        Err(error) => refused(&around.counts, &error, end),
        Ok(()) => tracing::info!(reason = %end, "connection ended"),
    }
}

/// Goes on with a connection that has no other session as with that of a learning switch.
async fn learn(parts: Parts<TcpStream>, datapath: DatapathId, peer: SocketAddr, around: &Surroundings) {
    match around.board.seat_learner(datapath, peer) {
        Ok(seat) => {
            around.counts.sessions.add(1);
            tracing::info!(dpid = %datapath, "switch that no node has connected: it learns");
            let end = learning::serve(parts, seat).await;
            tracing::info!(dpid = %datapath, reason = %end, "connection ended");
        }
        Err(error) => refused(&around.counts, &error, &End::Released),
    }
}

fn refused(counts: &Counts, error: &dyn std::error::Error, reason: &End) {
    counts.refused_connections.add(1);
    tracing::warn!(%error, %reason, "session ended");
}
