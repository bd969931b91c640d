//! A Docker daemon in the test's own namespaces, with an image made of busybox.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::ovs::Daemon;

/// The image's name.
pub(crate) const IMAGE: &str = "busybox:latest";

/// True if the test can run; else says why not.
pub(crate) fn has_docker() -> bool {
    let needed = ["/usr/sbin/dockerd", "/usr/bin/containerd", "/usr/bin/docker", "/bin/busybox"];
    match needed.iter().find(|file| !Path::new(file).exists()) {
        Some(missing) => {
            eprintln!("skipped: {missing} is missing (Debian: docker.io, busybox-static)");
            false
        }
        None => true,
    }
}

/// Docker with its containerd. Its containers end with it.
pub(crate) struct Docker {
    dockerd: Option<Daemon>,
    containerd: Option<Daemon>,
    folder: tempfile::TempDir,
}

impl Docker {
    /// Starts it, waits until it answers, and gives it the image.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("weir-docker-").tempdir().unwrap();
        let config = folder.path().join("containerd.toml");
        let (root, state) = (folder.path().join("containerd"), "/run/containerd");
        let text = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{state}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{state}/containerd.sock\"\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let arguments = ["--config".to_owned(), config.display().to_string()];
        let containerd = Daemon::spawn(&[], "containerd", &arguments, folder.path());
        let mut docker = Self { dockerd: None, containerd: Some(containerd), folder };
        docker.start_dockerd();
        docker.import();
        docker
    }

    pub(crate) fn start_dockerd(&mut self) {
        let arguments = [
            "--containerd=/run/containerd/containerd.sock".to_owned(),
            format!("--data-root={}", self.folder.path().join("docker").display()),
            "--exec-root=/run/docker-exec".to_owned(),
            "--host=unix:///run/docker.sock".to_owned(),
            "--pidfile=/run/docker.pid".to_owned(),
            "--bridge=none".to_owned(),
            "--iptables=false".to_owned(),
            "--ip-forward=false".to_owned(),
            "--live-restore".to_owned(),
        ];
        drop(fs::remove_file("/run/docker.pid"));
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        self.dockerd = Some(Daemon::spawn_logged(&[], "dockerd", &arguments, self.folder.path(), log));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.command(&["version"]).stderr(Stdio::null()).output().unwrap().status.success() {
            assert!(Instant::now() < deadline, "dockerd does not answer");
        }
    }

    /// As `kill -9`.
    pub(crate) fn kill_dockerd(&mut self) {
        self.dockerd = None;
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("dockerd.log")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/docker");
        command.args(words).env("DOCKER_HOST", "unix:///run/docker.sock");
        command
    }

    /// Runs the command line client, which must succeed.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn import(&self) {
        let root = self.folder.path().join("image");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(root.join("tmp")).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in ["sh", "sleep", "cat", "ls", "ip", "ping", "echo", "true", "stty", "trap"] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let script = "set -o pipefail; tar -C \"$0\" -c . | docker import - \"$1\"";
        let mut import = Command::new("bash");
        import.args(["-c", script]).arg(&root).arg(IMAGE).env("DOCKER_HOST", "unix:///run/docker.sock");
        let imported = import.output().unwrap();
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            println!("dockerd's log ends with:");
            tail.iter().rev().for_each(|line| println!("{line}"));
        }
        // Whatever still runs in a container, with the shim that watches over it.
        let all = self.command(&["ps", "--all", "--quiet"]).output().map(|output| output.stdout);
        let all = String::from_utf8_lossy(&all.unwrap_or_default()).into_owned();
        let ids: Vec<&str> = all.split_whitespace().collect();
        if !ids.is_empty() {
            drop(self.command(&[&["rm", "--force"], &ids[..]].concat()).output());
        }
    }
}
