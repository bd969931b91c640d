//! The `weir` program as a user without a controller meets it: usage errors, help, completions, nothing listening.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

fn weir() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for name in ["SERVER", "POOL", "TOKEN", "TOKEN_FILE", "CA_CERT"] {
        command.env_remove(format!("WEIR_{name}"));
    }
    command.env("WEIR_CONFIG", "/dev/null");
    command
}

fn run(line: &str) -> Output {
    weir().args(line.split_whitespace()).output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are text")
}

/// Runs `line`, expects a usage error and returns what was said.
fn refused(line: &str) -> String {
    let output = run(line);
    assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
    assert!(output.stdout.is_empty(), "{line}: {output:?}");
    stderr(&output)
}

#[test]
fn a_missing_pool_is_asked_for() {
    for line in
        ["network show n", "container show c", "container create --publish-service=.n", "service show s"]
    {
        assert!(refused(line).contains("--pool"), "{line}");
    }
}

#[test]
fn an_unknown_setting_is_answered_with_the_known_ones() {
    let said = refused("--pool p network create n -d vlan -l 10.0.0.0/24 -l Gatway=10.0.0.1");
    assert!(said.contains("Gatway") && said.contains("Gateway=") && said.contains("Block="), "{said}");
    let said = refused("--pool p container create --publish-service=.n -l vlan=5");
    assert!(said.contains("Vlan") && said.contains("ip="), "{said}");
}

#[test]
fn the_vpc_driver_is_refused_naming_those_there_are() {
    let said = refused("--pool p network create n -d vpc -l 10.0.0.0/24");
    assert!(said.contains("vlan") && said.contains("vxlan"), "{said}");
}

#[test]
fn a_container_needs_a_network_and_is_told_how_to_name_one() {
    assert!(refused("--pool p container create").contains("--publish-service"));
    assert!(refused("--pool p container create --publish-service=web").contains("web.NETWORK"));
    assert!(refused("--pool p container create --publish-service=a.b.c").contains("--network"));
}

#[test]
fn a_service_needs_a_network_and_a_health_check_something_to_ask() {
    assert!(refused("--pool p service create web").contains("--network"));
    let said = refused("--pool p container create web --publish-service=.n --health-interval 5s busybox");
    assert!(said.contains("--health-cmd") && said.contains("--health-http"), "{said}");
    let said = refused("--pool p service create web --network n --health-cmd a --health-http 80/");
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn a_volume_is_written_as_docker_has_it() {
    assert!(
        refused("--pool p container create c --publish-service=.n --volume data busybox")
            .contains("NAME:/PATH")
    );
    assert!(refused("volume show data").contains("--pool"));
}

#[test]
fn a_network_option_after_the_image_is_said_to_belong_to_the_command() {
    for option in ["--publish-service=.n", "--network n", "--publich-service .n"] {
        let said = refused(&format!("--pool p container create web busybox httpd -f {option}"));
        assert!(said.contains("stands after IMAGE") && said.contains("before IMAGE"), "{said}");
    }
}

#[test]
fn help_shows_how_to_write_what_a_container_runs() {
    let output = run("container create --help");
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("[NAME] [IMAGE [COMMAND]]..."), "{help}");
    for word in ["--dry-run", "--restart", "--constraint", "on-failure[:N]", "busybox httpd -f"] {
        assert!(help.contains(word), "{help} lacks {word}");
    }
    for line in ["events --help", "node drain --help", "container logs --help", "container start --help"] {
        assert!(run(line).status.success(), "{line}");
    }
}

#[test]
fn nothing_listening_is_told_with_the_address_tried() {
    for server in ["unix:/nonexistent/weir.sock", "127.0.0.1:1"] {
        let output = run(&format!("--server {server} status"));
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(stderr(&output).contains(server), "{}", stderr(&output));
    }
}

#[test]
fn a_bad_address_is_a_usage_error() {
    assert!(refused("--server ftp://a:1 status").contains("https://host:port"));
    let output = weir().env("WEIR_SERVER", "nowhere").arg("status").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn credentials_that_do_not_go_together_are_refused_before_anything_is_sent() {
    assert!(refused("--server https://a:1 status").contains("--ca-cert"));
    assert!(refused("--server https://a:1 --ca-cert /nowhere status").contains("/nowhere"));
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let token = |kind: &str| format!("{kind}.{}.{}.{}\n", "ab".repeat(5), "cd".repeat(16), "ef".repeat(32));
    let (user, node) = (file("user", &token("weir-api")), file("node", &token("weir-join")));
    let said = refused(&format!("--server http://10.0.0.1:1 --token-file {user} status"));
    assert!(said.contains("in the clear"), "{said}");
    assert!(!said.contains("cdcd"), "{said}");
    let said = refused(&format!("--server https://10.0.0.1:1 --token-file {node} status"));
    assert!(said.contains("for nodes"), "{said}");
    let config = file("config.toml", "server = \"https://10.0.0.1:1\"\ntoken_file = \"node\"\n");
    assert!(refused(&format!("--config {config} status")).contains("for nodes"));
    let config = file("wrong.toml", "sever = \"x\"\n");
    assert!(refused(&format!("--config {config} status")).contains("sever"));
    assert!(refused("--config /nowhere status").contains("/nowhere"));
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&format!("completions {shell}"));
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("publish-service"), "{shell}");
        assert!(!script.contains("publich"), "{shell}: the alias is hidden");
    }
}

#[test]
fn linked_under_another_name_it_speaks_of_itself_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let cli = dir.path().join("cli");
    symlink(Path::new(env!("CARGO_BIN_EXE_weir")), &cli).unwrap();
    let help = Command::new(&cli).args(["network", "--help"]).output().expect("the program starts");
    assert!(String::from_utf8(help.stdout).unwrap().contains("Usage: cli network"));
    let script = Command::new(&cli).args(["completions", "bash"]).output().expect("the program starts");
    assert!(String::from_utf8(script.stdout).unwrap().contains("complete -F _cli"));
}
