//! The OpenAPI document: valid by the specification's own schema, and true: each operation in it answers as it says.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::http::Http;
use support::{Agent, PATIENCE, World, container};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use weir_api::v1::*;

/// The schema of OpenAPI 3.1 documents: <https://spec.openapis.org/oas/3.1/schema/2022-10-07>.
const SCHEMA: &str = include_str!("openapi/schema-3.1.json");

/// A validator for a schema of the document, in which objects have no other properties than those described.
fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let mut components = document["components"].clone();
    for schema in components["schemas"].as_object_mut().unwrap().values_mut() {
        if schema.get("properties").is_some() {
            schema["additionalProperties"] = json!(false);
        }
    }
    let mut schema = schema.clone();
    schema["components"] = components;
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[track_caller]
fn conforms(validator: &jsonschema::Validator, value: &Value, what: &str) {
    let errors = validator.iter_errors(value).map(|error| format!("{} at {}", error, error.instance_path()));
    let errors: Vec<_> = errors.collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value:#}");
}

#[tokio::test]
async fn the_document_is_valid_and_describes_everything() {
    let world = World::start().await;
    let answer = Http::of(&world).await.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.ok();
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    conforms(&jsonschema::validator_for(&schema).unwrap(), &document, "the document");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Whatever it refers to is there.
        validator(&document, schema);
    }
    let text = document.to_string();
    assert!(
        text.contains("The store's revision at its last change; set by the controller."),
        "comments are in it"
    );
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        assert!(ids.insert(operation.id.clone()), "{} twice", operation.id);
        let parameters = operation.value["parameters"].as_array().unwrap();
        let in_path = parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap());
        let in_path: Vec<_> = in_path.map(|name| format!("{{{name}}}")).collect();
        let braces: Vec<_> = operation.path.split('/').filter(|part| part.starts_with('{')).collect();
        assert_eq!(in_path, braces, "{}", operation.id);
    }
}

struct Operation {
    path: String,
    method: String,
    id: String,
    value: Value,
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, value)| (path, method, value))
    });
    let operation = |(path, method, value): (&String, &String, &Value)| Operation {
        path: path.clone(),
        method: method.to_uppercase(),
        id: value["operationId"].as_str().unwrap().to_owned(),
        value: value.clone(),
    };
    all.map(operation).collect()
}

