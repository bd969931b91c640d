//! The Debian packages, before they are built: what goes into them is there, and their units are what systemd takes.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 3] = ["controller", "ovsdb-agent", "tools"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata(folder: &str) -> toml::Table {
    let manifest: toml::Table =
        fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap();
    manifest["package"]["metadata"]["deb"].as_table().unwrap().clone()
}

/// A package's files: where each is in the repository, and where it is installed.
fn assets(folder: &str) -> Vec<(String, String)> {
    let metadata = metadata(folder);
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let asset = |asset: &toml::Value| (text(&asset[0]), text(&asset[1]));
    metadata["assets"].as_array().unwrap().iter().map(asset).collect()
}

#[test]
fn all_that_is_not_built_is_in_the_repository_and_each_configuration_file_is_installed() {
    for folder in PACKAGES {
        let assets = assets(folder);
        for (file, _) in assets.iter().filter(|(file, _)| !file.starts_with("target/")) {
            assert!(root().join(folder).join(file).is_file(), "{folder}: {file}");
        }
        let metadata = metadata(folder);
        let files = metadata.get("conf-files").and_then(|files| files.as_array().cloned());
        for file in files.unwrap_or_default() {
            let file = file.as_str().unwrap().trim_start_matches('/').to_owned();
            assert!(assets.iter().any(|(_, installed)| *installed == file), "{folder}: {file}");
        }
        if let Some(scripts) = metadata.get("maintainer-scripts") {
            let scripts = root().join(folder).join(scripts.as_str().unwrap());
            for script in ["postinst", "prerm", "postrm"] {
                let text = fs::read_to_string(scripts.join(script)).unwrap();
                assert!(!text.contains("systemctl enable") && !text.contains("systemctl start"), "{text}");
                assert!(Command::new("sh").arg("-n").arg(scripts.join(script)).status().unwrap().success());
            }
        }
    }
}

#[test]
fn units_are_what_systemd_takes_and_start_what_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    for package in PACKAGES {
        let assets = assets(package);
        for (file, _) in assets.iter().filter(|(file, _)| file.ends_with(".service")) {
            let text = fs::read_to_string(root().join(package).join(file)).unwrap();
            let starts = text.lines().find_map(|line| line.strip_prefix("ExecStart=/")).unwrap();
            let (program, arguments) = starts.split_once(' ').unwrap_or((starts, ""));
            let installed = |(built, to): &(String, String)| {
                let name = Path::new(built).file_name().unwrap().to_str().unwrap();
                format!("{to}{name}") == program
            };
            assert!(assets.iter().any(installed), "{file} starts {program}");
            // Where nothing is installed, another program stands for it.
            let text =
                text.replace(&format!("ExecStart=/{starts}"), &format!("ExecStart=/bin/true {arguments}"));
            let unit = folder.path().join(Path::new(file).file_name().unwrap());
            fs::write(&unit, text).unwrap();
            let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output();
            let Ok(output) = verified else {
                eprintln!("not verified: there is no systemd-analyze");
                continue;
            };
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let name = unit.file_name().unwrap().to_str().unwrap();
            // It looks at the units of this machine too.
            let about_it = said.lines().filter(|line| line.contains(name)).collect::<Vec<_>>();
            assert!(output.status.success() && about_it.is_empty(), "{said}");
        }
    }
}
