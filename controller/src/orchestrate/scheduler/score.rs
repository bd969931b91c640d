//! Which of the nodes that can take a container is the best.

use crate::intent::Sum;
use crate::intent::model::Strategy;

use super::super::links::Offer;
use super::Place;
use super::address::Source;
use super::filter::{Candidate, without_itself};

/// The endpoints that fill a node, where nothing else says how full it is.
const FULL_OF_ENDPOINTS: u128 = 100;
/// Points for a node that has the image. Both together weigh less than one endpoint.
const IMAGE: u32 = 5;
/// Points for an address that no other node has to learn of.
const OWN_BLOCK: u32 = 3;
/// Points for an address that others learn of with a block.
const NEW_BLOCK: u32 = 1;

/// A node's points, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// How empty it would be (to spread) or how full (to fill nodes up): thousandths.
    pub load: u32,
    /// The image is there.
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
pub(super) fn score(place: &Place<'_>, candidate: &Candidate<'_>, source: Source) -> Scores {
    let used = used(place, candidate);
    let has_image = candidate.link.offer.as_ref().is_some_and(|offer| has(offer, place.image));
    Scores {
        load: match place.pool.placement {
            Strategy::Spread => 1000 - used,
            Strategy::Binpack => used,
        },
        image: if has_image { IMAGE } else { 0 },
        block: match source {
            Source::OwnBlock => OWN_BLOCK,
            Source::NewBlock => NEW_BLOCK,
            Source::AnothersBlock => 0,
        },
    }
}

/// How full the node would be with the container, in thousandths: of what is scarcest there.
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

/// Thousandths, at most 1000; none of what is not counted.
fn share(part: u128, whole: u128) -> u32 {
    let permille = (part * 1000).checked_div(whole).unwrap_or(0).min(1000);
    u32::try_from(permille).unwrap_or(1000)
}

fn has(offer: &Offer, image: &str) -> bool {
    if is_tagged(image) {
        offer.images.contains(image)
    } else {
        offer.images.contains(&format!("{image}:latest"))
    }
}

/// Whether an image's name says which of that name; `:` before the last `/` is a registry's port.
fn is_tagged(image: &str) -> bool {
    image.rsplit('/').next().is_some_and(|last| last.contains([':', '@']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        let names = ["busybox:latest", "host:5000/web:latest", "web:2", "web@sha256:ab"];
        let offer = Offer { images: names.map(str::to_owned).into(), ..Offer::default() };
        for there in ["busybox", "busybox:latest", "host:5000/web", "web:2", "web@sha256:ab"] {
            assert!(has(&offer, there), "{there}");
        }
        for missing in ["", "web", "busybox:1", "host:5000/busybox", "web:latest"] {
            assert!(!has(&offer, missing), "{missing}");
        }
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
