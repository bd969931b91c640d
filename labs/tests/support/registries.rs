//! An upstream registry and a registry proxy, beside the lab's controller: nodes reach the proxy alone.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use labs::process::{find_executable, run};
use labs::{Lab, wait_until};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Where nodes reach the proxy.
pub(crate) const PROXY: &str = "172.31.0.254:5000";
/// The upstream, inside the controller's namespace only.
const UPSTREAM: &str = "127.0.0.1:5001";
const MACHINE: &str = "controller";
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with its test.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    fn start(lab: &Lab, log: PathBuf, words: &[&str]) -> Daemon {
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = lab.command(MACHINE, words).unwrap();
        // Whatever way out this machine has is not the lab's.
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        let both = (out.try_clone().unwrap(), out);
        let child = command.stdin(Stdio::null()).stdout(both.0).stderr(both.1).spawn().unwrap();
        Daemon { child, log }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Ends it at once, and returns when it has ended.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that was killed has been waited for.
        drop((self.child.kill(), self.child.wait()));
    }
}

/// Whether the registry's program is installed; says so if it is not.
pub(crate) fn possible() -> bool {
    let there = Command::new("docker-registry").arg("--version").output().is_ok();
    if !there {
        eprintln!("not run: there is no docker-registry: install docker-registry");
    }
    there
}

/// Where the registries have their folders.
pub(crate) fn folder(lab: &Lab, name: &str) -> PathBuf {
    let folder = lab.state().dir.join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Starts the upstream and waits until it answers. What it had before it still has.
pub(crate) fn upstream(lab: &Lab) -> Daemon {
    let folder = folder(lab, "upstream");
    let settings = json!({
        "version": "0.1",
        "log": { "level": "info", "formatter": "json", "accesslog": { "disabled": true } },
        "storage": { "filesystem": { "rootdirectory": folder.join("data") } },
        "http": { "addr": UPSTREAM },
    });
    let file = folder.join("settings.yml");
    fs::write(&file, settings.to_string()).unwrap();
    let words = ["docker-registry", "serve", file.to_str().unwrap()];
    let daemon = Daemon::start(lab, lab.state().dir.join("upstream.log"), &words);
    until_answers(lab, UPSTREAM);
    daemon
}

/// Starts the proxy and waits until it answers. What it had cached before it still has.
pub(crate) fn proxy(lab: &Lab) -> Daemon {
    let (folder, program) = (folder(lab, "proxy"), find_executable("weir-agent").unwrap());
    let upstream = format!("http://{UPSTREAM}");
    let options = ["--upstream", &upstream, "--listen", PROXY, "--log", "debug,hyper=info,reqwest=info"];
    let words = [&[program.to_str().unwrap(), "registry-proxy"], &options[..]].concat();
    let words = [&words[..], &["--storage", folder.to_str().unwrap()]].concat();
    // Not in its folder, whose disk may be full.
    let daemon = Daemon::start(lab, lab.state().dir.join("proxy.log"), &words);
    until_answers(lab, PROXY);
    daemon
}

fn until_answers(lab: &Lab, address: &str) {
    let url = format!("http://{address}/v2/");
    let answers = || Ok(lab.exec(MACHINE, ["curl", "--noproxy", "*", "-sSf", "--max-time", "1", &url]).ok());
    lab.wait_until(PATIENCE, &format!("the registry at {address}"), answers).unwrap();
}

/// Waits until nobody takes connections where the proxy was.
pub(crate) fn until_proxy_gone(lab: &Lab) {
    let url = format!("http://{PROXY}/v2/");
    let gone = || {
        Ok(lab
            .exec(MACHINE, ["curl", "--noproxy", "*", "-sS", "--max-time", "1", &url])
            .is_err()
            .then_some(()))
    };
    wait_until(PATIENCE, "the proxy's registry to end with it", gone).unwrap();
}

/// An image in the upstream.
pub(crate) struct Image {
    /// `sha256:…` of its manifest.
    pub(crate) digest: String,
    /// Its layers: digests and sizes.
    pub(crate) layers: Vec<(String, u64)>,
}

/// Puts an image into the upstream: the lab's BusyBox, and a layer of its own that is `size` bytes large.
pub(crate) fn push(lab: &Lab, name: &str, size: u64) -> Image {
    push_with(lab, name, |root| {
        let mut random = Command::new("head");
        random.args(["-c", &size.to_string(), "/dev/urandom"]);
        random.stdout(File::create(root.join("own")).unwrap());
        assert!(random.status().unwrap().success());
    })
}

/// Puts an image into the upstream that has a page `/www/version`.
pub(crate) fn push_page(lab: &Lab, name: &str, version: &str) -> Image {
    push_with(lab, name, |root| {
        fs::create_dir(root.join("www")).unwrap();
        fs::write(root.join("www/version"), version).unwrap();
    })
}

/// Puts an image into the upstream: the lab's BusyBox, and a layer of what is put into a folder.
fn push_with(lab: &Lab, name: &str, fill: impl FnOnce(&Path)) -> Image {
    let folder = folder(lab, "images").join(name.replace(['/', ':'], "-"));
    fs::create_dir_all(folder.join("root")).unwrap();
    let (repository, tag) = name.split_once(':').unwrap();
    fill(&folder.join("root"));
    let tar = folder.join("own.tar");
    let (file, root) =
        (format!("--file={}", tar.display()), format!("--directory={}", folder.join("root").display()));
    run(Command::new("tar").args(["--create", &file, &root, "."])).unwrap();
    let layers = [lab.state().dir.join("busybox.tar"), tar].map(|tar| put_blob(lab, repository, &tar));
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": layers.each_ref().map(|(digest, _)| digest) },
    });
    let config_file = folder.join("config.json");
    fs::write(&config_file, config.to_string()).unwrap();
    let (config_digest, config_size) = put_blob(lab, repository, &config_file);
    let layer = |(digest, size): &(String, u64)| {
        json!({
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
            "digest": digest,
            "size": size,
        })
    };
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": config_digest,
            "size": config_size,
        },
        "layers": layers.each_ref().map(layer),
    });
    let manifest_file = folder.join("manifest.json");
    fs::write(&manifest_file, manifest.to_string()).unwrap();
    let url = format!("http://{UPSTREAM}/v2/{repository}/manifests/{tag}");
    let (kind, body) = (format!("Content-Type: {media_type}"), format!("@{}", manifest_file.display()));
    lab.exec(
        MACHINE,
        ["curl", "--noproxy", "*", "-sSf", "-X", "PUT", "-H", &kind, "--data-binary", &body, &url],
    )
    .unwrap();
    Image { digest: digest_of(&manifest_file), layers: layers.into() }
}

