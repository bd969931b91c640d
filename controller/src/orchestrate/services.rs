//! Services: so many containers alike, under one name. Here is what requests change; what is to be done about it is found by
//! `Services` (`reconcile.rs`), a state machine around the intent, step by step (`decide.rs`).
//!
//! ```text
//!   create, scale, update, rollback ──▶ the service's record
//!                                            │ compared with the replicas that are there, and how they are
//!                                            ▼
//!               wish ──▶ order ──▶ replicas made and deleted, in one commit ──▶ compared again
//!                          └─────▶ refused: remembered, shown, tried again
//! ```

mod decide;
mod reconcile;

use std::sync::Arc;

use flowlib::compile::model::EndpointId;

use crate::intent::model::{Container, Key, Pool, ReplicaOf, RestartPolicy, Service, ServiceKey, Template};
use crate::intent::{Refusal, State, Transaction};

use super::containers::{self, ContainerSpec, DOCKER, Surroundings};
use super::{name, networks, pools};

pub(super) use reconcile::Services;

/// Replicas of a service, at most.
const MAX_REPLICAS: u32 = 1000;
/// Bytes of a service's name, at most: its replicas' names are longer by a number.
const MAX_NAME: usize = 57;
/// Seconds that a replica is given to become healthy when nothing else is said, and at most.
const PATIENCE_S: u32 = 60;
const MAX_PATIENCE_S: u32 = 3600;

/// A service as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Whose it is to be.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// The network of its replicas.
    pub network: String,
    /// How many there are to be.
    pub replicas: u32,
    /// What each is to be; without pool, name, network, service, address and node.
    pub template: ContainerSpec,
    /// Its restart policy was chosen; otherwise processes are always started again.
    pub has_restart: bool,
    /// Seconds that a replica of a new version is given to become healthy; 0: 60.
    pub patience_s: u32,
}

/// What a service's order is: replicas to delete and to make, in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The service.
    pub service: ServiceKey,
    /// The revision of it that this was found for.
    pub revision: u64,
    /// Replicas to delete, by their endpoints.
    pub delete: Vec<EndpointId>,
    /// How many to make.
    pub create: usize,
}

/// How a service's replicas are, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that are there.
    pub present: usize,
    /// Those of them that are ready.
    pub ready: usize,
    /// Those of them that are of the service's version.
    pub updated: usize,
}

impl Tally {
    /// Counts; `is_ready` says how a container is.
    pub fn of(state: &State, service: &Service, is_ready: impl Fn(&Arc<Container>) -> bool) -> Self {
        let key = (service.pool, service.name.clone());
        let mut tally = Self::default();
        for replica in state.replicas(&key) {
            tally.present += 1;
            tally.ready += usize::from(is_ready(replica));
            tally.updated += usize::from(is_current(service, replica));
        }
        tally
    }
}

fn is_current(service: &Service, replica: &Container) -> bool {
    replica.replica_of.as_ref().is_some_and(|replica| replica.version == service.template.version)
}

/// The service of that name.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`] if none is named at all.
pub fn find<'a>(state: &'a State, pool: &str, name: &str) -> Result<&'a Arc<Service>, Refusal> {
    let pool = pools::find(state, pool)?;
    if name.is_empty() {
        return Err(Refusal::Invalid("no service is named".to_owned()).of("name"));
    }
    state.service(&(pool.id, name.to_owned())).ok_or_else(|| {
        let name = name.escape_debug();
        Refusal::NotFound(format!("there is no service `{name}` in the pool `{}`", pool.name)).of("name")
    })
}

/// Creates a service. The same one again is not an error.
///
/// # Errors
/// [`Refusal::NotFound`]: pool or network. [`Refusal::Exists`]: the name with other content. [`Refusal::Invalid`]: what no
/// service or no container may have.
pub fn create(tx: &mut Transaction<'_>, spec: &ServiceSpec) -> Result<Arc<Service>, Refusal> {
    let pool = pools::find(tx.state(), &spec.pool)?.clone();
    check(spec)?;
    let template = template(spec, &pool)?;
    let network = networks::find(tx.state(), &pool, &spec.network)?.id;
    let patience_s = if spec.patience_s == 0 { PATIENCE_S } else { spec.patience_s };
    let service = Service {
        pool: pool.id,
        name: spec.name.clone(),
        network,
        replicas: spec.replicas,
        last_version: template.version,
        template,
        previous: None,
        patience_s,
        request_key: String::new(),
        revision: 0,
    };
    if let Some(existing) = tx.state().service(&(pool.id, spec.name.clone())) {
        return again(existing, &service, &pool);
    }
    tx.put(service);
    find(tx.state(), &spec.pool, &spec.name).cloned()
}

