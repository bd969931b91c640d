//! Requests about volumes, and what containers ask of them.
//!
//! A volume is made with the first container that names it, on that container's node, and stays there until somebody deletes
//! it: Docker makes it when it makes a container that has it mounted.

use std::sync::Arc;

use flowlib::compile::model::NodeId;

use crate::intent::model::{Container, Key, Mount, Pool, Source, Volume};
use crate::intent::{Refusal, State, Transaction};

use super::{condition, name, pools};

/// Mounts of a container.
const MAX_MOUNTS: usize = 32;
/// Bytes of a path.
const MAX_PATH: usize = 4096;
/// Volumes of a pool.
const MAX_VOLUMES: usize = 10_000;

/// The volume of that name.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`] if none is named at all.
pub fn find<'a>(state: &'a State, pool: &str, name: &str) -> Result<&'a Arc<Volume>, Refusal> {
    let pool = pools::find(state, pool)?;
    if name.is_empty() {
        return Err(Refusal::Invalid("no volume is named".to_owned()).of("name"));
    }
    state.volume(&(pool.id, name.to_owned())).ok_or_else(|| {
        let name = name.escape_debug();
        Refusal::NotFound(format!("there is no volume `{name}` in the pool `{}`", pool.name)).of("name")
    })
}

/// The names of the containers that have a volume mounted, those included that are being removed.
pub fn users<'a>(state: &'a State, volume: &'a Volume) -> impl Iterator<Item = &'a str> {
    let has_it = move |container: &&Arc<Container>| names(&container.mounts).any(|name| name == volume.name);
    state.containers_of(volume.pool).filter(has_it).map(|container| container.name.as_str())
}

/// Deletes a volume.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Precondition`] while a container uses it.
pub fn delete(tx: &mut Transaction<'_>, pool: &str, name: &str) -> Result<(), Refusal> {
    let volume = find(tx.state(), pool, name)?.clone();
    check_unused(tx.state(), &volume)?;
    tx.delete(&Key::Volume((volume.pool, volume.name.clone())));
    Ok(())
}

/// Where a volume is that is to be deleted, and what it is called in Docker there; if it is `at` a revision, where one is
/// named.
///
/// # Errors
/// As [`delete`]; [`Refusal::Stale`].
pub fn unused(
    state: &State,
    (pool, name): (&str, &str),
    at: Option<u64>,
) -> Result<(NodeId, String), Refusal> {
    let volume = find(state, pool, name)?;
    condition::check(at, || Ok(volume.revision))?;
    check_unused(state, volume)?;
    Ok((volume.node, name_in_docker(pools::find(state, pool)?, name)))
}

fn check_unused(state: &State, volume: &Volume) -> Result<(), Refusal> {
    match users(state, volume).next() {
        None => Ok(()),
        Some(user) => Err(Refusal::Precondition(format!(
            "the volume `{}` is used by the container `{user}`: delete that first",
            volume.name
        ))),
    }
}

/// What a volume is called in its node's Docker: no two pools have the same, not even one after the other.
fn name_in_docker(pool: &Pool, volume: &str) -> String {
    format!("{volume}.{}.{}", pool.name, pool.id.0)
}

/// A container's mounts as its agent is told of them: volumes by their names in Docker, with the size they are to have.
pub(super) fn told(state: &State, pool: &Pool, mounts: &[Mount]) -> Vec<Mount> {
    let told = |mount: &Mount| match &mount.source {
        Source::Folder(_) => mount.clone(),
        Source::Volume(name, _) => {
            let size = state.volume(&(pool.id, name.clone())).map_or(0, |volume| volume.size_bytes);
            Mount { source: Source::Volume(name_in_docker(pool, name), size), ..mount.clone() }
        }
    };
    mounts.iter().map(told).collect()
}

/// Checks what can be checked without the state.
pub(super) fn check(mounts: &[Mount]) -> Result<(), Refusal> {
    let invalid = |sentence: String| Err(Refusal::Invalid(sentence).of("mounts"));
    if mounts.len() > MAX_MOUNTS {
        return invalid(format!("{} mounts are too many: {MAX_MOUNTS} is the most", mounts.len()));
    }
    for (n, mount) in mounts.iter().enumerate() {
        match &mount.source {
            Source::Volume(volume, _) => {
                name::check("volume", volume).map_err(|refusal| refusal.of("mounts"))?;
            }
            Source::Folder(folder) => check_path(folder)?,
        }
        check_path(&mount.path)?;
        if mounts.iter().take(n).any(|other| other.path == mount.path) {
            return invalid(format!("two mounts have the path `{}`", mount.path.escape_debug()));
        }
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), Refusal> {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
    if path.len() <= MAX_PATH && parts.is_some_and(|mut parts| parts.all(is_part)) {
        return Ok(());
    }
    let shown: String = path.escape_debug().take(80).collect();
    Err(Refusal::Invalid(format!(
        "`{shown}` is no path for a mount: it begins with `/`, goes on, and has no `.`, `..` or empty part"
    ))
    .of("mounts"))
}

/// Whether the volumes that are there already are as a request wants them.
pub(super) fn agree(state: &State, pool: &Pool, mounts: &[Mount]) -> Result<(), Refusal> {
    for mount in mounts {
        let Source::Volume(name, size) = &mount.source else { continue };
        let there = state.volume(&(pool.id, name.clone()));
        if let Some(volume) = there.filter(|volume| *size != 0 && *size != volume.size_bytes) {
            let is = match volume.size_bytes {
                0 => "has no limit".to_owned(),
                bytes => format!("takes {bytes} bytes"),
            };
            return Err(Refusal::Exists(format!(
                "the volume `{name}` of the pool `{}` exists and {is}: name no size, or that one",
                pool.name
            ))
            .of("mounts"));
        }
    }
    Ok(())
}

/// Makes the volumes that are named and not there, on the node where they are first used.
pub(super) fn make(
    tx: &mut Transaction<'_>,
    pool: &Pool,
    mounts: &[Mount],
    node: NodeId,
) -> Result<(), Refusal> {
    for mount in mounts {
        let Source::Volume(name, size_bytes) = &mount.source else { continue };
        if tx.state().volume(&(pool.id, name.clone())).is_some() {
            continue;
        }
        if tx.state().volumes().filter(|volume| volume.pool == pool.id).count() >= MAX_VOLUMES {
            return Err(Refusal::Exhausted(format!(
                "the pool `{}` has {MAX_VOLUMES} volumes, which is the most",
                pool.name
            )));
        }
        let (name, size_bytes) = (name.clone(), *size_bytes);
        tx.put(Volume { pool: pool.id, name, node, size_bytes, revision: 0 });
    }
    Ok(())
}

/// The names of the volumes among a container's mounts.
pub(super) fn names(mounts: &[Mount]) -> impl Iterator<Item = &str> {
    mounts.iter().filter_map(|mount| match &mount.source {
        Source::Volume(name, _) => Some(name.as_str()),
        Source::Folder(_) => None,
    })
}
