//! Meters and groups: read, made before the flows that use them, removed when nothing uses them any more.

use flowlib::openflow::{MultipartReplyBody, MultipartRequestBody};
use flowlib::segment::fixture::Fixture;
use flowlib::types::MeterId;
use futures::future::try_join;

use super::switch::{Switch, SwitchError};

/// The meters and groups that a switch has.
pub(super) async fn read(switch: &Switch) -> Result<Vec<Fixture>, SwitchError> {
    let meters = switch.multipart("its meters", MultipartRequestBody::MeterConfig(MeterId::ALL));
    let groups = switch.multipart("its groups", MultipartRequestBody::GroupDesc);
    match try_join(meters, groups).await? {
        (MultipartReplyBody::MeterConfig(meters), MultipartReplyBody::GroupDesc(groups)) => {
            let meters = meters.into_iter().map(Fixture::Meter);
            Ok(meters.chain(groups.into_iter().map(Fixture::Group)).collect())
        }
        _ => Err(SwitchError::Mismatch("its meters and groups")),
    }
}
