//! The HTTP/JSON interface through real HTTP: what it does, and every way in which it refuses.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use support::http::Http;
use support::{Agent, PATIENCE, World, container, vlan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Request;
use weir_api::v1::*;

const WEB: &str = r#"{"name":"web","network":"net","address":"10.1.0.9"}"#;

#[tokio::test]
async fn what_is_made_by_http_is_what_grpc_has() {
    let (world, mut one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let pool = http.send("POST", "/v1/pools", &[], r#"{"name":"q","vlans":{"first":300,"last":310}}"#).await;
    assert_eq!(pool.ok()["vlans"], json!({"first": 300, "last": 310}));
    assert_eq!(pool.header("etag"), format!("\"{}\"", pool.json()["revision"].as_str().unwrap()));
    let network = r#"{"name":"n","driver":"vxlan","subnet":"10.9.0.0/24"}"#;
    assert_eq!(http.send("POST", "/v1/pools/q/networks", &[], network).await.ok()["mtu"], 1450);
    let names = |answer: &Value, list: &str| {
        let names = answer[list].as_array().unwrap().iter();
        names.map(|thing| thing["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&http.get("/v1/pools").await.ok(), "pools"), ["p", "q"]);
    assert_eq!(names(&http.get("/v1/networks").await.ok(), "networks"), ["net", "n"]);
    assert_eq!(names(&http.get("/v1/pools/q/networks").await.ok(), "networks"), ["n"]);
    assert_eq!(names(&http.get("/v1/nodes").await.ok(), "nodes"), ["n1", "n2"]);
    assert_eq!(http.get("/v1/pools/q/nodes").await.ok(), json!({"nodes": []}));

    let body = r#"{"name":"web","network":"net","node":"n1","labels":{"tier":"front"}}"#;
    let create = http.send("POST", "/v1/pools/p/containers?wait=true", &[("prefer", "wait=9")], body);
    let (created, _) = tokio::join!(create, one.obey());
    assert_eq!(created.ok()["status"]["phase"], "READY");
    let found = world.get("web").await.unwrap();
    assert_eq!((found.labels["tier"].as_str(), found.address.as_str()), ("front", "10.1.0.3"));
    let got = http.get("/v1/pools/p/containers/web").await;
    assert_eq!(got.header("etag"), format!("\"{}\"", found.revision));
    assert_eq!(got.ok()["address"], "10.1.0.3");
    assert_eq!(names(&http.get("/v1/pools/p/containers?node=n1").await.ok(), "containers"), ["web"]);
    assert_eq!(http.get("/v1/pools/p/containers?node=n2").await.ok()["containers"], json!([]));
    assert_eq!(http.get("/v1/pools/p/status").await.ok()["containers_ready"], 1);

    let scheduling = r#"{"scheduling":"CORDONED"}"#;
    let cordoned = http.send("PUT", "/v1/pools/p/nodes/n2/scheduling", &[], scheduling).await;
    assert_eq!(cordoned.ok()["scheduling"], "CORDONED");
    let preview = http.send("POST", "/v1/pools/p/preview", &[], r#"{"network":"net"}"#).await.ok();
    assert_eq!((&preview["node"], &preview["candidates"][1]["filter"]), (&json!("n1"), &json!("cordon")));
    let moved = http.send("POST", "/v1/pools/p/containers/web/move", &[], "{}").await;
    assert_eq!((moved.status, moved.json()["code"].as_str()), (409, Some("FAILED_PRECONDITION")));
    let deleted = http.ask("DELETE", "/v1/pools/p/containers/web", &[], "").await.ok();
    assert_eq!(deleted["status"]["phase"], "DELETING");
    assert_eq!(http.ask("DELETE", "/v1/pools/q/networks/n", &[], "").await.ok(), json!({}));
    assert_eq!(http.ask("DELETE", "/v1/pools/q", &[], "").await.ok(), json!({}));
    assert_eq!(http.get("/v1/pools/q").await.status, 404);
    let events = http.get("/v1/pools/p/events?container=web&past_only=true").await;
    let text = String::from_utf8(events.body.to_vec()).unwrap();
    assert!(text.starts_with("data: {") && text.contains("\"reason\":\"Ready\""), "{text}");
}

#[tokio::test]
async fn a_quota_is_changed_in_part_as_it_was_seen_and_says_when_it_is_used_up() {
    let (world, _one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let seen = http.get("/v1/pools/p").await;
    let as_seen = [("if-match", seen.header("etag"))];
    let patch = async |headers: &[_], body| http.send("PATCH", "/v1/pools/p", headers, body).await;
    let limited = patch(&as_seen, r#"{"max_containers":1,"max_addresses":9}"#).await;
    assert_eq!(limited.ok()["quota"], json!({"containers": 1, "addresses": 9}));
    let stale = patch(&as_seen, r#"{"max_containers":5}"#).await;
    assert_eq!((stale.status, stale.json()["code"].as_str()), (412, Some("ABORTED")));
    assert_eq!(patch(&[], r#"{"max_addresses":0}"#).await.ok()["quota"], json!({"containers": 1}));
    let nowhere = http.send("PATCH", "/v1/pools/none", &[], "{}").await;
    assert_eq!((nowhere.status, nowhere.blamed()), (404, vec!["name".to_owned()]));
    let unknown = patch(&[], r#"{"max_nodes":1}"#).await;
    assert_eq!(unknown.status, 400, "{unknown:?}");
    world.create(container("one"), false).await.unwrap();
    let over = http.send("POST", "/v1/pools/p/containers", &[], WEB).await;
    assert_eq!((over.status, over.json()["code"].as_str()), (429, Some("RESOURCE_EXHAUSTED")));
    assert!(over.json()["detail"].as_str().unwrap().contains("a quota of 1 containers"), "{over:?}");
    assert_eq!(http.get("/v1/pools/p").await.ok()["used"], json!({"containers": 1, "addresses": 1}));
}

/// A request that must be refused: method, path, headers, body; then the status, the code, and the field that is blamed.
type Refused<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], String, u16, &'a str, &'a str);

#[tokio::test]
async fn bad_requests_are_refused_with_the_field_and_change_nothing() {
    let (world, _one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let docker = json!({"name": "job", "network": "net", "image": "busybox:latest"}).to_string();
    assert_eq!(http.send("POST", "/v1/pools/p/containers", &[], &docker).await.status, 200);
    assert_eq!(
        http.send("POST", "/v1/pools/p/containers", &[("idempotency-key", "k1")], WEB).await.status,
        200
    );
    let before = world.revision();
    let (pools, networks, containers) = ("/v1/pools", "/v1/pools/p/networks", "/v1/pools/p/containers");
    let with = |base: Value, field: &str, value: Value| {
        let mut object = base;
        object[field] = value;
        object.to_string()
    };
    let network =
        |field, value| with(json!({"name": "x", "driver": "vlan", "subnet": "10.2.0.0/24"}), field, value);
    let container = |field, value| with(json!({"name": "x", "network": "net"}), field, value);
    let none = String::new;
    let long = "x".repeat(64);
    let stale: &[(&str, &str)] = &[("if-match", "\"1\"")];
    let tokens = "/v1/tokens";
    let (bad, missing, conflict) = ("INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS");
    let cases: Vec<Refused<'_>> = vec![
        // Missing.
        ("POST", pools, &[], "{}".to_owned(), 400, bad, "name"),
        ("POST", networks, &[], "{}".to_owned(), 400, bad, "subnet"),
        ("POST", networks, &[], network("subnet", json!("")), 400, bad, "subnet"),
        ("POST", networks, &[], network("driver", Value::Null), 400, bad, "driver"),
        ("POST", containers, &[], r#"{"name":"x"}"#.to_owned(), 400, bad, "network"),
        // Too long, out of range, malformed.
        ("POST", pools, &[], json!({"name": long}).to_string(), 400, bad, "name"),
        (
            "POST",
            pools,
            &[],
            json!({"name": "q", "vlans": {"first": 9, "last": 8}}).to_string(),
            400,
            bad,
            "vlans",
        ),
        ("POST", networks, &[], network("name", json!("Upper")), 400, bad, "name"),
        ("POST", networks, &[], network("subnet", json!("10.2.0.0/33")), 400, bad, "subnet"),
        ("POST", networks, &[], network("gateway", json!("10.3.0.1")), 400, bad, "gateway"),
        ("POST", networks, &[], network("vlan", json!(4095)), 400, bad, "vlan"),
        ("POST", networks, &[], network("vni", json!(7)), 400, bad, "vni"),
        ("POST", networks, &[], network("mtu", json!(10)), 400, bad, "mtu"),
        ("POST", networks, &[], network("block_prefix_len", json!(3)), 400, bad, "block_prefix_len"),
        ("POST", containers, &[], container("name", json!(long)), 400, bad, "name"),
        ("POST", containers, &[], container("service", json!("-")), 400, bad, "service"),
        ("POST", containers, &[], container("address", json!("ten")), 400, bad, "address"),
        ("POST", containers, &[], container("address", json!("10.9.0.1")), 400, bad, "address"),
        ("POST", containers, &[], container("image", json!("x".repeat(5000))), 400, bad, "image"),
        ("POST", containers, &[], container("labels", json!({"": ""})), 400, bad, "labels"),
        ("POST", containers, &[], container("constraints", json!(["rack=1"])), 400, bad, "constraints"),
        ("POST", containers, &[], container("affinities", json!(["==web"])), 400, bad, "affinities"),
        ("POST", containers, &[], container("runtime", json!("vm")), 400, bad, "runtime"),
        ("POST", containers, &[], container("command", json!(["sh"])), 400, bad, "command"),
        ("POST", "/v1/pools/p/preview", &[], container("address", json!("10.9.0.1")), 400, bad, "address"),
        // The wrong type.
        ("POST", networks, &[], network("vlan", json!("many")), 400, bad, "vlan"),
        ("POST", networks, &[], network("vlan", json!(-1)), 400, bad, "vlan"),
        ("POST", networks, &[], network("mtu", json!(true)), 400, bad, "mtu"),
        ("POST", containers, &[], container("name", json!(5)), 400, bad, "name"),
        ("POST", containers, &[], container("labels", json!({"a": 1})), 400, bad, "labels.a"),
        ("POST", containers, &[], container("command", json!("sh")), 400, bad, "command"),
        ("POST", containers, &[], container("resources", json!({"pids": 1.5})), 400, bad, "resources.pids"),
        ("POST", containers, &[], container("restart", json!({"mode": "NEVER"})), 400, bad, "restart.mode"),
        ("POST", "/v1/pools/p/containers?wait=yes", &[], container("image", json!("")), 400, bad, "wait"),
        ("GET", "/v1/pools?page_size=few", &[], none(), 400, bad, "page_size"),
        ("GET", "/v1/pools?page_token=few", &[], none(), 400, bad, "page_token"),
        ("GET", "/v1/containers?page_token=few/web", &[], none(), 400, bad, "page_token"),
        ("GET", "/v1/pools/p/containers/job/log?since=noon", &[], none(), 400, bad, "since"),
        // Unknown fields and parameters.
        ("POST", pools, &[], r#"{"name":"q","colour":"red"}"#.to_owned(), 400, bad, "colour"),
        ("POST", containers, &[], container("resources", json!({"gpu": 1})), 400, bad, "resources.gpu"),
        ("POST", "/v1/pools/p/containers?colour=red", &[], WEB.to_owned(), 400, bad, "colour"),
        ("GET", "/v1/containers?labels=a", &[], none(), 400, bad, "labels"),
        ("GET", "/v1/containers?network=net", &[], none(), 400, bad, "pool"),
        (
            "PUT",
            "/v1/pools/p/nodes/n1/scheduling",
            &[],
            r#"{"scheduling":"AWAY"}"#.to_owned(),
            400,
            bad,
            "scheduling",
        ),
        (
            "PUT",
            "/v1/pools/p/nodes/n1/scheduling",
            &[],
            r#"{"scheduling":9}"#.to_owned(),
            400,
            bad,
            "scheduling",
        ),
        ("PUT", "/v1/pools/p/nodes/n1/scheduling", &[], r#"{"name":"n2"}"#.to_owned(), 400, bad, "name"),
        ("POST", containers, &[], container("pool", json!("q")), 400, bad, "pool"),
        // What is not there.
        ("GET", "/v1/pools/none", &[], none(), 404, missing, "name"),
        ("DELETE", "/v1/pools/none", &[], none(), 404, missing, "name"),
        ("GET", "/v1/pools/none/networks", &[], none(), 404, missing, "pool"),
        ("GET", "/v1/pools/p/networks/none", &[], none(), 404, missing, "name"),
        ("DELETE", "/v1/pools/p/networks/none", &[], none(), 404, missing, "name"),
        ("GET", "/v1/pools/none/nodes", &[], none(), 404, missing, "pool"),
        ("GET", "/v1/pools/p/nodes/none", &[], none(), 404, missing, "name"),
        ("DELETE", "/v1/pools/p/nodes/none", &[], none(), 404, missing, "name"),
        ("GET", "/v1/pools/p/nodes/none/flows", &[], none(), 404, missing, "name"),
        ("PUT", "/v1/pools/p/nodes/none/scheduling", &[], "{}".to_owned(), 404, missing, "name"),
        ("POST", containers, &[], container("network", json!("none")), 404, missing, "network"),
        ("POST", containers, &[], container("node", json!("none")), 404, missing, "node"),
        ("GET", "/v1/pools/p/containers?node=none", &[], none(), 404, missing, "node"),
        ("GET", "/v1/pools/p/containers/none", &[], none(), 404, missing, "name"),
        ("DELETE", "/v1/pools/p/containers/none", &[], none(), 404, missing, "name"),
        ("POST", "/v1/pools/p/containers/none/start", &[], "{}".to_owned(), 404, missing, "name"),
        ("POST", "/v1/pools/p/containers/none/stop", &[], "{}".to_owned(), 404, missing, "name"),
        ("POST", "/v1/pools/p/containers/none/move", &[], "{}".to_owned(), 404, missing, "name"),
        ("POST", "/v1/pools/p/containers/web/move", &[], r#"{"node":"n9"}"#.to_owned(), 404, missing, "node"),
        ("GET", "/v1/pools/p/containers/none/log", &[], none(), 404, missing, "name"),
        ("GET", "/v1/pools/none/watch", &[], none(), 404, missing, "pool"),
        ("GET", "/v1/pools/none/events", &[], none(), 404, missing, "pool"),
        ("GET", "/v1/pools/none/status", &[], none(), 404, missing, "pool"),
        // The same again with other content.
        ("POST", pools, &[], r#"{"name":"p","default_image":"busybox"}"#.to_owned(), 409, conflict, "name"),
        ("POST", networks, &[], network("name", json!("net")), 409, conflict, "name"),
        ("POST", networks, &[], network("subnet", json!("10.1.0.0/25")), 409, conflict, "subnet"),
        ("POST", containers, &[], container("name", json!("job")), 409, conflict, "image"),
        ("POST", containers, &[], container("address", json!("10.1.0.9")), 409, conflict, "address"),
        (
            "POST",
            containers,
            &[("idempotency-key", "k1")],
            container("image", json!("")),
            409,
            conflict,
            "Idempotency-Key",
        ),
        (
            "POST",
            networks,
            &[("idempotency-key", "k1")],
            network("mtu", json!(1500)),
            409,
            conflict,
            "Idempotency-Key",
        ),
        // Another revision.
        ("DELETE", "/v1/pools/p", stale, none(), 412, "ABORTED", "If-Match"),
        ("DELETE", "/v1/pools/p/networks/net", stale, none(), 412, "ABORTED", "If-Match"),
        ("DELETE", "/v1/pools/p/nodes/n1", stale, none(), 412, "ABORTED", "If-Match"),
        (
            "PUT",
            "/v1/pools/p/nodes/n1/scheduling",
            stale,
            r#"{"scheduling":"CORDONED"}"#.to_owned(),
            412,
            "ABORTED",
            "If-Match",
        ),
        ("DELETE", "/v1/pools/p/containers/web", stale, none(), 412, "ABORTED", "If-Match"),
        ("POST", "/v1/pools/p/containers/job/stop", stale, "{}".to_owned(), 412, "ABORTED", "If-Match"),
        ("POST", "/v1/pools/p/containers/job/start", stale, "{}".to_owned(), 412, "ABORTED", "If-Match"),
        ("POST", "/v1/pools/p/containers/web/move", stale, "{}".to_owned(), 412, "ABORTED", "If-Match"),
        // Headers.
        ("DELETE", "/v1/pools/p", &[("if-match", "W/\"1\"")], none(), 400, bad, "If-Match"),
        ("POST", pools, &[("if-match", "\"1\"")], r#"{"name":"q"}"#.to_owned(), 400, bad, "If-Match"),
        (
            "POST",
            pools,
            &[("idempotency-key", "a b")],
            r#"{"name":"q"}"#.to_owned(),
            400,
            bad,
            "Idempotency-Key",
        ),
        ("DELETE", "/v1/pools/p", &[("idempotency-key", "k")], none(), 400, bad, "Idempotency-Key"),
        ("GET", "/v1/watch", &[("last-event-id", "soon")], none(), 400, bad, "Last-Event-ID"),
        // What the state forbids.
        ("DELETE", "/v1/pools/p", &[], none(), 409, "FAILED_PRECONDITION", ""),
        ("DELETE", "/v1/pools/p/networks/net", &[], none(), 409, "FAILED_PRECONDITION", ""),
        ("DELETE", "/v1/pools/p/nodes/n1", &[], none(), 409, "FAILED_PRECONDITION", ""),
        ("POST", "/v1/pools/p/containers/web/stop", &[], "{}".to_owned(), 409, "FAILED_PRECONDITION", ""),
        ("GET", "/v1/pools/p/containers/web/log", &[], none(), 409, "FAILED_PRECONDITION", ""),
        // Quotas, tokens and revocation.
        ("PATCH", "/v1/pools/p", &[], r#"{"max_containers":-1}"#.to_owned(), 400, bad, "max_containers"),
        ("PATCH", "/v1/pools/p", stale, r#"{"max_containers":1}"#.to_owned(), 412, "ABORTED", "If-Match"),
        ("POST", tokens, &[], r#"{"role":"POOL"}"#.to_owned(), 400, bad, "pool"),
        ("POST", tokens, &[], r#"{"role":"ADMIN","pool":"p"}"#.to_owned(), 400, bad, "pool"),
        ("POST", tokens, &[], r#"{"role":"BOSS"}"#.to_owned(), 400, bad, "role"),
        ("POST", tokens, &[], "{}".to_owned(), 400, bad, "role"),
        ("POST", tokens, &[], r#"{"role":"ADMIN","ttl_s":"999999999999"}"#.to_owned(), 400, bad, "ttl_s"),
        ("POST", "/v1/pools/none/tokens", &[], r#"{"role":"JOIN"}"#.to_owned(), 404, missing, "pool"),
        ("POST", tokens, &[("idempotency-key", "k")], "{}".to_owned(), 400, bad, "Idempotency-Key"),
        ("GET", "/v1/tokens?page_token=few", &[], none(), 400, bad, "page_token"),
        ("DELETE", "/v1/tokens/none", &[], none(), 404, missing, "id"),
        ("POST", "/v1/pools/p/nodes/none/revoke", &[], "{}".to_owned(), 404, missing, "name"),
        // HTTP's own.
        ("POST", pools, &[], "{".to_owned(), 400, bad, ""),
        ("POST", pools, &[], "[]".to_owned(), 400, bad, ""),
        ("POST", pools, &[], json!({"name": "x".repeat(1 << 20)}).to_string(), 413, bad, ""),
        ("DELETE", "/v1/pools/p", &[], "{}".to_owned(), 400, bad, ""),
        ("GET", "/v1/pools/%ff", &[], none(), 400, bad, "path"),
        ("GET", "/v1/spaceships", &[], none(), 404, missing, ""),
        ("PUT", "/v1/pools/p", &[], "{}".to_owned(), 405, "UNIMPLEMENTED", ""),
    ];
    let n = cases.len();
    for (method, path, headers, body, status, code, field) in cases {
        let answer = http.send(method, path, headers, &body).await;
        let what = format!("{method} {path} {headers:?} {}", body.chars().take(200).collect::<String>());
        let shown = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{what}: {shown}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}: {shown}");
        let problem = answer.json();
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{what}: {shown}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {shown}");
        assert_eq!(answer.blamed().join(","), field, "{what}: {shown}");
        assert_eq!(world.revision(), before, "{what} has changed something");
    }
    let plain = http.ask("POST", pools, &[("content-type", "text/plain")], r#"{"name":"q"}"#).await;
    assert_eq!((plain.status, world.revision()), (415, before), "a form of another origin may be sent so");
    assert_eq!(http.send("PUT", "/v1/pools/p", &[], "").await.header("allow"), "GET,HEAD,PATCH,DELETE");
    eprintln!("{n} bad requests");
}

#[tokio::test]
async fn a_key_makes_one_container_also_across_a_restart() {
    let (world, _one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let key: &[(&str, &str)] = &[("idempotency-key", "order-7")];
    let nameless = r#"{"network":"net"}"#;
    let (first, second) = tokio::join!(
        http.send("POST", "/v1/pools/p/containers", key, nameless),
        http.send("POST", "/v1/pools/p/containers", key, nameless)
    );
    assert_eq!(first.ok()["name"], second.ok()["name"]);
    let other =
        http.send("POST", "/v1/pools/p/containers", &[("idempotency-key", "order-8")], nameless).await;
    assert_ne!(other.ok()["name"], first.json()["name"]);
    let pool = http.send("POST", "/v1/pools", key, r#"{"name":"q"}"#).await;
    assert_eq!(pool.status, 200, "keys of one pool are none of another's, nor of pools");
    assert_eq!(http.send("POST", "/v1/pools", key, r#"{"name":"r"}"#).await.status, 409);

    // The store as a controller finds it that starts again.
    let copy = tempfile::tempdir().unwrap();
    let store = copy.path().join("intent.redb");
    std::fs::copy(world.dir.path().join("intent.redb"), &store).unwrap();
    let again = World::over(copy).await;
    let http = Http::of(&again).await;
    let before = again.revision();
    let repeated = http.send("POST", "/v1/pools/p/containers", key, nameless).await.ok();
    assert_eq!(
        (&repeated["name"], &repeated["revision"]),
        (&first.json()["name"], &first.json()["revision"])
    );
    let changed =
        http.send("POST", "/v1/pools/p/containers", key, r#"{"network":"net","service":"s"}"#).await;
    assert_eq!((changed.status, changed.blamed()), (409, vec!["service".to_owned()]));
    assert_eq!(again.revision(), before);
}

#[tokio::test]
async fn a_change_is_made_at_the_revision_that_it_was_made_up_for() {
    let (world, _one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let created = http.send("POST", "/v1/pools/p/containers", &[], WEB).await;
    let tag = created.header("etag").to_owned();
    let moved = http.send("POST", "/v1/pools/p/containers/web/move", &[("if-match", &tag)], "{}").await;
    assert_eq!(moved.status, 200, "{:?}", moved.body);
    assert_ne!(moved.header("etag"), tag);
    let stale = http.ask("DELETE", "/v1/pools/p/containers/web", &[("if-match", &tag)], "").await;
    assert_eq!(stale.status, 412);
    let mut request = Request::new(DeleteContainerRequest {
        pool: "p".to_owned(),
        name: "web".to_owned(),
        ..DeleteContainerRequest::default()
    });
    request.metadata_mut().insert("if-match", tag.parse().unwrap());
    let status = world.containers().delete_container(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted, "{status}");
    let now = moved.header("etag");
    assert_eq!(http.ask("DELETE", "/v1/pools/p/containers/web", &[("if-match", now)], "").await.status, 200);
}

#[tokio::test]
async fn lists_come_whole_or_page_by_page() {
    let (world, _one, _two) = World::furnished().await;
    world.pool("q").await.unwrap();
    world.network(vlan("q", "net", "10.1.0.0/24", "")).await.unwrap();
    let _third = Agent::join(&world, "q", "n1", 3).await;
    let mut expected = Vec::new();
    for n in 0..7 {
        for pool in ["p", "q"] {
            let name = format!("c{n}");
            let c = Container { pool: pool.to_owned(), ..container(&name) };
            world.create(c, false).await.unwrap();
            expected.push((pool.to_owned(), name));
        }
    }
    expected.sort();
    let http = Http::of(&world).await;
    let keys = |answer: &Value| {
        let all = answer["containers"].as_array().unwrap().iter();
        all.map(|c| (c["pool"].as_str().unwrap().to_owned(), c["name"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let whole = http.get("/v1/containers").await.ok();
    assert_eq!((keys(&whole), &whole["next_page_token"]), (expected.clone(), &Value::Null));
    assert_eq!(whole["revision"], world.revision().to_string());
    for (list, wanted) in [("/v1/containers", &expected[..]), ("/v1/pools/q/containers", &expected[7..])] {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = http.get(&format!("{list}?page_size=3&page_token={token}")).await.ok();
            assert!(page["containers"].as_array().unwrap().len() <= 3);
            seen.extend(keys(&page));
            let Some(next) = page["next_page_token"].as_str() else { break };
            token = next.replace('/', "%2F");
        }
        assert_eq!(seen, wanted, "{list}");
    }
    for list in ["pools", "networks", "nodes"] {
        let first = http.get(&format!("/v1/{list}?page_size=1")).await.ok();
        let token = first["next_page_token"].as_str().unwrap().replace('/', "%2F");
        let second = http.get(&format!("/v1/{list}?page_size=1000&page_token={token}")).await.ok();
        let all = http.get(&format!("/v1/{list}")).await.ok();
        let (first, second) = (first[list].as_array().unwrap(), second[list].as_array().unwrap());
        assert_eq!([&first[..], &second[..]].concat(), *all[list].as_array().unwrap(), "{list}");
    }
}

/// An event stream as it is read.
struct Events {
    body: Incoming,
    text: String,
}

#[derive(Debug, Default)]
struct Event {
    kind: String,
    id: Option<u64>,
    data: Value,
}

impl Events {
    async fn open(http: &Http, path: &str, last: Option<u64>) -> Self {
        let last = last.map(|last| last.to_string());
        let headers = last.as_ref().map(|last| ("last-event-id", last.as_str()));
        let response = http.open("GET", path, headers.as_slice(), "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    async fn next(&mut self) -> Event {
        let end = loop {
            if let Some(end) = self.text.find("\n\n") {
                break end;
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("an event in time");
            let data: Bytes = frame.expect("no end").unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        };
        let mut event = Event::default();
        for line in self.text[..end].lines() {
            match line.split_once(": ").unwrap() {
                ("event", kind) => event.kind = kind.to_owned(),
                ("id", id) => event.id = Some(id.parse().unwrap()),
                ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        self.text.drain(..end + 2);
        event
    }

    /// Reads up to an event, and says of all events before it, and it, what they are and of which container.
    async fn until(&mut self, is_last: impl Fn(&Event) -> bool) -> (Vec<(String, String)>, Event) {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await;
            let name = event.data["container"]["name"].as_str().unwrap_or_default().to_owned();
            seen.push((event.kind.clone(), name));
            if is_last(&event) {
                return (seen, event);
            }
        }
    }
}

fn deleted(event: &Event) -> bool {
    event.kind == "DELETED"
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_cut_off() {
    let (world, mut one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    world.create(Container { node: "n1".to_owned(), ..container("a") }, false).await.unwrap();
    one.obey().await;
    world.until("a", container_status::Phase::Ready, "").await;
    let mut events = Events::open(&http, "/v1/pools/p/watch", None).await;
    let added = events.next().await;
    assert_eq!((added.kind.as_str(), added.id), ("ADDED", None), "half of a state is nothing to go on from");
    let synced = events.next().await;
    assert_eq!((synced.kind.as_str(), synced.id), ("SYNCED", Some(world.revision())));
    drop(events);

    // What happens while nobody watches.
    world.create(Container { node: "n1".to_owned(), ..container("b") }, false).await.unwrap();
    one.obey().await;
    world.until("b", container_status::Phase::Ready, "").await;
    world.delete("a", false).await.unwrap();
    one.obey().await;
    let mut events = Events::open(&http, "/v1/watch", synced.id).await;
    let resumed = events.next().await;
    assert_eq!((resumed.kind.as_str(), resumed.id), ("RESUMED", synced.id));
    let (seen, last) = events.until(deleted).await;
    let told = |kind: &str, name: &str| seen.contains(&(kind.to_owned(), name.to_owned()));
    assert!(told("ADDED", "b") && told("MODIFIED", "b") && told("DELETED", "a"), "{seen:?}");
    assert!(!seen.iter().any(|(kind, _)| kind == "SYNCED"), "{seen:?}");
    drop(events);

    // From where all was told, only what is new comes; what was at that very revision may come twice.
    let mut events = Events::open(&http, "/v1/watch", last.id).await;
    assert_eq!(events.next().await.kind, "RESUMED");
    world.delete("b", false).await.unwrap();
    one.obey().await;
    let (seen, _) = events.until(|event| deleted(event) && event.data["container"]["name"] == "b").await;
    assert!(!seen.contains(&("ADDED".to_owned(), "b".to_owned())), "{seen:?}");

    // A revision that is not remembered: the present state, as for one who comes for the first time.
    for unknown in [0, 1 << 40] {
        let mut events = Events::open(&http, "/v1/watch", Some(unknown)).await;
        assert_eq!(events.next().await.kind, "SYNCED", "{unknown}");
    }
}

#[tokio::test]
async fn a_log_is_what_the_process_has_put_out() {
    let (world, mut one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let body = r#"{"name":"job","network":"net","node":"n1","image":"busybox:latest"}"#;
    assert_eq!(http.send("POST", "/v1/pools/p/containers", &[], body).await.status, 200);
    one.obey().await;
    let reading = http.get("/v1/pools/p/containers/job/log?tail=2&timestamps=true");
    let relaying = async {
        let request = loop {
            if let controller_message::Message::Log(log) = one.next().await.unwrap().unwrap() {
                break log;
            }
        };
        assert_eq!((request.tail, request.timestamps, request.follow), (Some(2), true, false));
        let said = |request| RelayLogRequest { request: Some(request) };
        let output = |output| {
            let output = LogContainerResponse { output: Some(output) };
            said(relay_log_request::Request::Output(output))
        };
        let all = tokio_stream::iter([
            said(relay_log_request::Request::Id(request.id)),
            output(log_container_response::Output::Stdout(b"one\n".to_vec())),
            output(log_container_response::Output::Stderr(b"\xfftwo\n".to_vec())),
        ]);
        world.agents().relay_log(all).await.unwrap();
    };
    let (log, ()) = tokio::join!(reading, relaying);
    assert_eq!((log.status, log.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(&log.body[..], b"one\n\xfftwo\n");
}

#[tokio::test]
async fn what_containers_use_is_what_their_nodes_say() {
    let (world, mut one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    for name in ["a", "b"] {
        world.create(Container { node: "n1".to_owned(), ..container(name) }, false).await.unwrap();
        one.obey().await;
    }
    let ids = [world.get("a").await.unwrap().endpoint_id, world.get("b").await.unwrap().endpoint_id];
    let relaying = async {
        let request = loop {
            if let controller_message::Message::Stats(stats) = one.next().await.unwrap().unwrap() {
                break stats;
            }
        };
        assert_eq!(request.endpoint_ids, ids);
        let usage = Usage { memory_bytes: Some(5), ..Usage::default() };
        let report = StatsReport { usages: [(ids[0], usage)].into() };
        let said =
            [relay_stats_request::Request::Id(request.id), relay_stats_request::Request::Report(report)];
        let said = said.map(|request| RelayStatsRequest { request: Some(request) });
        world.agents().relay_stats(tokio_stream::iter(said)).await.unwrap();
    };
    let (mut events, ()) = tokio::join!(Events::open(&http, "/v1/pools/p/stats", None), relaying);
    let data = events.next().await.data;
    assert_eq!((&data["name"], &data["usage"]["memory_bytes"]), (&json!("a"), &json!("5")));
    let data = events.next().await.data;
    assert_eq!((&data["name"], &data["usage"]), (&json!("b"), &Value::Null));
    assert!(data["problem"].as_str().unwrap().contains("does not have it"), "{data}");
    let none = http.get("/v1/pools/p/stats?names=c").await;
    assert_eq!((none.status, none.json()["code"].as_str()), (404, Some("NOT_FOUND")));
}

#[tokio::test]
async fn http2_clients_and_bare_grpc_share_the_port() {
    let (world, _one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let response = http.open_http2("GET", "/v1/pools/p").await;
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["name"], "p");
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", http.address)).unwrap();
    let mut pools = weir_api::client::pools(channel.connect().await.unwrap());
    assert_eq!(pools.list_pools(ListPoolsRequest::default()).await.unwrap().into_inner().pools.len(), 1);
    assert_eq!(http.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn clients_that_are_slow_or_greedy_hold_up_nobody() {
    let (world, _one, _two) = World::furnished().await;
    let http = Http::of(&world).await;
    let mut slow = Vec::new();
    for begun in [
        "GET /v1/po",
        "POST /v1/pools HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    ] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(http.address).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    // A watcher that does not read.
    let unread = http.open("GET", "/v1/watch", &[], "").await;
    let before = world.revision();
    for n in 0..20 {
        let body = json!({"name": format!("c{n}"), "network": "net"}).to_string();
        let answer = http.send("POST", "/v1/pools/p/containers", &[], &body);
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("an answer in time");
        assert_eq!(answer.status, 200);
    }
    assert!(world.revision() > before);
    drop(unread);

    // A body that does not come is given up.
    let mut last = slow.pop().unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(30), last.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    // Too many headers, and too long ones.
    let many: Vec<_> = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(1 << 20));
    for headers in [many.concat(), long] {
        let mut stream = TcpStream::connect(http.address).await.unwrap();
        let head = format!("GET /v1/pools HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        // The server may have hung up before all of it is sent.
        drop(stream.write_all(head.as_bytes()).await);
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 431");
    }
}
