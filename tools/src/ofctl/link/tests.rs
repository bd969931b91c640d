//! Peers that misbehave, and a patience of less than a minute.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flowlib::channel::{CloseReason, Deframer};
use flowlib::openflow::{ErrorCode, Message};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::connection::{Connection, Next, Patience, header};
use super::failure::Failure;
use super::target::Place;
use super::transport::Transport;

const PATIENCE: Duration = Duration::from_millis(300);
const HELLO: [u8; 8] = [4, 0, 0, 8, 0, 0, 0, 1];
const ECHO_REQUEST: [u8; 8] = [4, 2, 0, 8, 0, 0, 0, 2];
const BARRIER_REQUEST: [u8; 8] = [4, 20, 0, 8, 0, 0, 0, 3];

/// A connection, and the other end of its socket.
fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (over(Transport::Unix(ours)), theirs)
}

fn over(transport: Transport) -> Connection {
    Connection::over(Place::Unix("peer".into()), transport, Patience::For(PATIENCE))
}

/// Why no answer to a barrier comes.
fn failure(connection: &mut Connection) -> Failure {
    connection.ask(&BARRIER_REQUEST, |_| Ok::<_, Failure>(Next::Ignored)).unwrap_err()
}

/// Lets the read timeout of a stream pass, unless something comes.
fn pause(stream: &mut UnixStream) {
    stream.read_exact(&mut [0]).ok();
}

/// Sends the same again and again until the other end has closed.
fn repeat(mut stream: UnixStream, bytes: Vec<u8>, reads: bool) -> thread::JoinHandle<()> {
    if reads {
        let mut reader = stream.try_clone().unwrap();
        thread::spawn(move || while reader.read(&mut [0; 65536]).is_ok_and(|len| len > 0) {});
    }
    thread::spawn(move || while stream.write_all(&bytes).is_ok() {})
}

#[test]
fn a_silent_peer_is_given_up() {
    let (mut connection, _theirs) = pair();
    let start = Instant::now();
    let failure = connection.negotiate().unwrap_err();
    assert!(matches!(failure, Failure::NoAnswer { after: PATIENCE, .. }), "{failure}");
    assert!(start.elapsed() >= PATIENCE);
}

#[test]
fn a_peer_that_is_silent_while_hands_are_shaken_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("switch").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut transport = Transport::Tls(Box::new(StreamOwned::new(session, socket)));
    transport.write_some(&HELLO).unwrap();
    assert!(theirs.read(&mut [0; 4096]).unwrap() > 0, "the handshake has begun");

    // What we have to say cannot be said yet: that the socket would take it is nothing to wake up for.
    let start = Instant::now();
    transport.wait(true, Some(start + PATIENCE)).unwrap();
    assert!(start.elapsed() >= PATIENCE);
    let failure = over(transport).negotiate().unwrap_err();
    assert!(matches!(failure, Failure::NoAnswer { .. }), "{failure}");
}

#[test]
fn a_peer_that_sends_a_byte_now_and_then_is_given_up() {
    let (mut connection, mut theirs) = pair();
    let peer = thread::spawn(move || {
        theirs.set_read_timeout(Some(PATIENCE / 20)).unwrap();
        // A message of 65,535 bytes, and its end is far.
        theirs.write_all(&[4, 0, 255, 255]).unwrap();
        while theirs.write_all(&[0]).is_ok() {
            pause(&mut theirs);
        }
    });
    let failure = connection.negotiate().unwrap_err();
    assert!(matches!(failure, Failure::NoAnswer { .. }), "{failure}");
    drop(connection);
    peer.join().unwrap();
}

#[test]
fn a_peer_that_says_much_and_answers_nothing_is_given_up() {
    for message in [ECHO_REQUEST, HELLO] {
        let (mut connection, theirs) = pair();
        let peer = repeat(theirs, message.repeat(1000), true);
        let failure = failure(&mut connection);
        assert!(matches!(failure, Failure::NoAnswer { .. }), "{failure}");
        drop(connection);
        peer.join().unwrap();
    }
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_given_up_before_the_answers_fill_the_memory() {
    let (mut connection, theirs) = pair();
    connection.set_patience(Patience::Endless);
    let mut echo = vec![0; 65_528];
    echo[..8].copy_from_slice(&[4, 2, 0xff, 0xf8, 0, 0, 0, 2]);
    let peer = repeat(theirs, echo, false);
    let failure = failure(&mut connection);
    assert!(matches!(failure, Failure::Channel { reason: CloseReason::Backlog, .. }), "{failure}");
    drop(connection);
    peer.join().unwrap();
}

#[test]
fn an_answer_that_drips_is_given_up_and_one_that_flows_is_not() {
    for len in [16, 16_384] {
        let (mut connection, mut theirs) = pair();
        let peer = thread::spawn(move || {
            let mut part = vec![0; len];
            part[..8].copy_from_slice(&[4, 19, (len >> 8) as u8, len as u8, 0, 0, 0, 3]);
            theirs.set_read_timeout(Some(PATIENCE / 10)).unwrap();
            // For three times the patience.
            for _ in 0..30 {
                if theirs.write_all(&part).is_err() {
                    return;
                }
                pause(&mut theirs);
            }
            theirs.write_all(&[4, 21, 0, 8, 0, 0, 0, 3]).ok();
        });
        let outcome = connection.ask(&BARRIER_REQUEST, |message| {
            Ok::<_, Failure>(if header(message).0 == 21 { Next::Done } else { Next::More })
        });
        assert_eq!(outcome.is_ok(), len > 16, "{outcome:?}");
        drop(connection);
        peer.join().unwrap();
    }
}

#[test]
fn the_time_in_which_an_answer_is_printed_is_not_the_peers() {
    let (mut connection, mut theirs) = pair();
    let part = |message_type| [4, message_type, 0, 8, 0, 0, 0, 3];
    theirs.write_all(&[part(19), part(19), part(21)].concat()[..20]).unwrap();
    let outcome = connection.ask(&BARRIER_REQUEST, |message| {
        if header(message).0 == 21 {
            return Ok(Next::Done);
        }
        thread::park_timeout(PATIENCE);
        theirs.write_all(&part(21)).unwrap();
        Ok::<_, Failure>(Next::More)
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn a_peer_of_another_version_is_told_so() {
    let (mut connection, mut theirs) = pair();
    theirs.write_all(&[1, 0, 0, 8, 0, 0, 0, 9]).unwrap();
    let failure = connection.negotiate().unwrap_err();
    assert!(failure.to_string().contains("its highest version is 0x01"), "{failure}");
    drop(connection);
    let (mut said, mut deframer) = (Vec::new(), Deframer::default());
    theirs.read_to_end(&mut said).unwrap();
    deframer.push(&said);
    assert!(matches!(Message::decode(deframer.next_message().unwrap().unwrap()), Ok((_, Message::Hello(_)))));
    let (_, message) = Message::decode(deframer.next_message().unwrap().unwrap()).unwrap();
    let Message::Error(error) = message else { panic!("{message:?}") };
    assert_eq!(error.code, ErrorCode::OFPHFC_INCOMPATIBLE);
}