/// A request for a name that is there: the same service, or an error that says how it differs.
fn again(existing: &Arc<Service>, asked: &Service, pool: &Pool) -> Result<Arc<Service>, Refusal> {
    // Which version it is by now makes no difference.
    let same = Template { version: asked.template.version, ..existing.template.clone() };
    let differs = [
        ("network", existing.network != asked.network),
        ("replicas", existing.replicas != asked.replicas),
        ("image", same.image != asked.template.image),
        ("template", same != asked.template),
        ("patience_s", existing.patience_s != asked.patience_s),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        None => Ok(existing.clone()),
        Some((what, _)) => {
            let (name, pool) = (&existing.name, &pool.name);
            let sentence = format!(
                "the service `{name}` of the pool `{pool}` exists with other content: see its {what}"
            );
            let field = if what == "image" { "template" } else { what };
            Err(Refusal::Exists(sentence).of(field))
        }
    }
}

/// Checks what can be checked without the state.
fn check(spec: &ServiceSpec) -> Result<(), Refusal> {
    let invalid = |field, sentence: String| Err(Refusal::Invalid(sentence).of(field));
    name::check("service", &spec.name)?;
    if spec.name.len() > MAX_NAME {
        return invalid(
            "name",
            format!("a service's name has at most {MAX_NAME} bytes, since its replicas' are longer"),
        );
    }
    check_replicas(spec.replicas)?;
    if spec.patience_s > MAX_PATIENCE_S {
        return invalid(
            "patience_s",
            format!("{} s is too long: a replica is given {MAX_PATIENCE_S} s at most", spec.patience_s),
        );
    }
    let template = &spec.template;
    let strays = [
        ("pool", !template.pool.is_empty()),
        ("name", !template.name.is_empty()),
        ("network", !template.network.is_empty()),
        ("service", !template.service.is_empty()),
        ("address", template.address.is_some()),
        ("node", !template.node.is_empty()),
    ];
    match strays.into_iter().find(|(_, given)| *given) {
        Some((what, _)) => invalid(
            "template",
            format!(
                "a service's template has no {what}: its replicas differ in that, or the service says it"
            ),
        ),
        None => containers::check(template),
    }
}

fn check_replicas(replicas: u32) -> Result<(), Refusal> {
    if replicas > MAX_REPLICAS {
        let sentence = format!("{replicas} replicas are too many: a service has {MAX_REPLICAS} at most");
        return Err(Refusal::Invalid(sentence).of("replicas"));
    }
    Ok(())
}

/// Completes what a request says of replicas.
fn template(spec: &ServiceSpec, pool: &Pool) -> Result<Template, Refusal> {
    let asked = &spec.template;
    let what = containers::what(asked, pool)?;
    let restarts = !spec.has_restart && what.runtime == DOCKER;
    Ok(Template {
        version: 1,
        image: what.image,
        runtime: what.runtime,
        command: asked.command.clone(),
        environment: asked.environment.clone(),
        resources: asked.resources,
        restart: if restarts { RestartPolicy::Always } else { asked.restart },
        stop_timeout_s: asked.stop_timeout_s,
        constraints: asked.constraints.clone(),
        affinities: asked.affinities.clone(),
        labels: asked.labels.clone(),
        health: asked.health.clone(),
        mounts: asked.mounts.clone(),
    })
}

/// Says how many replicas there are to be. As many as before is not an error.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`]: too many.
pub fn scale(
    tx: &mut Transaction<'_>,
    (pool, name): (&str, &str),
    replicas: u32,
) -> Result<Arc<Service>, Refusal> {
    let service = find(tx.state(), pool, name)?.clone();
    check_replicas(replicas)?;
    if service.replicas != replicas {
        tx.put(Service { replicas, ..Service::clone(&service) });
    }
    find(tx.state(), pool, name).cloned()
}

