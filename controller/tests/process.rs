//! The real binary: what survives kill -9, what a damaged store does, garbage on the port.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod binary;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use binary::{BINARY, Controller};
use support::PATIENCE;
use tonic::transport::Channel;
use weir_api::v1::pools_client::PoolsClient;
use weir_api::v1::*;

async fn create(channel: &Channel, name: &str) -> Result<Pool, tonic::Status> {
    let pool = Pool { name: name.to_owned(), ..Pool::default() };
    let request = CreatePoolRequest { pool: Some(pool) };
    PoolsClient::new(channel.clone()).create_pool(request).await.map(tonic::Response::into_inner)
}

async fn pools(channel: &Channel) -> Vec<Pool> {
    PoolsClient::new(channel.clone())
        .list_pools(ListPoolsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .pools
}

/// Runs the binary, which is expected to end by itself.
fn fails(args: &[&str], dir: &Path) -> String {
    let Output { status, stderr, .. } = Command::new(BINARY)
        .args(["--data-dir".as_ref(), dir.as_os_str()])
        .args(["--openflow", "127.0.0.1:0"])
        .args(args)
        .output()
        .unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let mut controller = Controller::start(dir.path()).await;
        let channel = controller.channel().await;
        let there: Vec<Pool> = pools(&channel).await;
        for pool in &acknowledged {
            assert!(there.contains(pool), "{pool:?} was acknowledged");
        }
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..8 {
            let (channel, tell) = (channel.clone(), tell.clone());
            tokio::spawn(async move {
                for i in 0.. {
                    match create(&channel, &format!("r{round}-{n}-{i}")).await {
                        Ok(pool) => drop(tell.send(pool)),
                        Err(_) => return,
                    }
                }
            });
        }
        drop(tell);
        let enough = acknowledged.len() + 40;
        while acknowledged.len() < enough {
            acknowledged.push(told.recv().await.unwrap());
        }
        controller.kill();
        while let Some(pool) = told.recv().await {
            acknowledged.push(pool);
        }
    }
}

#[tokio::test]
async fn a_store_that_is_none_or_in_use_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", dir.path().join("x.sock").display());
    let running = Controller::start(dir.path()).await;
    let said = fails(&["--listen", &listen], dir.path());
    assert!(said.contains("in use by another process"), "{said}");
    drop(running);
    let file = dir.path().join("intent.redb");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"this is not a store").unwrap();
    let said = fails(&["--listen", &listen], dir.path());
    assert!(said.contains("is no store of Weir, or it is damaged"), "{said}");
    std::fs::write(&file, &whole[..whole.len() / 3]).unwrap();
    let said = fails(&["--listen", &listen], dir.path());
    assert!(said.contains("is no store of Weir, or it is damaged"), "{said}");
}

#[tokio::test]
async fn listeners_for_others_are_refused_without_insecure() {
    let dir = tempfile::tempdir().unwrap();
    let said = fails(&["--listen", "0.0.0.0:0"], dir.path());
    assert!(said.contains("--insecure"), "{said}");
    let file = dir.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let said = fails(&["--listen", &format!("unix:{}", file.display())], dir.path());
    assert!(said.contains("is no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn garbage_on_the_port_ends_that_connection_only() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["--data-dir".as_ref(), dir.path().as_os_str()]).arg(format!("--listen={port}"));
    let controller = Controller::start_as(command, dir.path()).await;
    let junk: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [
        junk.as_slice(),
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let closed = stream.read_to_end(&mut Vec::new());
        let timed_out = closed.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "the connection is not closed");
    }
    create(&controller.channel().await, "alive").await.unwrap();
}
