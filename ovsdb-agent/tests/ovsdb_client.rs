//! The OVSDB client against a real ovsdb-server.

// All of this file is a test, also what stands outside of the test functions.
#![allow(clippy::unwrap_used)]

mod ovs;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ovs::{Database, client, has_ovs, soon};
use ovsdb_agent::ovsdb::{
    Address, Atom, Client, Condition, Config, Datum, Error, Function, Mutation, Operation, Outcome, Replica,
    Settings,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

fn add_bridge(name: &str) -> Vec<Operation> {
    let bridge = Atom::NamedUuid("bridge".to_owned());
    vec![
        Operation::Comment(format!("a test adds {name}")),
        Operation::Insert { table: "Bridge", name: Some("bridge".into()), row: vec![("name", name.into())] },
        Operation::Mutate {
            table: "Open_vSwitch",
            conditions: Vec::new(),
            mutations: vec![Mutation::insert("bridges", bridge)],
        },
    ]
}

/// ovs-vsctl makes the root row on its first use; so do we.
async fn init(client: &Client) {
    let replica = soon("live", client.live()).await.unwrap();
    if replica.rows("Open_vSwitch").next().is_none() {
        let root = Operation::Insert { table: "Open_vSwitch", name: None, row: Vec::new() };
        client.transact(vec![root]).await.unwrap();
    }
}

fn names(replica: &Replica) -> Vec<String> {
    let mut names: Vec<String> =
        replica.rows("Bridge").filter_map(|(_, row)| row.string("name")).map(str::to_owned).collect();
    names.sort();
    names
}

async fn shows(client: &Client, expected: &[&str]) {
    let what = format!("bridges {expected:?}");
    soon(&what, client.wait_for(|replica| (names(replica) == expected).then_some(()))).await.unwrap();
}

async fn is_down(client: &Client) -> Error {
    let mut link = client.watch();
    let down = soon("down", link.wait_for(|link| !link.is_live && link.error.is_some())).await.unwrap();
    down.error.clone().unwrap()
}

#[tokio::test]
async fn transactions_and_changes_by_others_reach_the_replica() {
    if !has_ovs(false) {
        return;
    }
    let database = Database::start();
    let client = database.client();
    init(&client).await;
    let outcomes = client.transact(add_bridge("br0")).await.unwrap();
    let uuid = outcomes[1].uuid.expect("insert gives the row's UUID");
    assert_eq!(outcomes[2].count, Some(1));
    let replica = client.replica().unwrap();
    assert_eq!(
        replica.named("Bridge", "br0").map(|(uuid, _)| uuid),
        Some(uuid),
        "the update comes before the reply"
    );
    assert_eq!(database.vsctl("list-br"), "br0");

    database.vsctl("set bridge br0 fail_mode=secure other-config:a=1 other-config:b=2 protocols=OpenFlow13");
    soon(
        "fail_mode",
        client.wait_for(|replica| replica.named("Bridge", "br0")?.1.string("fail_mode").map(drop)),
    )
    .await
    .unwrap();
    database.vsctl(
        "remove bridge br0 other-config a -- set bridge br0 other-config:b=3 protocols=OpenFlow13,OpenFlow14",
    );
    let config = |replica: &Replica| {
        replica.named("Bridge", "br0").and_then(|(_, row)| row.column("other_config").cloned())
    };
    let wanted = Some(Datum::map([("b", "3")]));
    soon("other_config", client.wait_for(|replica| (config(replica) == wanted).then_some(()))).await.unwrap();
    let replica = client.replica().unwrap();
    let (_, row) = replica.named("Bridge", "br0").unwrap();
    assert_eq!(row.column("protocols"), Some(&Datum::set(["OpenFlow13", "OpenFlow14"])));

    database.vsctl("del-br br0");
    shows(&client, &[]).await;
}

#[tokio::test]
async fn a_refused_transaction_changes_nothing_and_says_why() {
    if !has_ovs(false) {
        return;
    }
    let database = Database::start();
    let client = database.client();
    init(&client).await;
    client.transact(add_bridge("br0")).await.unwrap();
    let mut twice = vec![Operation::Mutate {
        table: "Open_vSwitch",
        conditions: Vec::new(),
        mutations: vec![Mutation::add("next_cfg", 1)],
    }];
    twice.extend(add_bridge("br0"));
    match client.transact(twice).await {
        Err(Error::Refused { index: 4, error }) => assert_eq!(error.error, "constraint violation"),
        other => panic!("{other:?}"),
    }
    assert_eq!(database.vsctl("get open . next_cfg"), "0", "the operation before it is undone");

    let wait = Operation::Wait {
        table: "Bridge",
        conditions: vec![Condition { column: "name", function: Function::Equals, value: "br0".into() }],
        columns: vec!["fail_mode"],
        rows: vec![vec![("fail_mode", "secure".into())]],
    };
    match client.transact(vec![wait, Operation::Delete { table: "Bridge", conditions: Vec::new() }]).await {
        Err(Error::Refused { index: 0, error }) => assert_eq!(error.error, "timed out"),
        other => panic!("{other:?}"),
    }
    let bad_type =
        Operation::Update { table: "Bridge", conditions: Vec::new(), row: vec![("ports", 3.into())] };
    assert!(matches!(client.transact(vec![bad_type]).await, Err(Error::Refused { index: 0, .. })));
    let select = Operation::Select { table: "Bridge", conditions: Vec::new(), columns: vec!["name"] };
    let outcomes: Vec<Outcome> = client.transact(vec![select]).await.unwrap();
    assert_eq!(outcomes[0].rows, [[("name".to_owned(), Datum::from("br0"))]]);
}

#[tokio::test]
async fn a_killed_server_is_found_again_and_the_replica_follows() {
    if !has_ovs(false) {
        return;
    }
    let mut database = Database::start();
    let client = database.client();
    init(&client).await;
    client.transact(add_bridge("br0")).await.unwrap();
    database.kill();
    is_down(&client).await;
    assert_eq!(names(&client.replica().unwrap()), ["br0"], "what was known is kept");
    assert!(matches!(client.transact(add_bridge("br1")).await, Err(Error::NotConnected)));
    database.restart();
    soon("live again", client.live()).await.unwrap();
    assert_eq!(names(&client.replica().unwrap()), ["br0"]);
    database.vsctl("add-br br2 -- del-br br0");
    shows(&client, &["br2"]).await;
}

#[tokio::test]
async fn an_idle_tcp_connection_is_kept_by_answering_echo() {
    if !has_ovs(false) {
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let database = Database::with(&["db:Open_vSwitch,Open_vSwitch,manager_options".to_owned()]);
    init(&database.client()).await;
    // The server probes after 500 ms of silence and hangs up after as long again.
    database.vsctl(&format!("set-manager ptcp:{port}:127.0.0.1 -- set manager . inactivity_probe=500"));
    let address: Address = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    let mut settings = Settings::new("Open_vSwitch", ovsdb_agent::bridge::MONITORED);
    settings.probe_interval = Duration::from_secs(60);
    let client = Client::start(Config::new(address, settings));
    soon("live", client.live()).await.unwrap();
    let mut link = client.watch();
    let lost = tokio::time::timeout(Duration::from_millis(2500), link.wait_for(|link| !link.is_live)).await;
    assert!(lost.is_err(), "lost: {:?}", client.watch().borrow().error);
    client.transact(add_bridge("br0")).await.unwrap();
}

#[tokio::test]
async fn garbage_is_named_and_the_client_goes_on_trying() {
    if !has_ovs(false) {
        return;
    }
    let mut database = Database::start();
    init(&database.client()).await;
    database.kill();
    drop(std::fs::remove_file(database.socket()));
    for (garbage, reason) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "found byte 0x48"),
        ("{\"id\":0,\"result\":{]}", "not JSON"),
        ("{\"id\":0,\"result\":{},\"error\":null}", "a schema with tables"),
        ("{\"id\":0,\"result\":null,\"error\":{\"error\":\"unknown database\"}}", "unknown database"),
    ] {
        let listener = UnixListener::bind(database.socket()).unwrap();
        let client = client(Address::Unix(database.socket()));
        let (mut peer, _) = soon("a connection", listener.accept()).await.unwrap();
        peer.write_all(garbage.as_bytes()).await.unwrap();
        let error = is_down(&client).await.to_string();
        assert!(error.contains(reason), "{error}");
        drop((listener, peer));
        std::fs::remove_file(database.socket()).unwrap();
        database.restart();
        soon("live in the end", client.live()).await.unwrap();
        database.kill();
        drop(std::fs::remove_file(database.socket()));
    }
}

