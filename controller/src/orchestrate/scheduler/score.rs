//! Which of the nodes that can take a container is the best.

use std::borrow::Cow;

use crate::intent::Sum;
use crate::intent::model::Strategy;

use super::Place;
use super::address::Source;
use super::filter::{Candidate, without_itself};

/// The endpoints that fill a node, where nothing else says how full it is.
const FULL_OF_ENDPOINTS: u128 = 100;
/// The most points for load; the least that is ever used of a node, by the container itself, is a hundredth of it.
const LOAD: u32 = 1000;
/// Points for a node that has the image, if others cannot pull it. They decide whatever else there is: elsewhere the container
/// could not start.
const IMAGE: u32 = LOAD;
/// Points for a node that has the image, if others would pull it: a start at once outweighs a twentieth of a node's load, but
/// not all replicas follow the first.
const PULLED_IMAGE: u32 = LOAD / 20;
/// Points for an address that no other node has to learn of. They weigh less than one endpoint.
const OWN_BLOCK: u32 = 3;
/// Points for an address that others learn of with a block.
const NEW_BLOCK: u32 = 1;

/// A node's points, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// How empty it would be (to spread) or how full (to fill nodes up): thousandths.
    pub load: u32,
    /// The image is there: more than all other points together can make up for, unless other nodes could pull it.
    pub image: u32,
    /// Where the address would be from.
    pub block: u32,
}

impl Scores {
    /// What decides.
    #[must_use]
    pub fn sum(&self) -> u32 {
        self.load + self.image + self.block
    }
}

/// Scores a node that no filter turned away.
/// `image` is what it runs, by name with tag.
pub(super) fn score(place: &Place<'_>, image: &str, candidate: &Candidate<'_>, source: Source) -> Scores {
    let used = used(place, candidate);
    let can_pull = place.pool.registry_proxies.contains_key(registry(place.image));
    let has_image = candidate.link.offer.as_ref().is_some_and(|offer| offer.images.contains(image));
    Scores {
        load: match place.pool.placement {
            Strategy::Spread => LOAD - used,
            Strategy::Binpack => used,
        },
        image: match (has_image, can_pull) {
            (false, _) => 0,
            (true, false) => IMAGE,
            (true, true) => PULLED_IMAGE,
        },
        block: match source {
            Source::Own => OWN_BLOCK,
            Source::New => NEW_BLOCK,
            Source::Anothers => 0,
        },
    }
}

/// How full the node would be with the container, of what is scarcest there: at most [`LOAD`].
fn used(place: &Place<'_>, candidate: &Candidate<'_>) -> u32 {
    let capacity = candidate.node.capacity;
    let Sum { cpu_millis, memory_bytes } = without_itself(place, candidate).with(place.resources);
    let live = &candidate.hosted.live;
    let others =
        live.len() - usize::from(place.itself.is_some_and(|itself| live.contains(&itself.endpoint.id)));
    let shares = [
        share(cpu_millis.into(), capacity.cpu_millis.into()),
        share(memory_bytes, capacity.memory_bytes.into()),
        share(others as u128 + 1, FULL_OF_ENDPOINTS),
    ];
    shares.into_iter().max().unwrap_or(0)
}

/// A part's share of [`LOAD`], at most all of it; none of what is not counted.
fn share(part: u128, whole: u128) -> u32 {
    let all = u128::from(LOAD);
    let share = (part * all).checked_div(whole).unwrap_or(0).min(all);
    u32::try_from(share).unwrap_or(LOAD)
}

/// An image's name with its tag, which is `latest` if it has none; `:` before the last `/` is a registry's port.
pub(super) fn tagged(image: &str) -> Cow<'_, str> {
    let is_tagged = image.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    if is_tagged || image.is_empty() { Cow::Borrowed(image) } else { Cow::Owned(format!("{image}:latest")) }
}

/// The registry in an image's name; `docker.io`, if it bears none. Source: github.com/distribution/reference,
/// `splitDockerDomain`.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some(("index.docker.io", _)) => "docker.io",
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        let cases = [
            ("", ""),
            ("busybox", "busybox:latest"),
            ("busybox:1", "busybox:1"),
            ("host:5000/web", "host:5000/web:latest"),
            ("host:5000/web:2", "host:5000/web:2"),
            ("web@sha256:ab", "web@sha256:ab"),
        ];
        for (image, with_tag) in cases {
            assert_eq!(tagged(image), with_tag);
        }
    }

    #[test]
    fn the_registry_is_in_the_name_or_the_one_of_names_without() {
        let cases = [
            ("busybox", "docker.io"),
            ("me/app:1", "docker.io"),
            ("index.docker.io/me/app", "docker.io"),
            ("quay.io/me/app", "quay.io"),
            ("cache:5000/app", "cache:5000"),
            ("localhost/app", "localhost"),
        ];
        for (image, is) in cases {
            assert_eq!(registry(image), is);
        }
    }

    #[test]
    fn the_image_weighs_more_than_the_greatest_difference_in_all_else() {
        let least = share(1, FULL_OF_ENDPOINTS);
        assert!(IMAGE > LOAD - least + OWN_BLOCK.max(NEW_BLOCK));
        assert!(OWN_BLOCK.max(NEW_BLOCK) < least);
    }

    #[test]
    fn shares_are_thousandths_and_nothing_is_used_of_what_is_not_counted() {
        assert_eq!(
            [share(1, 0), share(0, 7), share(1, 3), share(7, 7), share(9, 7)],
            [0, 0, 333, 1000, 1000]
        );
        assert_eq!(share(u128::from(u64::MAX), u128::from(u64::MAX)), 1000);
    }
}
