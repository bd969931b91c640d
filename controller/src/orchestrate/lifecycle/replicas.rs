//! The lifecycle's part about services: what they call for, and what is told of them.

use super::*;
use crate::intent::model::Service;

impl Lifecycle {
    /// Why a service does not come further by itself, if so.
    #[must_use]
    pub fn trouble(&self, service: &Service) -> Option<String> {
        self.services.trouble(service)
    }

    /// Orders what evacuations and services call for now.
    pub(super) fn reconcile(&mut self, state: &State, now: Now) {
        self.evacuate(state, now);
        let plan = self.services.plan(state, &self.board, now.clock);
        self.orders.extend(plan.orders.into_iter().map(Order::Replicate));
        for (key, word, message) in plan.news {
            self.tell_of_service(state, &key, (word, message), now);
        }
    }

    /// Takes up what became of a service's order.
    pub(super) fn replicated(&mut self, state: &State, key: &ServiceKey, refusal: Option<Refusal>, now: Now) {
        if let Some((word, why)) = self.services.outcome(key, refusal, now.clock) {
            tracing::warn!(service = key.1, why, "a replica cannot be placed");
            self.tell_of_service(state, key, (word, why), now);
        }
    }

    /// Notes a change of a service, and tells of it.
    pub(super) fn note_service(
        &mut self,
        state: &State,
        (before, after): (Option<&Service>, Option<&Service>),
        now: Now,
    ) {
        let Some(service) = after.or(before) else { return };
        let key = (service.pool, service.name.clone());
        self.services.touch(key.clone());
        let what =
            |service: &Service| format!("version {} ({})", service.template.version, service.template.image);
        let news = match (before, after) {
            (None, _) => ("Created", format!("of {} replicas", service.replicas)),
            (_, None) => ("Deleted", String::new()),
            (Some(old), Some(new))
                if old.template.version < new.template.version && old.last_version < new.last_version =>
            {
                ("Updated", format!("from {} to {}", what(old), what(new)))
            }
            (Some(old), Some(new)) if old.template.version != new.template.version => {
                ("RolledBack", format!("from {} to {}", what(old), what(new)))
            }
            (Some(old), Some(new)) if old.replicas != new.replicas => {
                ("Scaled", format!("from {} to {} replicas", old.replicas, new.replicas))
            }
            _ => return,
        };
        self.tell_of_service(state, &key, news, now);
    }

    fn tell_of_service(
        &self,
        state: &State,
        (pool, name): &ServiceKey,
        (reason, message): (&'static str, String),
        now: Now,
    ) {
        let pool = state.pool(*pool).map_or_else(String::new, |pool| pool.name.clone());
        let (time, name) = (now.wall, name.clone());
        self.events.note(Event { time, kind: Kind::Service, pool, name, reason, message });
    }
}
