//! One TCP connection that sends all it can, and pings on a path that is warm.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::socket::SockType;
use tokio::net::TcpSocket;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tools::bench::Percentiles;

use crate::benchmarks::seat::Seat;
use crate::report::echo::{Echo, EchoSocket};
use crate::report::socket;

/// What arrives in a while, in Gbit/s, from the first byte that does. Sender and receiver each have a thread.
pub(super) async fn throughput(from: &Seat, to: &Seat, lasting: Duration) -> anyhow::Result<f64> {
    let open = |seat: &Seat| {
        let socket = socket::open(seat.place.namespace(), SockType::Stream, None)?;
        anyhow::Ok(TcpSocket::from_std_stream(socket.into()))
    };
    let listening = open(to)?;
    listening.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    let listener = listening.listen(1)?;
    let target = SocketAddr::from((to.address, listener.local_addr()?.port()));
    let both =
        async { tokio::try_join!(open(from)?.connect(target), listener.accept()).context("no connection") };
    let (sender, (receiver, _)) = timeout(PATIENCE, both).await.context("no connection in time")??;
    let [sender, receiver] = [sender, receiver].map(tokio::net::TcpStream::into_std);
    let (sender, receiver) = (blocking(sender?)?, blocking(receiver?)?);
    let (sent, received) = tokio::join!(
        spawn_blocking(move || send(sender, lasting)),
        spawn_blocking(move || receive(receiver)),
    );
    sent??;
    received?
}

fn blocking(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn send(mut stream: TcpStream, lasting: Duration) -> anyhow::Result<()> {
    let (bytes, begun) = (vec![0; CHUNK], Instant::now());
    while begun.elapsed() < lasting {
        stream.write_all(&bytes).context("cannot send")?;
    }
    Ok(())
}

fn receive(mut stream: TcpStream) -> anyhow::Result<f64> {
    let (mut buffer, mut bytes, mut begun) = (vec![0; CHUNK], 0_u64, None);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                begun.get_or_insert_with(Instant::now);
                bytes += len as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot receive"),
        }
    }
    let took = begun.context("nothing was received")?.elapsed();
    Ok(bytes as f64 * 8.0 / took.as_secs_f64() / 1e9)
}

/// Pings, each sent when the one before is answered; the first, which finds a cold path, does not count.
pub(super) async fn round_trips(from: &Seat, to: &Seat, count: u32) -> anyhow::Result<Percentiles> {
    let socket = EchoSocket::open(from.place.namespace())?;
    let mut times = Vec::new();
    for round in 0..=count {
        let sent = Instant::now();
        socket.request(to.address, Echo { reply: false, from: 1, to: 2, round }).await;
        let answered = async {
            loop {
                let echo = socket.receive().await?;
                if echo.reply && echo.round == round {
                    return anyhow::Ok(());
                }
            }
        };
        timeout(PATIENCE, answered).await.context("a ping is not answered")??;
        times.push(sent.elapsed());
    }
    Ok(Percentiles::of(times.split_off(1)))
}

const CHUNK: usize = 128 << 10;
const PATIENCE: Duration = Duration::from_secs(10);