#[tokio::test]
async fn a_transaction_cut_off_has_an_unknown_outcome() {
    if !has_ovs(false) {
        return;
    }
    let database = Database::start();
    let proxy = Proxy::start(database.socket(), database.path("proxy.sock"));
    let client = client(Address::Unix(database.path("proxy.sock")));
    init(&client).await;
    proxy.cut_at(Some("transact"));
    assert!(matches!(client.transact(add_bridge("br0")).await, Err(Error::OutcomeUnknown)));
    proxy.cut_at(None);
    soon("live again", client.live()).await.unwrap();
    client.transact(add_bridge("br0")).await.unwrap();
    shows(&client, &["br0"]).await;
}

#[tokio::test]
async fn a_server_that_remembers_sends_nothing_twice() {
    if !has_ovs(false) {
        return;
    }
    let database = Database::clustered();
    let proxy = Proxy::start(database.socket(), database.path("proxy.sock"));
    let client = client(Address::Unix(database.path("proxy.sock")));
    init(&client).await;
    client.transact(add_bridge("br0")).await.unwrap();
    proxy.cut_at(Some(""));
    is_down(&client).await;
    proxy.forget();
    proxy.cut_at(None);
    soon("live again", client.live()).await.unwrap();
    shows(&client, &["br0"]).await;
    let sent = proxy.sent();
    assert!(sent.contains("\"result\":[true,"), "the server takes up from the last transaction");
    assert!(!sent.contains("\"name\":\"br0\""), "what was known is not sent again");
    database.vsctl("add-br br1");
    shows(&client, &["br0", "br1"]).await;
}

