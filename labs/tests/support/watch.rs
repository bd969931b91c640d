//! How containers' phases followed one another, as the controller told them to one who watched all the time.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use labs::wait_until;
use tokio::task::JoinHandle;
use weir_api::v1;
use weir_api::v1::container_event::Kind;
use weir_api::v1::container_status::Phase;
use weir_api::v1::containers_client::ContainersClient;

use crate::support::{POOL, System};

/// Every state in which containers were seen, until this is dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Vec<v1::ContainerEvent>>>,
    reader: JoinHandle<()>,
}

impl Watch {
    /// Begins to watch, and returns when the present state has been told.
    pub(crate) fn start(system: &System) -> Watch {
        let (seen, mut client) = (Arc::default(), ContainersClient::new(system.channel.clone()));
        let sink: Arc<Mutex<Vec<v1::ContainerEvent>>> = Arc::clone(&seen);
        let reader = system.runtime.spawn(async move {
            let request = v1::WatchContainersRequest { pool: POOL.to_owned() };
            let mut events = client.watch_containers(request).await.unwrap().into_inner();
            while let Some(event) = events.message().await.unwrap() {
                sink.lock().unwrap().push(event);
            }
        });
        let watch = Watch { seen, reader };
        let synced = || Ok(watch.seen.lock().unwrap().iter().any(|e| e.kind() == Kind::Synced).then_some(()));
        wait_until(Duration::from_secs(5), "the present state of all containers", synced).unwrap();
        watch
    }

    /// How many of these containers were ready at once, at the least; and how often one was seen to become ready.
    pub(crate) fn readiness(&self, names: &[&str]) -> (usize, usize) {
        assert!(!self.reader.is_finished(), "the watch has ended");
        let (mut ready, mut least, mut arrivals) = (BTreeMap::new(), names.len(), 0);
        for container in self.seen.lock().unwrap().iter().filter_map(|event| event.container.as_ref()) {
            let Some(name) = names.iter().find(|name| **name == container.name) else { continue };
            let is_ready = container.status.as_ref().is_some_and(|status| status.phase() == Phase::Ready);
            let was_ready = ready.insert(*name, is_ready);
            arrivals += usize::from(is_ready && was_ready == Some(false));
            if ready.len() == names.len() {
                least = least.min(ready.values().filter(|is_ready| **is_ready).count());
            }
        }
        (least, arrivals)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
