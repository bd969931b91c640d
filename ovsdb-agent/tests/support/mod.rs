//! A place for tests that make links and namespaces: nothing they do is seen outside of it, and it ends with them.

#![allow(dead_code)]

use std::{future::Future, path::Path, process::Command, thread, time::Duration};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// Runs `test` in a thread with a network and a mount namespace of its own and an empty /run, as a lab's node has it.
/// Without root it says so and runs nothing. A panic inside fails the test that called this.
pub(crate) fn in_sandbox<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let sandbox = thread::spawn(move || {
        const NOTHING: Option<&str> = None;
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("new namespaces");
        mount(Some(""), "/", Some("none"), MsFlags::MS_PRIVATE | MsFlags::MS_REC, NOTHING)
            .expect("private mounts");
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), NOTHING).expect("a /run of its own");
        // Control groups are carried over, for Docker.
        std::fs::create_dir("/run/cgroup").expect("a place for control groups");
        let carry = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some("/sys/fs/cgroup"), "/run/cgroup", NOTHING, carry, NOTHING).expect("control groups");
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), NOTHING)
            .expect("its own interfaces in /sys");
        mount(Some("/run/cgroup"), "/sys/fs/cgroup", NOTHING, MsFlags::MS_MOVE, NOTHING)
            .expect("control groups");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a tokio runtime");
        runtime.block_on(async { tokio::time::timeout(LIMIT, test()).await.expect("the test ends in time") });
    });
    if let Err(panic) = sandbox.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a command, which must succeed, and gives back its output.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().expect("a command")).args(words).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Waits until `condition` gives something, and fails with `what` if that takes too long.
pub(crate) async fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether anything is there under this path.
pub(crate) fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().exists()
}

const LIMIT: Duration = Duration::from_secs(120);