/// Each operation once, in an order in which each finds what it needs: its id, what its path and query are to be, its body.
const CALLS: [(&str, &str, &str); 53] = [
    ("CreatePool", "/v1/pools", r#"{"name":"q"}"#),
    ("ListPools", "/v1/pools?page_size=1", ""),
    (
        "UpdatePool",
        "/v1/pools/q",
        r#"{"max_containers":9,"max_memory_bytes":"0","registry_proxies":{"docker.io":"http://10.0.0.1:5000"}}"#,
    ),
    ("GetPool", "/v1/pools/q", ""),
    ("CreateNetwork", "/v1/pools/q/networks", r#"{"name":"n","driver":"vlan","subnet":"10.9.0.0/24"}"#),
    ("ListNetworks", "/v1/networks", ""),
    ("ListNetworksInPool", "/v1/pools/q/networks", ""),
    ("GetNetwork", "/v1/pools/p/networks/net", ""),
    ("ListNodes", "/v1/nodes", ""),
    ("ListNodesInPool", "/v1/pools/p/nodes", ""),
    ("GetNode", "/v1/pools/p/nodes/n1", ""),
    ("ListNodeFlows", "/v1/pools/p/nodes/n1/flows", ""),
    ("PreviewContainer", "/v1/pools/p/preview", r#"{"network":"net"}"#),
    (
        "CreateContainer",
        "/v1/pools/p/containers",
        r#"{"name":"job","network":"net","node":"n1","image":"busybox:latest","labels":{"a":"b"},"stop_timeout_s":5,
            "restart":{"mode":"ON_FAILURE","max_retries":3},"resources":{"cpu_millis":5,"memory_bytes":"65536"}}"#,
    ),
    ("ListContainers", "/v1/containers", ""),
    ("ListContainersInPool", "/v1/pools/p/containers?network=net&node=n1", ""),
    ("GetContainer", "/v1/pools/p/containers/job", ""),
    ("WatchContainers", "/v1/watch", ""),
    ("WatchContainersInPool", "/v1/pools/p/watch", ""),
    ("WatchEvents", "/v1/events", ""),
    ("WatchEventsInPool", "/v1/pools/p/events?past_only=true", ""),
    ("GetStatus", "/v1/status", ""),
    ("GetStatusInPool", "/v1/pools/p/status", ""),
    ("StopContainer", "/v1/pools/p/containers/job/stop", r#"{"wait":false}"#),
    ("StartContainer", "/v1/pools/p/containers/job/start", "{}"),
    ("LogContainer", "/v1/pools/p/containers/job/log?tail=1", ""),
    ("StatContainers", "/v1/stats", ""),
    ("StatContainersInPool", "/v1/pools/p/stats?names=job", ""),
    ("MoveContainer", "/v1/pools/p/containers/job/move", r#"{"node":"n2"}"#),
    ("SetNodeScheduling", "/v1/pools/p/nodes/n1/scheduling", r#"{"scheduling":"CORDONED"}"#),
    (
        "CreateService",
        "/v1/pools/p/services",
        r#"{"name":"web","network":"net","replicas":2,"patience_s":9,
            "template":{"image":"busybox:latest","health":{"http":"80/","interval_s":1}}}"#,
    ),
    ("ListServices", "/v1/services", ""),
    ("ListServicesInPool", "/v1/pools/p/services?page_size=1", ""),
    ("GetService", "/v1/pools/p/services/web", ""),
    ("ScaleService", "/v1/pools/p/services/web/replicas", r#"{"replicas":3}"#),
    ("UpdateService", "/v1/pools/p/services/web/image", r#"{"image":"busybox:2"}"#),
    ("RollbackService", "/v1/pools/p/services/web/rollback", "{}"),
    ("DeleteService", "/v1/pools/p/services/web", ""),
    ("DeleteContainer", "/v1/pools/p/containers/job", ""),
    ("ListVolumes", "/v1/volumes?page_size=1", ""),
    ("ListVolumesInPool", "/v1/pools/p/volumes", ""),
    ("GetVolume", "/v1/pools/p/volumes/data", ""),
    ("DeleteVolume", "/v1/pools/p/volumes/data", ""),
    ("DeleteNetwork", "/v1/pools/q/networks/n", ""),
    ("DeletePool", "/v1/pools/q", ""),
    ("RevokeNode", "/v1/pools/p/nodes/n1/revoke", "{}"),
    ("CheckNode", "/v1/pools/p/nodes/n1/check", ""),
    ("DeleteNode", "/v1/pools/p/nodes/n1", ""),
    ("CreateToken", "/v1/tokens", r#"{"pool":"p","role":"POOL","description":"the one of `p`"}"#),
    ("CreateTokenInPool", "/v1/pools/p/tokens", r#"{"role":"JOIN","ttl_s":"60","uses":3}"#),
    ("ListTokens", "/v1/tokens?page_size=1", ""),
    ("ListTokensInPool", "/v1/pools/p/tokens", ""),
    ("RevokeToken", "/v1/tokens/ID", ""),
];

#[tokio::test]
async fn each_operation_answers_as_the_document_says() {
    let (world, mut one, _two) = World::furnished().await;
    one.offers_docker(&world, "n1").await;
    leave_volume(&world, &mut one).await;
    let http = Http::of(&world).await;
    let document = http.get("/openapi.json").await.ok();
    let operations = operations(&document);
    let called: BTreeSet<_> = CALLS.iter().map(|(id, ..)| (*id).to_owned()).collect();
    assert_eq!(operations.iter().map(|o| o.id.clone()).collect::<BTreeSet<_>>(), called);
    let (mut agent, mut token) = (Some(one), String::new());
    for (id, path, body) in CALLS {
        let operation = operations.iter().find(|operation| operation.id == id).unwrap();
        let is_its_path = path.split(['?']).next().unwrap().split('/').zip(operation.path.split('/'));
        assert!(is_its_path.clone().all(|(a, b)| a == b || b.starts_with('{')), "{id}: {path}");
        let request = &operation.value["requestBody"]["content"]["application/json"]["schema"];
        if !request.is_null() {
            conforms(&validator(&document, request), &serde_json::from_str(body).unwrap(), id);
        }
        if id == "DeleteNode" {
            drop(agent.take());
            world.until_node("n1", |status| !status.agent_connected).await;
        }
        if matches!(id, "LogContainer" | "DeleteVolume") || id.starts_with("StatContainers") {
            // What they answer comes from an agent, and this one is asked only.
            let (asking, method) = (Http { address: http.address }, operation.method.clone());
            let answer = tokio::spawn(async move { drop(asking.open(&method, path, &[], "").await) });
            let agent = agent.as_mut().unwrap();
            let is_asked = |message| {
                use controller_message::Message;
                matches!(message, Message::Log(_) | Message::Stats(_) | Message::Volume(_))
            };
            while !is_asked(agent.next().await.unwrap().unwrap()) {}
            answer.abort();
            continue;
        }
        let kind = if request.is_null() { &[][..] } else { &[("content-type", "application/json")] };
        // What it is called nobody knows before.
        let path = path.replace("ID", &token);
        let mut response = http.open(&operation.method, &path, kind, body).await;
        let (status, got) =
            (response.status(), response.headers()["content-type"].to_str().unwrap().to_owned());
        let content = operation.value["responses"]["200"]["content"].as_object().unwrap();
        let (promised, schema) = content.iter().next().unwrap();
        if status != 200 {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            panic!("{id}: {status} {}", String::from_utf8_lossy(&body));
        }
        assert!(got.starts_with(promised.as_str()), "{id}: {got} is not {promised}");
        let validator = validator(&document, &schema["schema"]);
        match promised.as_str() {
            "application/json" => {
                let body = response.into_body().collect().await.unwrap().to_bytes();
                let answer: Value = serde_json::from_slice(&body).unwrap();
                conforms(&validator, &answer, id);
                if let Some(id) = answer["token"]["id"].as_str() {
                    id.clone_into(&mut token);
                }
            }
            "text/event-stream" => {
                let frame =
                    tokio::time::timeout(PATIENCE, response.body_mut().frame()).await.expect("an event");
                let data = frame.unwrap().unwrap().into_data().unwrap();
                let text = std::str::from_utf8(&data).unwrap();
                let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                conforms(&validator, &serde_json::from_str(data).unwrap(), id);
            }
            _ => assert_eq!(promised, "text/plain"),
        }
    }
    let problem = http.get("/v1/pools/none").await.json();
    let schema = json!({ "$ref": "#/components/schemas/Refusal" });
    conforms(&validator(&document, &schema), &problem, "a problem");
}

/// Leaves a volume `data` behind on the agent's node.
async fn leave_volume(world: &World, agent: &mut Agent) {
    let data = Mount { volume: "data".to_owned(), path: "/data".to_owned(), ..Mount::default() };
    let user = Container {
        image: "busybox:latest".to_owned(),
        node: "n1".to_owned(),
        mounts: vec![data],
        ..container("user")
    };
    world.create(user, false).await.unwrap();
    agent.obey().await;
    world.delete("user", false).await.unwrap();
    agent.obey().await;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while world.get("user").await.is_ok() {
        tick.tick().await;
    }
}

#[tokio::test]
async fn reflection_tells_the_services_and_health_whether_they_serve() {
    let world = World::start().await;
    let ask = |message| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let mut client = ServerReflectionClient::new(world.channel.clone());
        async move {
            let mut answers =
                client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
            answers.message().await.unwrap().unwrap().message_response.unwrap()
        }
    };
    let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in [
        "Pools",
        "Networks",
        "Nodes",
        "Containers",
        "Services",
        "Volumes",
        "Status",
        "Agents",
        "Tokens",
        "Enrolment",
    ] {
        assert!(names.contains(&format!("weir.v1.{name}")), "{names:?}");
    }
    let symbol = MessageRequest::FileContainingSymbol("weir.v1.Container".to_owned());
    let MessageResponse::FileDescriptorResponse(files) = ask(symbol).await else { panic!("no file") };
    assert!(!files.file_descriptor_proto.is_empty());

    let mut health = HealthClient::new(world.channel.clone());
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let status = health.check(of("")).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing, "the network has published nothing");
    let mut watch = health.watch(of("weir.v1.Containers")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    world.board.publish(world.revision(), controller::openflow::board::Update::default());
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(
        health.check(of("weir.v1.Pools")).await.unwrap().into_inner().status(),
        ServingStatus::Serving
    );
    assert_eq!(health.check(of("weir.v1.Nonsense")).await.unwrap_err().code(), tonic::Code::NotFound);
}
