//! Bridges and ports against a real ovs-vswitchd in a network namespace.

// All of this file is a test, also what stands outside of the test functions.
#![allow(clippy::unwrap_used)]

mod ovs;

use std::time::Duration;

use ovs::{DEADLINE, Node, has_ovs, soon};
use ovsdb_agent::bridge::endpoint::{endpoints, foreign_ofports};
use ovsdb_agent::bridge::reconcile::problems;
use ovsdb_agent::bridge::{BR_INT, BR_PHY, Desired, EndpointPort, PlugError, Switch, offload, reconcile};

fn desired(targets: &[&str]) -> Desired {
    Desired {
        nic: "nic".to_owned(),
        nic_mac: Some("0a:00:00:00:00:01".to_owned()),
        tunnel_address: "172.31.0.1".parse().unwrap(),
        datapath_id: 0x00c0_ffee_0000_0001,
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
        ssl: None,
        userspace_tso: false,
    }
}

fn port(endpoint_id: u32, ofport: u16) -> EndpointPort {
    EndpointPort {
        endpoint_id,
        name: format!("we{ofport}"),
        ofport,
        mac: "02:42:0a:00:00:01".to_owned(),
        pool: "pool1".to_owned(),
        container: format!("c{endpoint_id}"),
        network: "net".to_owned(),
    }
}

async fn node_with_bridges() -> (Node, Switch) {
    let node = Node::start();
    let switch = Switch::new(node.database.client(), DEADLINE);
    node.database.vsctl("init");
    switch.reconcile(&desired(&["tcp:127.0.0.1:6653"])).await.unwrap();
    (node, switch)
}

fn wanted_number(node: &Node, name: &str) -> String {
    node.database.vsctl(&format!("get interface {name} ofport"))
}

