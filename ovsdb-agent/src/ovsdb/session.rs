//! An OVSDB session as a state machine: bytes and time in, bytes and events out. It reads no clock and no socket.
//!
//! ```text
//!   Down ──connected──▶ Schema ──get_schema──▶ Monitor ──monitor…──▶ Live
//!    ▲                    │                     │  ▲ │                 │
//!    │                    │                     │  └─┘ unknown method: the next older one
//!    └────── error, silence or end of the connection ◀─────────────────┘
//! ```
//!
//! The replica and the last transaction id outlive connections: after a reconnect the replica goes from what it was to
//! what the database is, never through empty. Time is a `Duration` since any moment the caller likes, as long as it is
//! always the same one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::jsonrpc::{Framer, Message, RpcError};
use crate::ovsdb::error::Error;
use crate::ovsdb::monitor::{self, Method, Monitored, TableRequest};
use crate::ovsdb::operation::{Operation, Outcome};
use crate::ovsdb::replica::{Change, Replica};
use crate::ovsdb::schema::Schema;
use crate::ovsdb::value::ValueError;

/// What a session is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database's name, for example `Open_vSwitch`.
    pub database: String,
    /// What the replica shall hold.
    pub tables: Vec<TableRequest>,
    /// After this long without a byte the peer is probed; after twice as long it is given up.
    pub probe_interval: Duration,
    /// The longest time from connecting to live.
    pub handshake_timeout: Duration,
    /// The longest message accepted, in bytes.
    pub max_message: usize,
}

impl Settings {
    /// Monitors `tables` of `database`: probes after 5 s, 10 s to become live, messages of up to 64 MiB.
    pub fn new(database: &str, tables: &[TableRequest]) -> Self {
        Self {
            database: database.to_owned(),
            tables: tables.to_vec(),
            probe_interval: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            max_message: 64 << 20,
        }
    }
}

/// Names a transaction to its caller.
pub type Token = u64;

/// What a session tells its shell.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The replica is what the database is, and transactions are taken.
    Live,
    /// Rows changed; the replica already has it.
    Changed(Vec<Change>),
    /// A transaction was answered, or will never be.
    Transacted(Token, Result<Vec<Outcome>, Error>),
    /// The session is down; the shell must close the socket and may connect again.
    Down(Error),
}

#[derive(Debug)]
enum State {
    /// Waits for the shell to connect; goes to `Schema`.
    Down,
    /// Waits for the answer to `get_schema`; goes to `Monitor`.
    Schema {
        /// When to give up.
        deadline: Duration,
    },
    /// Waits for the answer to a monitor call; goes to `Live`, or stays with an older method.
    Monitor {
        /// When to give up.
        deadline: Duration,
        monitored: Monitored,
        method: Method,
    },
    /// Waits for updates and replies; goes to `Down`.
    Live { monitored: Monitored },
}

#[derive(Debug)]
enum Pending {
    Schema,
    Monitor,
    Probe,
    Transaction { token: Token, n_operations: usize },
}

/// One client's session with one database, over any number of connections.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    framer: Framer,
    output: Vec<u8>,
    events: VecDeque<Event>,
    pending: BTreeMap<u64, Pending>,
    next_id: u64,
    replica: Arc<Replica>,
    last_txn_id: Option<String>,
    last_heard: Duration,
    is_probing: bool,
}

impl Session {
    /// A session that is down, with an empty replica.
    pub fn new(settings: Settings) -> Self {
        Self {
            framer: Framer::new(settings.max_message),
            settings,
            state: State::Down,
            output: Vec::new(),
            events: VecDeque::new(),
            pending: BTreeMap::new(),
            next_id: 0,
            replica: Arc::default(),
            last_txn_id: None,
            last_heard: Duration::ZERO,
            is_probing: false,
        }
    }

    /// The replica as of now.
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// True if transactions are taken.
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// A new connection is there; what was left of the last one is forgotten.
    pub fn handle_connected(&mut self, now: Duration) {
        self.framer = Framer::new(self.settings.max_message);
        self.output.clear();
        self.last_heard = now;
        self.is_probing = false;
        self.state = State::Schema { deadline: now + self.settings.handshake_timeout };
        self.call(Pending::Schema, "get_schema", json!([self.settings.database]));
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        if matches!(self.state, State::Down) {
            return;
        }
        self.last_heard = now;
        self.is_probing = false;
        self.framer.push(bytes);
        if let Err(error) = self.read_messages() {
            self.go_down(error);
        }
    }

