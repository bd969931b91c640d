//! What Docker cannot do as it is asked: the state says the truth, it heals where the cause goes away, and nothing is left.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use docker::{IMAGE, assert_deletes, assert_one_each, docker, job, sleeper, until};
use labs::{Lab, Topology};
use support::{System, vlan};
use tonic::Code;
use weir_api::v1;
use weir_api::v1::container_status::Phase;
use weir_api::v1::restart_policy::Mode;

/// A lab of one node with Docker, and a network.
fn one_node(name: &str, change: impl FnOnce(&mut Topology)) -> Option<System> {
    let system = System::up_docker_with(name, |topology| {
        topology.nodes.truncate(1);
        change(topology);
    })?;
    system.network(vlan("v"));
    Some(system)
}

#[test]
fn an_image_that_is_missing_or_broken_is_named_until_it_is_there() {
    let Some(system) = one_node("dim", |_| {}) else { return };
    let absent = v1::Container { image: "absent:1".to_owned(), ..sleeper("absent", "v") };
    let refused = system.try_create_as(absent, true).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("absent:1"), "{refused}");
    // It is committed nevertheless.
    let missing = until(&system, "absent", Phase::Degraded, "ImageMissing");
    assert!(missing.message.contains("`absent:1` is not on this node"), "{}", missing.message);
    docker(&system.lab, "n1", &["tag", IMAGE, "absent:1"]).unwrap();
    system.until_ready("absent");

    let before = layers(&system.lab);
    // With another file in it, else Docker would take the layer it has.
    let tar = system.lab.state().dir.join("other.tar");
    fs::copy(system.lab.state().dir.join("busybox.tar"), &tar).unwrap();
    let tar = tar.to_str().unwrap();
    system.lab.exec("n1", ["tar", "--append", "--file", tar, "/etc/hostname"]).unwrap();
    docker(&system.lab, "n1", &["import", tar, "broken:1"]).unwrap();
    let layer = layers(&system.lab).difference(&before).next().unwrap().clone();
    let aside = system.lab.state().dir.join("aside");
    fs::rename(&layer, &aside).unwrap();
    let broken = v1::Container { image: "broken:1".to_owned(), ..sleeper("broken", "v") };
    system.try_create_as(broken, false).unwrap();
    let refused = until(&system, "broken", Phase::Degraded, "StartRefused");
    assert!(
        refused.message.contains("Docker refuses") && refused.message.contains("no such file"),
        "{refused:?}"
    );
    fs::rename(&aside, &layer).unwrap();
    system.until_ready("broken");
    assert_one_each(&system, "with all images there");

    let empty = system.lab.state().dir.join("empty.tar");
    fs::write(&empty, [0; 10240]).unwrap();
    docker(&system.lab, "n1", &["import", empty.to_str().unwrap(), "empty:1"]).unwrap();
    let shell = v1::Container { image: "empty:1".to_owned(), ..job("empty", "v", &["sh"]) };
    system.try_create_as(shell, false).unwrap();
    let ended = until(&system, "empty", Phase::Ended, "Exited");
    assert_eq!(ended.process.unwrap().exit_code, 127, "{}", ended.message);
    for name in ["absent", "broken", "empty"] {
        assert_deletes(&system, name);
    }
}

/// The folders of Docker's layers on n1, whichever way it stores them.
fn layers(lab: &Lab) -> BTreeSet<PathBuf> {
    let data = lab.state().machine_dir("n1").join("docker");
    let stores = ["overlay2", "vfs/dir", "fuse-overlayfs"].map(|store| data.join(store));
    let store = stores.into_iter().find(|store| store.is_dir()).unwrap();
    let folders = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|path| path.file_name().is_some_and(|name| name.len() >= 64)).collect()
}

#[test]
fn a_command_that_does_not_last_is_told_by_its_code_and_its_policy() {
    let Some(system) = one_node("dcm", |_| {}) else { return };
    let with = |mode: Mode, max_retries, container| v1::Container {
        restart: Some(v1::RestartPolicy { mode: mode.into(), max_retries }),
        ..container
    };
    for (name, command, code) in [
        ("nothing", &["/no/such/program"][..], 127),
        ("well", &["true"], 0),
        ("ill", &["sh", "-c", "exit 3"], 3),
    ] {
        system.try_create_as(job(name, "v", command), false).unwrap();
        let ended = until(&system, name, Phase::Ended, "Exited");
        let process = ended.process.unwrap();
        assert_eq!((process.exit_code, process.running, process.restarts), (code, false, 0), "{name}");
        assert!(ended.message.contains(&format!("exit code {code}")), "{}", ended.message);
    }
    let failing = || ["sh", "-c", "exit 3"];
    system.try_create_as(with(Mode::Always, 0, job("again", "v", &failing())), false).unwrap();
    let restarting = until(&system, "again", Phase::Degraded, "Restarting");
    assert!(restarting.message.contains("exit code 3"), "{}", restarting.message);
    system.try_create_as(with(Mode::OnFailure, 2, job("twice", "v", &failing())), false).unwrap();
    let ended = until(&system, "twice", Phase::Ended, "Exited").process.unwrap();
    assert_eq!((ended.exit_code, ended.restarts), (3, 2));
    for name in ["nothing", "well", "ill", "again", "twice"] {
        assert_deletes(&system, name);
    }
}