/// Puts a file into the upstream as a blob, and says its digest and size.
fn put_blob(lab: &Lab, repository: &str, file: &Path) -> (String, u64) {
    let digest = digest_of(file);
    let url = format!("http://{UPSTREAM}/v2/{repository}/blobs/uploads/");
    let answer = lab.exec(MACHINE, ["curl", "--noproxy", "*", "-sSf", "-X", "POST", "-i", &url]).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim();
    let (url, kind) = (format!("{location}&digest={digest}"), "Content-Type: application/octet-stream");
    lab.exec(
        MACHINE,
        ["curl", "--noproxy", "*", "-sSf", "-X", "PUT", "-H", kind, "-T", file.to_str().unwrap(), &url],
    )
    .unwrap();
    (digest, fs::metadata(file).unwrap().len())
}

fn digest_of(file: &Path) -> String {
    let sum = run(Command::new("sha256sum").arg(file)).unwrap();
    format!("sha256:{}", sum.split(' ').next().unwrap())
}

/// What the upstream has sent of each blob: bytes, by digest, and in how many answers.
pub(crate) fn sent(upstream: &Daemon) -> BTreeMap<String, (u64, usize)> {
    let mut sent: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for line in upstream.said().lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else { continue };
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let Some((_, digest)) = text("http.request.uri").rsplit_once("/blobs/") else { continue };
        if text("http.request.method") == "GET"
            && let Some(n) = entry["http.response.written"].as_u64()
        {
            let sum = sent.entry(digest.to_owned()).or_default();
            *sum = (sum.0 + n, sum.1 + 1);
        }
    }
    sent
}

/// Changes one byte of a blob, or changes it back.
pub(crate) fn tamper(blob: &Path) {
    let mut content = fs::read(blob).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(blob, content).unwrap();
}

/// Where the proxy has a blob.
pub(crate) fn cached(lab: &Lab, digest: &str) -> PathBuf {
    blob(&folder(lab, "proxy").join("cache"), digest)
}

/// Where the upstream has a blob.
pub(crate) fn original(lab: &Lab, digest: &str) -> PathBuf {
    blob(&folder(lab, "upstream").join("data"), digest)
}

fn blob(root: &Path, digest: &str) -> PathBuf {
    let digits = digest.strip_prefix("sha256:").unwrap();
    root.join("docker/registry/v2/blobs/sha256").join(&digits[..2]).join(digits).join("data")
}

/// A small disk of its own under the proxy's folder, until it is dropped; its proxy must have ended by then.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it.
    pub(crate) fn under_the_proxy(lab: &Lab, megabytes: u32) -> SmallDisk {
        let folder = folder(lab, "proxy");
        let size = format!("size={megabytes}m");
        mount(None::<&str>, &folder, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
        SmallDisk(folder)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Writes until nothing fits any more.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    /// Removes what was written.
    pub(crate) fn relieve(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.0, MntFlags::MNT_DETACH) {
            eprintln!("{} stays mounted: {error}", self.0.display());
        }
    }
}