    /// The connection has ended, for this reason. Does nothing if the session is down already.
    pub fn handle_disconnected(&mut self, error: Error) {
        if !matches!(self.state, State::Down) {
            self.go_down(error);
        }
    }

    /// Time has passed; to be called when `poll_timeout` is due, harmless at any other time.
    pub fn handle_timeout(&mut self, now: Duration) {
        let silence = now.saturating_sub(self.last_heard);
        match self.state {
            State::Down => return,
            State::Schema { deadline } | State::Monitor { deadline, .. } if now >= deadline => {
                return self.go_down(Error::Silent { silence: self.settings.handshake_timeout });
            }
            _ => {}
        }
        if silence >= self.settings.probe_interval * 2 {
            self.go_down(Error::Silent { silence });
        } else if silence >= self.settings.probe_interval && !self.is_probing {
            self.is_probing = true;
            self.call(Pending::Probe, "echo", json!([]));
        }
    }

    /// When `handle_timeout` wants to be called next; `None` while the session is down.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let interval = self.settings.probe_interval;
        let silence = self.last_heard + if self.is_probing { interval * 2 } else { interval };
        match self.state {
            State::Down => None,
            State::Schema { deadline } | State::Monitor { deadline, .. } => Some(silence.min(deadline)),
            State::Live { .. } => Some(silence),
        }
    }

    /// Bytes to send, all there are.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.output.is_empty()).then(|| std::mem::take(&mut self.output))
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends a transaction; its answer comes as an event with this token.
    ///
    /// # Errors
    /// `NotConnected` if the session is not live; nothing was sent then.
    pub fn transact(&mut self, token: Token, operations: &[Operation]) -> Result<(), Error> {
        if !self.is_live() {
            return Err(Error::NotConnected);
        }
        let mut params = vec![json!(self.settings.database)];
        params.extend(operations.iter().map(Operation::to_json));
        let pending = Pending::Transaction { token, n_operations: operations.len() };
        self.call(pending, "transact", Value::Array(params));
        Ok(())
    }

    fn call(&mut self, pending: Pending, method: &str, params: Value) {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, pending);
        self.send(&Message::Request { id: json!(id), method: method.to_owned(), params });
    }

    fn send(&mut self, message: &Message) {
        self.output.extend(message.encode());
    }

    fn read_messages(&mut self) -> Result<(), Error> {
        while let Some(frame) = self.framer.next_frame()? {
            let message = Message::decode(frame)?;
            self.handle_message(message)?;
        }
        Ok(())
    }

    fn handle_message(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Request { id, method, params } if method == "echo" => {
                self.send(&Message::Reply { id, outcome: Ok(params) });
            }
            Message::Request { id, method, .. } => {
                let error = RpcError { error: "unknown method".to_owned(), details: method };
                self.send(&Message::Reply { id, outcome: Err(error) });
            }
            Message::Notification { method, params } => self.handle_update(&method, &params)?,
            Message::Reply { id, outcome } => self.handle_reply(&id, outcome)?,
        }
        Ok(())
    }

    fn handle_reply(&mut self, id: &Value, outcome: Result<Value, RpcError>) -> Result<(), Error> {
        let pending = id.as_u64().and_then(|id| self.pending.remove(&id));
        let refused = |method| move |error| Error::Rpc { method, error };
        match pending {
            None => {
                let problem = ValueError::new("the id of an open request", id);
                Err(Error::Protocol { what: "a reply", problem })
            }
            Some(Pending::Probe) => Ok(()),
            Some(Pending::Schema) => self.handle_schema(&outcome.map_err(refused("get_schema"))?),
            Some(Pending::Monitor) => self.handle_monitor(outcome),
            Some(Pending::Transaction { token, n_operations }) => {
                let outcomes = outcome.map_err(refused("transact"));
                let outcomes = outcomes.and_then(|result| Outcome::read_all(&result, n_operations));
                self.events.push_back(Event::Transacted(token, outcomes));
                Ok(())
            }
        }
    }

    fn handle_schema(&mut self, result: &Value) -> Result<(), Error> {
        let State::Schema { deadline } = self.state else { return Ok(()) };
        let schema = Schema::from_json(result);
        let schema = schema.map_err(|problem| Error::Protocol { what: "the schema", problem })?;
        let monitored = Monitored::new(&self.settings.tables, schema)?;
        self.ask_monitor(deadline, monitored, Method::Since);
        Ok(())
    }

    fn ask_monitor(&mut self, deadline: Duration, monitored: Monitored, method: Method) {
        let params =
            method.params(&self.settings.database, &self.settings.tables, self.last_txn_id.as_deref());
        self.state = State::Monitor { deadline, monitored, method };
        self.call(Pending::Monitor, method.name(), params);
    }

    fn handle_monitor(&mut self, outcome: Result<Value, RpcError>) -> Result<(), Error> {
        let State::Monitor { deadline, monitored, method } = std::mem::replace(&mut self.state, State::Down)
        else {
            return Ok(());
        };
        let result = match (outcome, method.fallback()) {
            (Ok(result), _) => result,
            (Err(error), Some(older)) if error.error == "unknown method" => {
                self.ask_monitor(deadline, monitored, older);
                return Ok(());
            }
            (Err(error), _) => {
                self.state = State::Live { monitored };
                return Err(Error::Rpc { method: method.name(), error });
            }
        };
        self.state = State::Live { monitored };
        let update = method.read_result(&result);
        let update = update.map_err(|problem| Error::Protocol { what: "the monitor's reply", problem })?;
        self.apply(&update)?;
        self.events.push_back(Event::Live);
        Ok(())
    }

    fn handle_update(&mut self, method: &str, params: &Value) -> Result<(), Error> {
        let update = monitor::read_notification(method, params);
        match update.map_err(|problem| Error::Protocol { what: "a monitor update", problem })? {
            Some(update) => self.apply(&update),
            None => Ok(()),
        }
    }

    fn apply(&mut self, update: &monitor::Update<'_>) -> Result<(), Error> {
        let State::Live { monitored } = &self.state else { return Ok(()) };
        let mut replica = self.replica.clone();
        let changes = monitor::apply(Arc::make_mut(&mut replica), monitored, update);
        // A replica that is only half changed must not be taken up from later: the next connection asks for everything.
        self.last_txn_id = changes.is_ok().then(|| update.last_txn_id.map(str::to_owned)).flatten();
        let changes = changes?;
        if !changes.is_empty() {
            self.replica = replica;
            self.events.push_back(Event::Changed(changes));
        }
        Ok(())
    }

    fn go_down(&mut self, error: Error) {
        self.state = State::Down;
        self.output.clear();
        for pending in std::mem::take(&mut self.pending).into_values() {
            if let Pending::Transaction { token, .. } = pending {
                self.events.push_back(Event::Transacted(token, Err(Error::OutcomeUnknown)));
            }
        }
        self.events.push_back(Event::Down(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovsdb::{Condition, Datum, Uuid};

    const TABLES: &[TableRequest] =
        &[TableRequest { table: "Bridge", columns: &["name", "ports", "fail_mode"] }];
    const ROW: &str = "00000000-0000-0000-0000-00000000000a";

    /// A session and the other end of it, in virtual time.
    struct Pair {
        session: Session,
        now: Duration,
        framer: Framer,
    }

    impl Pair {
        fn connected() -> Self {
            let mut session = Session::new(Settings::new("Open_vSwitch", TABLES));
            session.handle_connected(Duration::ZERO);
            Self { session, now: Duration::ZERO, framer: Framer::new(1 << 20) }
        }

        fn live() -> Self {
            let mut pair = Self::connected();
            pair.answer_schema();
            pair.answer(
                "monitor_cond_since",
                json!([false, "t1", {"Bridge": {ROW: {"initial": {"name": "br0"}}}}]),
            );
            assert!(matches!(pair.event(), Event::Changed(_)));
            assert!(matches!(pair.event(), Event::Live));
            pair
        }

        /// The next message the session sent.
        fn sent(&mut self) -> Option<Message> {
            if let Some(bytes) = self.session.poll_transmit() {
                self.framer.push(&bytes);
            }
            self.framer.next_frame().unwrap().map(|frame| Message::decode(frame).unwrap())
        }

        fn request(&mut self, expected: &str) -> (Value, Value) {
            match self.sent() {
                Some(Message::Request { id, method, params }) if method == expected => (id, params),
                other => panic!("expected {expected}, found {other:?}"),
            }
        }

        fn send(&mut self, message: &Message) {
            self.session.handle_bytes(self.now, &message.encode());
        }

        fn answer(&mut self, method: &str, result: Value) -> Value {
            let (id, params) = self.request(method);
            self.send(&Message::Reply { id, outcome: Ok(result) });
            params
        }

        fn refuse(&mut self, method: &str) {
            let (id, _) = self.request(method);
            let error = RpcError { error: "unknown method".into(), details: String::new() };
            self.send(&Message::Reply { id, outcome: Err(error) });
        }

        fn answer_schema(&mut self) {
            self.answer(
                "get_schema",
                json!({"tables": {"Bridge": {"columns": {
                    "name": {"type": "string"},
                    "ports": {"type": {"key": {"type": "uuid"}, "min": 0, "max": "unlimited"}},
                    "fail_mode": {"type": {"key": {"type": "string"}, "min": 0, "max": 1}},
                }}}}),
            );
        }

        fn notify(&mut self, method: &str, params: Value) {
            self.send(&Message::Notification { method: method.into(), params });
        }

        fn event(&mut self) -> Event {
            self.session.poll_event().expect("an event")
        }

        fn wait(&mut self) {
            self.now = self.session.poll_timeout().expect("a timeout");
            self.session.handle_timeout(self.now);
        }

        fn row(&self) -> &Row {
            self.session.replica().row("Bridge", Uuid(10)).expect("the row")
        }
    }

    use crate::ovsdb::replica::Row;

    #[test]
    fn becomes_live_and_fills_in_what_the_server_left_out() {
        let pair = Pair::live();
        assert_eq!(pair.row().string("name"), Some("br0"));
        assert_eq!(pair.row().column("fail_mode"), Some(&Datum::empty()));
    }

    #[test]
    fn falls_back_to_the_methods_of_older_servers() {
        let mut pair = Pair::connected();
        pair.answer_schema();
        pair.refuse("monitor_cond_since");
        pair.refuse("monitor_cond");
        pair.answer("monitor", json!({"Bridge": {ROW: {"new": {"name": "br0", "fail_mode": "secure"}}}}));
        assert!(pair.session.is_live());
        pair.notify(
            "update",
            json!([monitor::MONITOR_ID, {"Bridge": {ROW: {
            "old": {"fail_mode": "secure"}, "new": {"name": "br0", "fail_mode": ["set", []]}}}}]),
        );
        assert_eq!(pair.row().string("fail_mode"), None);
        pair.notify("update", json!([monitor::MONITOR_ID, {"Bridge": {ROW: {"old": {"name": "br0"}}}}]));
        assert_eq!(pair.session.replica().rows("Bridge").count(), 0);
    }

    #[test]
    fn applies_differences_to_sets_and_new_values_to_scalars() {
        let mut pair = Pair::live();
        let port = |n: u128| json!(["uuid", Uuid(n).to_string()]);
        let modify =
            |difference| json!([monitor::MONITOR_ID, "t2", {"Bridge": {ROW: {"modify": difference}}}]);
        pair.notify("update3", modify(json!({"ports": ["set", [port(1), port(2)]], "fail_mode": "secure"})));
        pair.notify(
            "update3",
            modify(json!({"ports": ["set", [port(2), port(3)]], "fail_mode": "standalone"})),
        );
        assert_eq!(pair.row().references("ports").collect::<Vec<_>>(), [Uuid(1), Uuid(3)]);
        assert_eq!(pair.row().string("fail_mode"), Some("standalone"));
    }

    #[test]
    fn takes_up_where_it_was_and_never_shows_an_empty_replica() {
        let mut pair = Pair::live();
        pair.notify("update3", json!([monitor::MONITOR_ID, "t2", {}]));
        pair.session.handle_disconnected(Error::Closed);
        assert!(matches!(pair.event(), Event::Down(Error::Closed)));
        assert_eq!(pair.row().string("name"), Some("br0"));
        pair.session.handle_connected(pair.now);
        pair.answer_schema();
        let params = pair.answer("monitor_cond_since", json!([true, "t2", {}]));
        assert_eq!(params[3], "t2");
        assert!(
            matches!(pair.event(), Event::Live),
            "nothing changed, so nothing is said but that it is live"
        );
    }

    #[test]
    fn a_server_that_has_forgotten_replaces_the_replica() {
        let mut pair = Pair::live();
        pair.session.handle_disconnected(Error::Closed);
        pair.event();
        pair.session.handle_connected(pair.now);
        pair.answer_schema();
        let other = Uuid(11).to_string();
        pair.answer(
            "monitor_cond_since",
            json!([false, "u1", {"Bridge": {other: {"initial": {"name": "br1"}}}}]),
        );
        let Event::Changed(changes) = pair.event() else { panic!("rows changed") };
        assert_eq!(changes.len(), 2);
        assert_eq!(
            pair.session.replica().rows("Bridge").map(|(uuid, _)| uuid).collect::<Vec<_>>(),
            [Uuid(11)]
        );
    }

    #[test]
    fn answers_echo_at_once_in_every_state() {
        let echo = Message::Request { id: json!("echo"), method: "echo".into(), params: json!(["x"]) };
        let answer = Message::Reply { id: json!("echo"), outcome: Ok(json!(["x"])) };
        let mut pair = Pair::connected();
        pair.request("get_schema");
        pair.send(&echo);
        assert_eq!(pair.sent(), Some(answer.clone()));
        let mut pair = Pair::live();
        pair.send(&echo);
        assert_eq!(pair.sent(), Some(answer));
    }

    #[test]
    fn probes_a_silent_peer_and_gives_it_up_after_as_long_again() {
        let mut pair = Pair::live();
        pair.wait();
        assert_eq!(pair.now, Duration::from_secs(5));
        pair.answer("echo", json!([]));
        pair.wait();
        pair.request("echo");
        pair.wait();
        assert_eq!(pair.now, Duration::from_secs(15));
        assert!(matches!(pair.event(), Event::Down(Error::Silent { .. })));
        assert_eq!(pair.session.poll_timeout(), None);
    }

    #[test]
    fn a_peer_that_talks_but_never_answers_does_not_hold_the_handshake_for_ever() {
        let mut pair = Pair::connected();
        for second in 1..=9 {
            pair.now = Duration::from_secs(second);
            pair.notify("other", json!([]));
        }
        pair.wait();
        assert!(matches!(pair.event(), Event::Down(Error::Silent { .. })));
        assert_eq!(pair.now, Duration::from_secs(10));
    }

    fn delete() -> Vec<Operation> {
        vec![Operation::Delete { table: "Bridge", conditions: vec![Condition::row(Uuid(7))] }]
    }

    #[test]
    fn a_transaction_in_flight_when_the_connection_dies_has_an_unknown_outcome() {
        let mut pair = Pair::live();
        pair.session.transact(7, &delete()).unwrap();
        pair.session.handle_disconnected(Error::Closed);
        assert!(matches!(pair.event(), Event::Transacted(7, Err(Error::OutcomeUnknown))));
        assert!(matches!(pair.session.transact(8, &delete()), Err(Error::NotConnected)));
    }

    #[test]
    fn a_refused_transaction_leaves_the_session_live() {
        let mut pair = Pair::live();
        pair.session.transact(7, &delete()).unwrap();
        pair.answer("transact", json!([{"error": "constraint violation", "details": "no"}]));
        assert!(matches!(pair.event(), Event::Transacted(7, Err(Error::Refused { index: 0, .. }))));
        assert!(pair.session.is_live());
    }

    #[test]
    fn whatever_breaks_the_protocol_brings_the_session_down_with_a_reason() {
        let bad_update = |row: Value| {
            let params = json!([monitor::MONITOR_ID, "t2", {"Bridge": {Uuid(99).to_string(): row}}]);
            Message::Notification { method: "update3".into(), params }.encode()
        };
        let unasked = Message::Reply { id: json!(99), outcome: Ok(json!([])) }.encode();
        for bytes in [
            b"HTTP/1.1 400 Bad Request".to_vec(),
            b"{\"method\":}".to_vec(),
            unasked,
            bad_update(json!({"modify": {"name": "x"}})),
            bad_update(json!({"insert": {"name": {}}})),
            bad_update(json!([])),
        ] {
            let mut pair = Pair::live();
            pair.session.handle_bytes(pair.now, &bytes);
            assert!(matches!(pair.event(), Event::Down(_)), "{}", String::from_utf8_lossy(&bytes));
            assert_eq!(pair.row().string("name"), Some("br0"));
        }
    }

    #[test]
    fn a_database_without_a_monitored_column_is_named() {
        let mut pair = Pair::connected();
        pair.answer("get_schema", json!({"tables": {"Bridge": {"columns": {"name": {"type": "string"}}}}}));
        let Event::Down(error) = pair.event() else { panic!("down") };
        assert_eq!(error.to_string(), "the database lacks column Bridge.ports");
    }
}