/// Passes bytes on to a real server, keeps what the server sent, and cuts connections on demand.
struct Proxy {
    cut: watch::Sender<Option<&'static str>>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    fn start(server: PathBuf, path: PathBuf) -> Self {
        let (cut, receiver) = watch::channel(None);
        let sent = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(path).unwrap();
        let kept = sent.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), receiver.clone(), kept.clone()));
            }
        });
        Self { cut, sent }
    }

    /// From now on cuts a connection whose client says this; the empty text cuts all and lets none begin.
    fn cut_at(&self, text: Option<&'static str>) {
        self.cut.send_replace(text);
    }

    fn forget(&self) {
        self.sent.lock().unwrap().clear();
    }

    /// What the server has sent.
    fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap()).into_owned()
    }
}

async fn pass(
    mut client: UnixStream,
    server: impl AsRef<Path>,
    mut cut: watch::Receiver<Option<&'static str>>,
    kept: Arc<Mutex<Vec<u8>>>,
) {
    let Ok(mut server) = UnixStream::connect(server).await else { return };
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        if *cut.borrow_and_update() == Some("") {
            return;
        }
        tokio::select! {
            changed = cut.changed() => if changed.is_err() { return },
            n_read = client.read(&mut up) => {
                let Ok(n_read @ 1..) = n_read else { return };
                let cut = *cut.borrow();
                if cut.is_some_and(|text| String::from_utf8_lossy(&up[..n_read]).contains(text)) {
                    return;
                }
                server.write_all(&up[..n_read]).await.unwrap();
            }
            n_read = server.read(&mut down) => {
                let Ok(n_read @ 1..) = n_read else { return };
                kept.lock().unwrap().extend(&down[..n_read]);
                client.write_all(&down[..n_read]).await.unwrap();
            }
        }
    }
}
