//! The same flow mods as bytes that were encoded before: what a socket and Open vSwitch can do at the most.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use flowlib::channel::{Channel, Config, Event};
use flowlib::openflow::Message;
use flowlib::segment::Step;
use flowlib::types::Xid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::bridge::Bridge;
use super::{Installed, carrier, flows};

const PATIENCE: Duration = Duration::from_secs(60);

/// From the first byte to the answered barrier.
pub(super) async fn install(bridge: &Bridge) -> anyhow::Result<Installed> {
    let listener = TcpListener::from_std(bridge.connect()?)?;
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.context("the bridge does not connect")??;
    stream.set_nodelay(true)?;
    let mut connection = Connection { stream, channel: Channel::new(Instant::now(), Config::default()) };
    timeout(PATIENCE, connection.until_open()).await.context("no version is agreed on")??;
    let first = Step::add(&carrier());
    timeout(PATIENCE, connection.install(first.bytes())).await.context("no barrier is answered")??;
    let pings = bridge.ping()?;
    let bytes: Vec<u8> = flows().flat_map(|flow| Step::add(&flow).bytes().to_vec()).collect();
    let begun = Instant::now();
    timeout(PATIENCE, connection.install(&bytes)).await.context("no barrier is answered")??;
    Ok((begun.elapsed(), pings.felt()?))
}

struct Connection {
    stream: TcpStream,
    channel: Channel,
}

impl Connection {
    async fn until_open(&mut self) -> anyhow::Result<()> {
        loop {
            self.flush().await?;
            while let Some(event) = self.channel.poll_event() {
                match event {
                    Event::Open => return self.flush().await,
                    Event::Closed(reason) => bail!("the connection is over: {reason}"),
                    _ => {}
                }
            }
            self.read().await?;
        }
    }

    /// Writes all of it and a barrier, and waits for the answer to that.
    async fn install(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        // What the switch says meanwhile fits into the socket: it is not asked for anything.
        self.stream.write_all(bytes).await?;
        let barrier = self.channel.send(&Message::BarrierRequest)?;
        loop {
            self.flush().await?;
            if self.is_answered(barrier)? {
                return Ok(());
            }
            self.read().await?;
        }
    }

    fn is_answered(&mut self, barrier: Xid) -> anyhow::Result<bool> {
        while let Some(event) = self.channel.poll_event() {
            match event {
                Event::Reply { xid, .. } if xid == barrier => return Ok(true),
                Event::Error { error, .. } => bail!("the switch refuses a flow: {error}"),
                Event::Closed(reason) => bail!("the connection is over: {reason}"),
                _ => {}
            }
        }
        Ok(false)
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        while let Some(bytes) = self.channel.poll_transmit() {
            self.stream.write_all(&bytes).await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let n = self.stream.read(&mut buffer).await?;
        if n == 0 {
            bail!("the switch has closed the connection");
        }
        self.channel.handle_bytes(Instant::now(), &buffer[..n]);
        Ok(())
    }
}
