//! A node that joins a real controller: both binaries' parts, a real ovs-vswitchd over `ssl:`, certificates of seconds.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

mod ovs;
mod support;

#[path = "support/controller.rs"]
mod controller_played;
#[path = "support/node.rs"]
mod node;

use controller_played as controller;

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use clap::Parser;
use node::Node;
use ovs::has_ovs;
use support::{in_sandbox, until};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use weir_api::v1::{
    CreatePoolRequest, CreateTokenRequest, DeleteNodeRequest, GetNodeRequest, GetStatusRequest, Pool,
    nodes_client, pools_client, status_client, token::Role, tokens_client,
};

const LIMIT: Duration = Duration::from_secs(20);

/// Starts a controller with TLS in this process; whoever has its socket rules it.
async fn start_controller(node: &Node, stop: CancellationToken) -> Channel {
    let socket = node.path("api.sock");
    let config = ::controller::config::Config::parse_from([
        "weir-controller".to_owned(),
        format!("--data-dir={}", node.path("controller")),
        "--listen=tls:127.0.0.1:7400".to_owned(),
        format!("--listen=unix:{socket}"),
        "--openflow=tls:127.0.0.1:6653".to_owned(),
        "--certificate-life=6s".to_owned(),
    ]);
    tokio::spawn(::controller::run(config, stop));
    let endpoint = Endpoint::from_shared(format!("unix:{socket}")).unwrap();
    until("the controller serves", LIMIT, async || endpoint.connect().await.ok()).await
}

async fn join_token(channel: &Channel) -> String {
    let pool = Pool { name: "pool2".into(), ..Pool::default() };
    pools_client::PoolsClient::new(channel.clone())
        .create_pool(CreatePoolRequest { pool: Some(pool) })
        .await
        .unwrap();
    let request =
        CreateTokenRequest { pool: "pool2".into(), role: Role::Join.into(), uses: 1, ..Default::default() };
    let mut tokens = tokens_client::TokensClient::new(channel.clone());
    tokens.create_token(request).await.unwrap().into_inner().secret
}

/// Whether agent and switch are connected.
async fn connected(channel: &Channel) -> (bool, bool) {
    let request = GetNodeRequest { pool: "pool2".into(), name: "n1".into() };
    let node = nodes_client::NodesClient::new(channel.clone()).get_node(request).await;
    let status = node.ok().and_then(|node| node.into_inner().status).unwrap_or_default();
    (status.agent_connected, status.switch_connected && status.in_sync)
}

async fn sessions(channel: &Channel) -> u64 {
    let status =
        status_client::StatusClient::new(channel.clone()).get_status(GetStatusRequest::default()).await;
    let counters = status.unwrap().into_inner().counters;
    counters.iter().filter(|(name, _)| name.contains("sessions")).map(|(_, n)| n).sum()
}

/// Runs `weir-agent join`; whether it succeeded, and what it said.
async fn join(state: &str, token: &str) -> (bool, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_weir-agent"));
    command.args(["join", "--controller=127.0.0.1:7400", "--name=n1"]).env("WEIR_JOIN_TOKEN", token);
    let output = command.arg(format!("--state-dir={state}")).output().await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The token with the fingerprint of nobody.
fn of_another(token: &str) -> String {
    let (token, _) = token.rsplit_once('.').unwrap();
    format!("{token}.{}", "ab".repeat(32))
}

#[test]
fn a_node_joins_connects_by_tls_renews_by_itself_and_is_out_when_it_is_deleted() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let mut node = Node::start();
        let stop = CancellationToken::new();
        let channel = start_controller(&node, stop.clone()).await;
        let token = join_token(&channel).await;
        let state = node.path("state");
        let said = join(&state, &of_another(&token)).await;
        assert!(!said.0 && said.1.contains("fingerprint"), "{said:?}");
        let said = join(&state, &token).await;
        assert!(said.0, "{said:?}");
        let said = join(&state, &token).await;
        assert!(!said.0 && said.1.contains("already"), "{said:?}");
        let key = fs::metadata(format!("{state}/credentials/1/key.pem")).unwrap().permissions().mode();
        let folder = fs::metadata(format!("{state}/credentials/1")).unwrap().permissions().mode();
        assert_eq!((key & 0o777, folder & 0o777), (0o600, 0o700));

        node.controller = Some("https://127.0.0.1:7400".to_owned());
        node.start_agent();
        until("agent and switch are connected", LIMIT, async || {
            (connected(&channel).await == (true, true)).then_some(())
        })
        .await;
        let before = sessions(&channel).await;
        let files = |n: u32| format!("{state}/credentials/{n}/certificate.pem");
        until("the certificate is renewed twice", LIMIT, async || {
            let ssl = node.database.vsctl("get-ssl");
            (!ssl.contains(&files(1)) && !ssl.contains(&files(2)) && ssl.contains("/credentials/"))
                .then_some(())
        })
        .await;
        assert_eq!(connected(&channel).await, (true, true));
        assert_eq!(sessions(&channel).await, before, "no connection was lost");
        // With the new files ovs-vswitchd connects anew, long after the first certificate has ended.
        node.start_switch();
        until("the switch is connected anew", LIMIT, async || {
            (sessions(&channel).await > before && connected(&channel).await == (true, true)).then_some(())
        })
        .await;

        let delete = DeleteNodeRequest { pool: "pool2".into(), name: "n1".into() };
        nodes_client::NodesClient::new(channel.clone()).delete_node(delete).await.unwrap();
        until("the agent is refused", LIMIT, async || {
            let log = fs::read_to_string(node.path("agent.log")).unwrap();
            log.contains("is revoked").then_some(())
        })
        .await;
        assert_eq!(connected(&channel).await, (false, false));
        node.agent = None;
        stop.cancel();
    });
}
