//! Real Open vSwitch daemons for tests: each in a temporary directory of its own, dead when the test is.
//!
//! Tests that find no binaries, or need root and have not got it, say so and pass.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ovsdb_agent::bridge::MONITORED;
use ovsdb_agent::ovsdb::{Address, Client, Config, Settings};
use tempfile::TempDir;

pub const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Longer than anything here takes; what takes longer has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// True if the test can run; else says why not.
pub fn has_ovs(needs_root: bool) -> bool {
    let has = |name: &str| ["/usr/sbin", "/usr/bin"].iter().any(|dir| Path::new(dir).join(name).exists());
    if !has("ovsdb-server") || !has("ovs-vswitchd") || !Path::new(SCHEMA).exists() {
        eprintln!("skipped: needs Open vSwitch (Debian: openvswitch-switch)");
        return false;
    }
    if needs_root && !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root (network namespaces)");
        return false;
    }
    true
}

/// Runs a command to its end; its output, if it succeeded.
pub fn run(command: &mut Command) -> String {
    let output: Output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A process that is killed when it is dropped, or when the thread that started it ends.
pub struct Daemon(Child);

impl Daemon {
    pub fn spawn(prefix: &[&str], program: &str, arguments: &[String], rundir: &Path) -> Self {
        Self::spawn_logged(prefix, program, arguments, rundir, Stdio::null())
    }

    /// As `spawn`; what it says on standard error goes to `log`.
    pub fn spawn_logged(
        prefix: &[&str],
        program: &str,
        arguments: &[String],
        rundir: &Path,
        log: impl Into<Stdio>,
    ) -> Self {
        let mut words: Vec<&str> = prefix.to_vec();
        words.extend(["setpriv", "--pdeathsig", "KILL", program]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(arguments).env("OVS_RUNDIR", rundir).env("OVS_LOGDIR", rundir);
        command.env("OVS_PKGDATADIR", "/usr/share/openvswitch");
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect(program))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.0.wait().unwrap()
    }

    /// As `kill -9`; returns when the process is gone.
    pub fn kill(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A database with its server, on a unix socket.
pub struct Database {
    pub dir: TempDir,
    remotes: Vec<String>,
    server: Option<Daemon>,
}

impl Database {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Listens on further remotes too.
    pub fn with(remotes: &[String]) -> Self {
        let mut database = Self::stopped(remotes);
        run(Command::new("ovsdb-tool").arg("create").arg(database.path("conf.db")).arg(SCHEMA));
        database.restart();
        database
    }

    /// A cluster of one server: it remembers what it has sent, which a standalone one does not.
    pub fn clustered() -> Self {
        let mut database = Self::stopped(&[]);
        let raft = format!("unix:{}", database.path("raft.sock").display());
        run(Command::new("ovsdb-tool")
            .arg("create-cluster")
            .arg(database.path("conf.db"))
            .arg(SCHEMA)
            .arg(raft));
        database.restart();
        database
    }

    fn stopped(remotes: &[String]) -> Self {
        let dir = tempfile::Builder::new().prefix("weir-ovsdb-").tempdir().unwrap();
        Self { dir, remotes: remotes.to_vec(), server: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("db.sock")
    }

    pub fn kill(&mut self) {
        self.server = None;
    }

    pub fn restart(&mut self) {
        self.kill();
        let mut arguments = vec![
            self.path("conf.db").display().to_string(),
            format!("--remote=punix:{}", self.socket().display()),
            format!("--unixctl={}", self.path("ovsdb.ctl").display()),
            format!("--log-file={}", self.path("ovsdb.log").display()),
        ];
        arguments.extend(self.remotes.iter().map(|remote| format!("--remote={remote}")));
        self.server = Some(Daemon::spawn(&[], "ovsdb-server", &arguments, self.dir.path()));
    }

    /// Runs ovs-vsctl, without waiting for ovs-vswitchd.
    pub fn vsctl(&self, arguments: &str) -> String {
        run(self.vsctl_command().arg("--no-wait").args(arguments.split_whitespace()))
    }

    /// Runs ovs-vsctl and waits until ovs-vswitchd has done it.
    pub fn vsctl_wait(&self, arguments: &str) -> String {
        run(self.vsctl_command().args(arguments.split_whitespace()))
    }

    fn vsctl_command(&self) -> Command {
        let mut command = Command::new("ovs-vsctl");
        command.args(["--timeout=20", "--retry"]).arg(format!("--db=unix:{}", self.socket().display()));
        command
    }

    pub fn client(&self) -> Client {
        client(Address::Unix(self.socket()))
    }
}

/// A client of what the bridges need.
pub fn client(address: Address) -> Client {
    Client::start(Config::new(address, Settings::new("Open_vSwitch", MONITORED)))
}

/// Waits for a future that must come to its end.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// A network namespace that is removed when dropped.
pub struct Namespace(pub String);

impl Namespace {
    pub fn new() -> Self {
        static N_MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("ovsdb-{}-{}", std::process::id(), N_MADE.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self(name);
        namespace.ip("link set lo up");
        namespace
    }

    pub fn ip(&self, arguments: &str) -> String {
        run(Command::new("ip").args(["-n", &self.0]).args(arguments.split_whitespace()))
    }

    /// Makes a veth whose both ends stay here, up: `name` and `name`p.
    pub fn veth(&self, name: &str) {
        self.ip(&format!("link add {name} type veth peer name {name}p"));
        self.ip(&format!("link set {name} up"));
        self.ip(&format!("link set {name}p up"));
    }

    /// Runs a future on a thread of its own inside the namespace.
    pub fn enter<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let path = Path::new("/run/netns").join(&self.0);
        let inside = std::thread::spawn(move || {
            let file = std::fs::File::open(path).unwrap();
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
        });
        inside.join().unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.0]).status());
    }
}

/// A node: a database and an ovs-vswitchd in a namespace with a NIC. Fields are dropped in this order.
pub struct Node {
    switch: Option<Daemon>,
    pub database: Database,
    pub namespace: Namespace,
}

impl Node {
    pub fn start() -> Self {
        let mut node = Self { switch: None, database: Database::start(), namespace: Namespace::new() };
        node.namespace.veth("nic");
        node.start_switch();
        node
    }

    pub fn kill_switch(&mut self) {
        self.switch = None;
    }

    pub fn start_switch(&mut self) {
        self.kill_switch();
        let path = |name| self.database.path(name).display().to_string();
        let arguments = [
            format!("unix:{}", path("db.sock")),
            format!("--pidfile={}", path("vswitchd.pid")),
            format!("--unixctl={}", path("vswitchd.ctl")),
            format!("--log-file={}", path("vswitchd.log")),
        ];
        let prefix = ["ip", "netns", "exec", self.namespace.0.as_str()];
        self.switch = Some(Daemon::spawn(&prefix, "ovs-vswitchd", &arguments, self.database.dir.path()));
    }

    pub fn appctl(&self, arguments: &str) -> String {
        let target = format!("--target={}", self.database.path("vswitchd.ctl").display());
        run(Command::new("ovs-appctl").arg(target).args(arguments.split_whitespace()))
    }

    /// Runs ovs-ofctl on br-int's management socket: `command` BRIDGE `rest`.
    pub fn ofctl(&self, command: &str, rest: &[&str]) -> String {
        let socket = format!("unix:{}", self.database.path("br-int.mgmt").display());
        run(Command::new("ovs-ofctl").args(["-O", "OpenFlow13", command, &socket]).args(rest))
    }
}
