//! The image that the nodes' Dockers have: Debian's static BusyBox and a page for its HTTP server.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::site::run;
use crate::state::State;

/// Makes the image's root file system as a tar file, and gives back its content.
pub(super) async fn make(state: &State) -> anyhow::Result<Vec<u8>> {
    let (root, tar) = (state.dir.join(NAME), state.dir.join(format!("{NAME}.tar")));
    let applets = run("busybox", &["--list"]).await?;
    fill(&root, &busybox()?, &applets)
        .with_context(|| format!("cannot write the image's files to {}", root.display()))?;
    let arguments = ["--create", "--owner=0", "--group=0", "--numeric-owner"];
    let file = format!("--file={}", tar.display());
    let folder = format!("--directory={}", root.display());
    run("tar", &[&arguments[..], &[&file, &folder, "."]].concat()).await?;
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    fs::read(&tar).with_context(|| format!("cannot read {}", tar.display()))
}

fn fill(root: &Path, busybox: &Path, applets: &str) -> std::io::Result<()> {
    let bin = root.join("bin");
    for folder in ["bin", "etc", "root", "tmp", "www"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy(busybox, bin.join("busybox"))?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", bin.join(applet))?;
    }
    fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    fs::write(root.join("www/index.html"), PAGE)
}

fn busybox() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("busybox")).find(|file| file.is_file());
    found.context("there is no busybox: install busybox-static")
}

/// The image's name; its tag is [`TAG`].
pub(super) const NAME: &str = "busybox";
pub(super) const TAG: &str = "latest";
const PAGE: &str = "<!doctype html>\n<title>Weir</title>\n<p>This page came over a network of Weir.</p>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_applet_is_a_link_to_the_one_program() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "not run").unwrap();
        let root = folder.path().join("root");
        fill(&root, &program, "busybox\nhttpd\nsh\n").unwrap();
        for applet in ["httpd", "sh"] {
            assert_eq!(fs::read_link(root.join("bin").join(applet)).unwrap(), Path::new("busybox"));
        }
        assert_eq!(fs::read_to_string(root.join("bin/sh")).unwrap(), "not run");
        assert_eq!(fs::metadata(root.join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
    }
}