#[test]
fn limits_beyond_the_node_are_refused_by_the_scheduler_or_else_by_docker() {
    let Some(system) = one_node("dli", |topology| {
        // It claims to have more than Docker finds there.
        topology.nodes[0].args.extend(["--capacity-cpus".to_owned(), "1000".to_owned()]);
    }) else {
        return;
    };
    let needs = |name: &str, cpu_millis| v1::Container {
        resources: Some(v1::Resources { cpu_millis, ..v1::Resources::default() }),
        ..sleeper(name, "v")
    };
    let refused = system.try_create_as(needs("huge", 2_000_000), false).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("n1") && refused.message().contains("CPUs asked"), "{refused}");
    assert_eq!(system.containers(), []);
    system.try_create_as(needs("big", 900_000), false).unwrap();
    let refused = until(&system, "big", Phase::Degraded, "StartRefused");
    assert!(refused.message.contains("Docker refuses") && refused.message.contains("CPUs"), "{refused:?}");
    // What it holds is free for others when it is deleted.
    assert_eq!(
        system.try_create_as(needs("more", 200_000), false).unwrap_err().code(),
        Code::ResourceExhausted
    );
    assert_deletes(&system, "big");
    assert_eq!(system.nodes()[0].status.clone().unwrap().allocated.unwrap_or_default().cpu_millis, 0);
}

#[test]
fn a_name_that_is_taken_changes_nothing() {
    let Some(system) = one_node("dnm", |_| {}) else { return };
    let first = system.create_as(sleeper("web", "v"));
    let before = system.containers();
    let other = v1::Container { image: "other:1".to_owned(), ..sleeper("web", "v") };
    assert_eq!(system.try_create_as(other, false).unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(system.containers(), before);
    assert_one_each(&system, "after a name was refused");

    // Docker's own names are everybody's: the endpoint's number is the next one.
    let id = first.endpoint_id + 1;
    let name = format!("mine.{}.{id}", support::POOL);
    let foreign = ["run", "-d", "--network", "none", "--name", &name, IMAGE, "sleep", "1d"];
    let foreign = docker(&system.lab, "n1", &foreign).unwrap();
    let taken = system.try_create_as(sleeper("mine", "v"), false).unwrap();
    assert_eq!(taken.endpoint_id, id, "the name that Docker would be asked for");
    let refused = until(&system, "mine", Phase::Degraded, "StartRefused");
    assert!(refused.message.contains(&name) && refused.message.contains("in use"), "{refused:?}");
    // Whoever else has it keeps it, whatever becomes of ours.
    assert_deletes(&system, "mine");
    let running = ["inspect", "--format", "{{.State.Running}}", &foreign];
    assert_eq!(docker(&system.lab, "n1", &running).unwrap(), "true");

    let name = format!("mine.{}.{}", support::POOL, id + 1);
    docker(&system.lab, "n1", &["rename", &foreign, &name]).unwrap();
    system.try_create_as(sleeper("mine", "v"), false).unwrap();
    until(&system, "mine", Phase::Degraded, "StartRefused");
    docker(&system.lab, "n1", &["rm", "--force", &foreign]).unwrap();
    system.until_ready("mine");
    assert_one_each(&system, "with the name free");
    ["mine", "web"].iter().for_each(|name| assert_deletes(&system, name));
}

#[test]
fn docker_networks_of_one_name_become_one() {
    let Some(system) = one_node("dnt", |_| {}) else { return };
    let root = format!("/proc/{}/root", system.lab.state().machine("n1").unwrap().holder.unwrap().pid);
    // Docker's own client refuses what its API takes.
    for _ in 0..2 {
        let mut docker = UnixStream::connect(format!("{root}/run/docker.sock")).unwrap();
        let body =
            r#"{"Name":"weir","Driver":"weir","IPAM":{"Driver":"null"},"Options":{"weir.managed":"true"}}"#;
        let head = "POST /networks/create HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json";
        write!(docker, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        docker.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 201 "), "{answer}");
    }
    let networks =
        || docker(&system.lab, "n1", &["network", "ls", "--quiet", "--filter", "driver=weir"]).unwrap();
    assert_eq!(networks().lines().count(), 2);
    system.create_as(sleeper("web", "v"));
    assert_eq!(networks().lines().count(), 1);
    assert_one_each(&system, "with one network");
}

#[test]
fn a_full_disk_is_named_until_there_is_space() {
    let Some(system) = one_node("dfu", |_| {}) else { return };
    let lab = &system.lab;
    let data = lab.state().machine_dir("n1").join("docker").display().to_string();
    lab.stop("n1", labs::Daemon::Dockerd).unwrap();
    lab.exec("n1", ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", &data]).unwrap();
    lab.start("n1", labs::Daemon::Dockerd).unwrap();
    docker::until_docker_answers(lab, "n1");
    docker::until_offered(&system, "n1", true);
    let tar = lab.state().dir.join("busybox.tar");
    docker(lab, "n1", &["import", tar.to_str().unwrap(), IMAGE]).unwrap();
    system.create_as(sleeper("early", "v"));
    let fill = format!("of={data}/fill");
    let full = lab.exec("n1", ["dd", "if=/dev/zero", &fill, "bs=4k"]).unwrap_err();
    assert!(format!("{full:#}").contains("No space left"), "{full:#}");

    system.try_create_as(sleeper("late", "v"), false).unwrap();
    let refused = until(&system, "late", Phase::Degraded, "StartRefused");
    assert!(refused.message.contains("no space left on device"), "{}", refused.message);
    // What runs goes on, and what is deleted goes.
    system.until_ready("early");
    system.try_create_as(sleeper("never", "v"), false).unwrap();
    until(&system, "never", Phase::Degraded, "StartRefused");
    assert_deletes(&system, "never");
    lab.exec("n1", ["rm", &format!("{data}/fill")]).unwrap();
    system.until_ready("late");
    assert_one_each(&system, "with space again");
    ["early", "late"].iter().for_each(|name| assert_deletes(&system, name));
}