#[tokio::test]
async fn bridges_are_made_at_once_and_then_nothing_differs() {
    if !has_ovs(true) {
        return;
    }
    let (node, switch) = node_with_bridges().await;
    let vsctl = |arguments: &str| node.database.vsctl(arguments);
    assert_eq!(vsctl("get bridge br-int fail_mode datapath_type protocols"), "secure\nnetdev\n[OpenFlow13]");
    assert_eq!(
        vsctl("get bridge br-int other-config:disable-in-band other-config:datapath-id datapath_id"),
        "\"true\"\n\"00c0ffee00000001\"\n\"00c0ffee00000001\""
    );
    assert_eq!(vsctl("get-controller br-int"), "tcp:127.0.0.1:6653");
    assert_eq!(vsctl("get controller br-int connection_mode max_backoff"), "out-of-band\n1000");
    assert_eq!((wanted_number(&node, "uplink"), wanted_number(&node, "vxlan")), ("1".into(), "2".into()));
    assert_eq!(vsctl("list-ports br-phy"), "nic\nweir-int");
    assert_eq!(vsctl("get-fail-mode br-phy"), "standalone");
    assert!(node.namespace.ip("link show br-phy").contains("0a:00:00:00:00:01"));
    let hidden = node.appctl("bridge/dump-flows br-int");
    assert!(!hidden.contains("NORMAL"), "{hidden}");

    let replica = switch.replica().await.unwrap();
    assert_eq!(reconcile(&replica, &desired(&["tcp:127.0.0.1:6653"])), []);
    assert_eq!(reconcile(&replica, &desired(&[])), [], "unknown targets leave the controllers there are");
    assert_eq!(problems(&replica, &desired(&[])), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_target_br_int_is_not_made() {
    if !has_ovs(true) {
        return;
    }
    let node = Node::start();
    let switch = Switch::new(node.database.client(), DEADLINE);
    assert!(switch.reconcile(&desired(&[])).await.unwrap());
    assert_eq!(node.database.vsctl("list-br"), BR_PHY);
    assert!(matches!(switch.plug(&port(1, 1024)).await, Err(PlugError::Switch(_))));
    assert!(switch.reconcile(&desired(&["tcp:127.0.0.1:6653"])).await.unwrap());
    assert_eq!(node.database.vsctl("list-br"), format!("{BR_INT}\n{BR_PHY}"));
    assert_eq!(wanted_number(&node, "uplink"), "1", "the patch's other end waited for it");
}

#[tokio::test]
async fn what_others_changed_is_put_right_and_what_is_theirs_stays() {
    if !has_ovs(true) {
        return;
    }
    let (node, switch) = node_with_bridges().await;
    node.namespace.veth("other");
    node.database.vsctl_wait(
        "add-port br-int other -- set interface other external_ids:weir-endpoint=theirs ofport_request=77 \
         -- set bridge br-int other-config:disable-in-band=false other-config:theirs=1 \
         -- set interface vxlan options:local_ip=10.0.0.9 options:tos=3 -- clear controller br-int max_backoff \
         -- del-port br-phy weir-int",
    );
    node.ofctl("add-flow", &["table=62,metadata=7,actions=load:1->NXM_NX_REG0[]"]);
    let mut wanted = desired(&["tcp:127.0.0.1:6699", "tcp:127.0.0.1:6653"]);
    soon("the port is known", switch.client().wait_for(|replica| replica.named("Port", "other").map(drop)))
        .await
        .unwrap();
    assert!(switch.reconcile(&wanted).await.unwrap());
    wanted.targets.pop();
    assert!(switch.reconcile(&wanted).await.unwrap());
    assert!(!switch.reconcile(&wanted).await.unwrap(), "then nothing differs");
    let vsctl = |arguments: &str| node.database.vsctl(arguments);
    assert_eq!(
        vsctl("get bridge br-int other-config:disable-in-band other-config:theirs"),
        "\"true\"\n\"1\""
    );
    assert_eq!(vsctl("get interface vxlan options:local_ip options:tos"), "\"172.31.0.1\"\n\"3\"");
    assert_eq!(vsctl("get-controller br-int"), "tcp:127.0.0.1:6699");
    assert_eq!(vsctl("get controller br-int max_backoff"), "1000");
    assert_eq!(vsctl("list-ports br-int"), "other\nuplink\nvxlan");
    assert_eq!(vsctl("list-ports br-phy"), "nic\nweir-int");
    let flows = node.ofctl("dump-flows", &["table=62"]);
    assert!(flows.contains("metadata=0x7"), "replacing targets keeps the flows: {flows}");
    let replica = switch.replica().await.unwrap();
    assert_eq!(foreign_ofports(&replica).into_iter().collect::<Vec<_>>(), [77]);
}

#[tokio::test]
async fn an_endpoint_is_plugged_with_its_number_or_not_at_all() {
    if !has_ovs(true) {
        return;
    }
    let (node, switch) = node_with_bridges().await;
    node.namespace.veth("we1024");
    let begun = std::time::Instant::now();
    switch.plug(&port(7, 1024)).await.unwrap();
    eprintln!("plugged in {:?}", begun.elapsed());
    assert_eq!(wanted_number(&node, "we1024"), "1024");
    assert_eq!(
        node.database.vsctl("get interface we1024 external_ids:attached-mac"),
        "\"02:42:0a:00:00:01\""
    );
    switch.plug(&port(7, 1024)).await.expect("plugging again does nothing");

    node.namespace.veth("other");
    node.database.vsctl_wait(
        "add-port br-int other -- set interface other ofport_request=1025 external_ids:weir-endpoint=theirs",
    );
    node.namespace.veth("we1025");
    match switch.plug(&port(8, 1025)).await {
        Err(PlugError::OfportTaken { got }) => assert_ne!(got, 1025),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        node.database.vsctl("list-ports br-int"),
        "other\nuplink\nvxlan\nwe1024",
        "the port is gone again"
    );
    assert!(!node.ofctl("show", &[]).contains("we1025"));

    match switch.plug(&port(9, 1026)).await {
        Err(PlugError::Refused { reason }) => assert!(reason.contains("we1026"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(switch.plug(&port(9, 1024)).await, Err(PlugError::NameTaken { .. })));
    node.namespace.veth("we1030");
    switch.plug(&port(7, 1030)).await.expect("the endpoint's port moves to its new number");
    assert_eq!(node.database.vsctl("list-ports br-int"), "other\nuplink\nvxlan\nwe1030");
    let states = endpoints(&switch.replica().await.unwrap());
    assert_eq!(
        states.iter().map(|state| (state.endpoint_id, state.is_plugged())).collect::<Vec<_>>(),
        [(7, true)]
    );

    assert!(switch.unplug(7).await.unwrap());
    assert!(!node.ofctl("show", &[]).contains("we1030"), "the switch has let go of it");
    assert!(!switch.unplug(7).await.unwrap());
}

#[tokio::test]
async fn a_number_goes_from_one_endpoint_to_the_next() {
    if !has_ovs(true) {
        return;
    }
    let (node, switch) = node_with_bridges().await;
    for name in ["we1024", "we1025"] {
        node.namespace.veth(name);
    }
    switch.plug(&port(1, 1024)).await.unwrap();
    switch.plug(&port(2, 1025)).await.unwrap();
    assert!(matches!(switch.plug(&port(3, 1024)).await, Err(PlugError::NameTaken { .. })));
    assert!(switch.unplug(1).await.unwrap());
    switch.plug(&port(3, 1024)).await.unwrap();
    let mut states: Vec<_> = endpoints(&switch.replica().await.unwrap())
        .into_iter()
        .map(|state| (state.endpoint_id, state.ofport))
        .collect();
    states.sort_unstable();
    assert_eq!(states, [(2, Some(1025)), (3, Some(1024))]);
    assert!(!switch.reconcile(&desired(&["tcp:127.0.0.1:6653"])).await.unwrap(), "the bridges are as before");
}

#[tokio::test]
async fn killed_daemons_come_back_to_the_same() {
    if !has_ovs(true) {
        return;
    }
    let (mut node, switch) = node_with_bridges().await;
    node.namespace.veth("we1024");
    switch.plug(&port(7, 1024)).await.unwrap();
    let wanted = desired(&["tcp:127.0.0.1:6653"]);

    node.kill_switch();
    let hasty = Switch::new(switch.client().clone(), Duration::from_millis(200));
    assert!(matches!(hasty.unplug(7).await, Err(ovsdb_agent::bridge::SwitchError::Silent { .. })));
    node.start_switch();
    node.database.vsctl_wait("set open . external_ids:touched=1");
    switch.plug(&port(7, 1024)).await.expect("the port that was unplugged comes back");
    assert_eq!(wanted_number(&node, "we1024"), "1024");

    node.database.kill();
    let mut link = switch.client().watch();
    soon("the loss is noticed", link.wait_for(|link| !link.is_live)).await.unwrap();
    node.database.restart();
    assert!(!switch.reconcile(&wanted).await.unwrap());
    assert_eq!(wanted_number(&node, "we1024"), "1024");
}

#[tokio::test]
async fn tso_is_told_from_the_running_process_not_from_the_setting() {
    if !has_ovs(true) {
        return;
    }
    let (mut node, switch) = node_with_bridges().await;
    let mut wanted = desired(&["tcp:127.0.0.1:6653"]);
    wanted.userspace_tso = true;
    switch.reconcile(&wanted).await.unwrap();
    assert!(offload::is_requested(&switch.replica().await.unwrap()));
    assert_eq!(node.namespace.enter(offload::is_active(BR_PHY)).unwrap(), Some(false));
    assert_eq!(node.namespace.enter(offload::is_active("nic")).unwrap(), None);
    assert_eq!(node.namespace.enter(offload::is_active("none")).unwrap(), None);
    node.start_switch();
    node.database.vsctl_wait("set open . external_ids:touched=1");
    assert_eq!(node.namespace.enter(offload::is_active(BR_PHY)).unwrap(), Some(true));
}
