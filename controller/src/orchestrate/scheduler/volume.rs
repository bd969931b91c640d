//! Where the volumes are that a container names, and which folders of its node it asks for.

use std::sync::Arc;

use crate::intent::State;
use crate::intent::model::{Node, Source, Volume};

use super::super::links::Link;
use super::Place;

/// What a container's mounts ask of its node.
pub(super) struct Volumes<'a> {
    /// Volumes that are somewhere already, and on which node.
    there: Vec<(&'a Arc<Volume>, &'a Arc<Node>)>,
    folders: Vec<&'a str>,
}

impl<'a> Volumes<'a> {
    pub(super) fn gather(state: &'a State, place: &'a Place<'a>) -> Self {
        let (mut there, mut folders) = (Vec::new(), Vec::new());
        for mount in place.mounts {
            match &mount.source {
                Source::Volume(name, _) => there.extend(
                    state
                        .volume(&(place.pool.id, name.clone()))
                        .and_then(|volume| Some((volume, state.node(volume.node)?))),
                ),
                Source::Folder(folder) => folders.push(folder.as_str()),
            }
        }
        Self { there, folders }
    }

    /// Whether a node has a volume of the container's: what is nowhere else is waited for there, however long that takes.
    pub(super) fn hold(&self, node: &Node) -> bool {
        self.there.iter().any(|(_, its)| its.id == node.id)
    }

    /// Why a node is the wrong one, if it is.
    pub(super) fn objection(&self, node: &Node, link: &Link) -> Option<String> {
        if let Some((volume, its)) = self.there.iter().find(|(_, its)| its.id != node.id) {
            return Some(format!("the volume `{}` is on the node `{}`", volume.name, its.name));
        }
        let offer = link.offer.as_ref()?;
        let missing = self.folders.iter().find(|folder| !offer.folders.contains(**folder))?;
        Some(format!("its agent does not let containers have `{missing}`: --allow-bind {missing}"))
    }
}
