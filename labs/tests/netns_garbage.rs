//! Garbage on every port: the connection is closed with a logged reason, the daemon lives, others are not harmed.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use flowlib::channel::Deframer;
use labs::process::find_executable;
use labs::protocol::Phase;
use labs::{Daemon, wait_until};
use support::{System, inside};
use traffic::{Pairs, settled};

const CONTROLLER: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 254);
const PATIENCE: Duration = Duration::from_secs(20);
const FEATURES_REQUEST: u8 = 5;
/// OpenFlow 1.3 hello, xid 1.
const HELLO: [u8; 8] = [4, 0, 0, 8, 0, 0, 0, 1];

#[test]
fn garbage_from_switches_and_clients_harms_nobody() {
    let Some(system) = System::up("gar") else { return };
    let pairs = Pairs::create(&system);
    let traffic = pairs.traffic();
    let log = || fs::read_to_string(system.lab.state().log("controller", Daemon::WeirController)).unwrap();
    let pid = || {
        let daemons = system.lab.status().unwrap().daemons;
        daemons.into_iter().find(|d| d.daemon == Daemon::WeirController).map(|d| (d.phase, d.restarts))
    };
    let before = pid();
    assert!(matches!(before, Some((Phase::Running(_), 0))));

    for (what, bytes, reason) in [
        ("random bytes", [&[4, 99, 0, 3][..], &noise(4096)].concat(), "bad bytes from the peer"),
        (
            "junk after a hello",
            [&HELLO[..], &[4, 14, 0, 40], &noise(512)].concat(),
            "bad bytes from the peer",
        ),
        ("a header of length 0", [&HELLO[..], &[4, 2, 0, 0, 0, 0, 0, 2]].concat(), "bad bytes from the peer"),
        ("another version", vec![1, 0, 0, 8, 0, 0, 0, 1], "does not speak OpenFlow 1.3"),
        ("no hello", vec![4, 2, 0, 8, 0, 0, 0, 2], "not with a hello"),
        ("half a message, then silence", HELLO[..5].to_vec(), "no hello from the peer in time"),
        ("a stranger", HELLO.to_vec(), "no node of any pool has the datapath id"),
    ] {
        let said = log().len();
        let closed = inside(&system.place("probe"), || send(6653, &bytes));
        assert!(closed, "{what} is not answered by the end of the connection");
        let told = || Ok(log()[said..].contains(reason).then_some(()));
        let told = wait_until(PATIENCE, "a reason in the log", told);
        told.unwrap_or_else(|e| panic!("{what}: {e:#}: {}", &log()[said..]));
    }
    let named = |reason: &str| {
        let is = |p: &weir_api::v1::Problem| p.subject == "switch/172.31.0.66" && p.reason == reason;
        Ok(system.status().filter(|status| status.problems.iter().any(is)).map(drop))
    };
    for reason in ["BadMessages", "NoAnswer", "UnknownDatapath"] {
        wait_until(PATIENCE, reason, || named(reason)).unwrap();
    }
    for bytes in [noise(4096), [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &noise(512)[..]].concat()] {
        assert!(inside(&system.place("probe"), || send(7400, &bytes)), "gRPC over TCP");
        let mut stream = UnixStream::connect(system.lab.state().api_socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may have been closed before all was written.
        stream.write_all(&bytes).unwrap_or(());
        assert!(is_closed(&mut stream), "gRPC over a unix socket");
    }
    assert_eq!(pid(), before, "the controller lives");
    traffic.assert_nothing_lost("garbage sent");
    system.create("later", "v/n1");
    settled(&system);
}

#[test]
fn an_agent_lives_with_a_database_that_talks_nonsense() {
    let Some(system) = System::up("ovs") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (what, bytes) in [
        ("random bytes", noise(4096)),
        ("no object", b"[1,2,3]".to_vec()),
        ("deep nesting", vec![b'['; 100_000]),
        ("an answer to nothing", br#"{"id":77,"result":{},"error":null}"#.to_vec()),
        ("half an object", br#"{"id":0,"result":{"#.to_vec()),
    ] {
        let socket = folder.path().join("db.sock");
        if socket.exists() {
            fs::remove_file(&socket).unwrap();
        }
        let listener = UnixListener::bind(&socket).unwrap();
        let log = folder.path().join("agent.log");
        let mut agent = agent(&system, &socket, folder.path(), &log);
        // It comes back after the first nonsense, and so is neither dead nor stuck.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&bytes).unwrap_or(());
        }
        assert!(agent.try_wait().unwrap().is_none(), "{what}: the agent has ended");
        let complains = || Ok(fs::read_to_string(&log)?.contains("OVSDB").then_some(()));
        wait_until(PATIENCE, "a reason in the agent's log", complains)
            .unwrap_or_else(|e| panic!("{what}: {e:#}: {}", fs::read_to_string(&log).unwrap()));
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

/// Starts an agent on a host of the lab that is no node; it finds nothing there but that database.
fn agent(system: &System, database: &Path, folder: &Path, log: &Path) -> std::process::Child {
    let mut command: Command = system.lab.command("bare", [find_executable("weir-agent").unwrap()]).unwrap();
    command.args([
        "--controller",
        "127.0.0.1:1",
        "--pool",
        support::POOL,
        "--name",
        "fake",
        "--uplink",
        "none",
    ]);
    command.arg("--ovsdb").arg(format!("unix:{}", database.display())).arg("--ovs-rundir").arg(folder);
    command.args(["--tunnel-address", "192.0.2.1/24"]).arg("--state-dir").arg(folder);
    let log = fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// Sends bytes to a port of the controller, and tells it a datapath id that nobody has if it asks; whether it closes the
/// connection.
fn send(port: u16, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect((CONTROLLER, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap_or(());
    let (mut deframer, mut buffer) = (Deframer::default(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        deframer.push(&buffer[..n]);
        while let Ok(Some(message)) = deframer.next_message() {
            if let [4, FEATURES_REQUEST, _, _, xid @ ..] = message {
                // OpenFlow 1.3.5 §7.3.1: datapath id, buffers, 254 tables, capabilities.
                let reply = [&[4, 6, 0, 32], xid, &[0xaa; 8], &[0, 0, 0, 0, 254, 0, 0, 0], &[0; 8]];
                stream.write_all(&reply.concat()).unwrap_or(());
            }
        }
    }
    is_closed(&mut stream)
}

/// Reads until the peer closes the connection, or (false) says nothing more for too long.
fn is_closed(stream: &mut impl Read) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Bytes without meaning, the same each time.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..n).map(|_| next()).collect()
}