/// Gives a service another image. The one it has is not an error.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`]: no image, or one that its runtime cannot take.
pub fn update(
    tx: &mut Transaction<'_>,
    (pool, name): (&str, &str),
    image: &str,
) -> Result<Arc<Service>, Refusal> {
    let service = find(tx.state(), pool, name)?.clone();
    if image.is_empty() {
        return Err(Refusal::Invalid("no image is named".to_owned()).of("image"));
    }
    let asked = ContainerSpec { image: image.to_owned(), ..spec_of(&service.template) };
    containers::check(&asked)?;
    containers::what(&asked, pools::find(tx.state(), pool)?)?;
    if service.template.image != image {
        let last_version = service.last_version.saturating_add(1);
        let template =
            Template { image: image.to_owned(), version: last_version, ..service.template.clone() };
        let previous = Some(service.template.clone());
        tx.put(Service { template, previous, last_version, ..Service::clone(&service) });
    }
    find(tx.state(), pool, name).cloned()
}

/// Goes back to the version before. Once more goes forth again.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Precondition`]: there was none.
pub fn roll_back(tx: &mut Transaction<'_>, (pool, name): (&str, &str)) -> Result<Arc<Service>, Refusal> {
    let service = find(tx.state(), pool, name)?.clone();
    let Some(template) = service.previous.clone() else {
        return Err(Refusal::Precondition(format!(
            "the service `{name}` of the pool `{pool}` has had one version only: there is none to go back to"
        )));
    };
    let previous = Some(service.template.clone());
    tx.put(Service { template, previous, ..Service::clone(&service) });
    find(tx.state(), pool, name).cloned()
}

/// Deletes a service and all its replicas.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn delete(tx: &mut Transaction<'_>, pool: &str, name: &str) -> Result<(), Refusal> {
    let service = find(tx.state(), pool, name)?;
    let key = (service.pool, service.name.clone());
    let replicas: Vec<String> = tx.state().replicas(&key).map(|replica| replica.name.clone()).collect();
    for replica in replicas {
        containers::delete(tx, pool, &replica)?;
    }
    tx.delete(&Key::Service(key));
    Ok(())
}

/// Carries out an order, as far as it still stands: makes and deletes replicas. Gives back why some were not made.
///
/// # Errors
/// What is refused of a deletion: nothing, as long as the records are whole.
pub fn carry_out(
    tx: &mut Transaction<'_>,
    steps: &Steps,
    around: Surroundings<'_>,
) -> Result<Option<Refusal>, Refusal> {
    let is_same = |service: &&Arc<Service>| service.revision == steps.revision;
    let Some(service) = tx.state().service(&steps.service).filter(is_same).cloned() else { return Ok(None) };
    let pool = tx.state().pool(service.pool).map_or_else(String::new, |pool| pool.name.clone());
    for id in &steps.delete {
        let replica = tx.state().container_of(*id).filter(|replica| {
            replica.replica_of.as_ref().is_some_and(|replica| replica.service == service.name)
        });
        if let Some(name) = replica.map(|replica| replica.name.clone()) {
            containers::delete(tx, &pool, &name)?;
        }
    }
    for _ in 0..steps.create {
        let spec = replica(tx.state(), &service, &pool);
        let mark = tx.mark();
        if let Err(refusal) = containers::create(tx, &spec, around) {
            tx.undo(mark);
            return Ok(Some(refusal));
        }
    }
    Ok(None)
}

/// A further replica of a service.
fn replica(state: &State, service: &Service, pool: &str) -> ContainerSpec {
    let taken = |name: &String| state.container(&(service.pool, name.clone())).is_some();
    let name = (1u32..).map(|n| format!("{}-{n}", service.name)).find(|name| !taken(name));
    ContainerSpec {
        pool: pool.to_owned(),
        name: name.unwrap_or_default(),
        network: state.network(service.network).map_or_else(String::new, |network| network.name.clone()),
        service: service.name.clone(),
        replica_of: Some(ReplicaOf { service: service.name.clone(), version: service.template.version }),
        ..spec_of(&service.template)
    }
}

/// What a template says of each replica.
#[must_use]
pub fn spec_of(template: &Template) -> ContainerSpec {
    let Template { image, runtime, command, environment, resources, restart, stop_timeout_s, .. } =
        template.clone();
    let Template { constraints, affinities, labels, health, mounts, .. } = template.clone();
    ContainerSpec {
        image,
        runtime,
        command,
        environment,
        resources,
        restart,
        stop_timeout_s,
        constraints,
        affinities,
        labels,
        health,
        mounts,
        ..ContainerSpec::default()
    }
}
