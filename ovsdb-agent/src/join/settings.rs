//! The agent's settings in a file, as systemd's `EnvironmentFile` has them (systemd.exec(5)).

use std::{fmt::Write, path::Path};

use ipnet::Ipv4Net;

use super::{JournalError, journal};

/// What a join knows of the agent's settings.
#[derive(Clone, Debug)]
pub(super) struct Settings<'a> {
    pub(super) controller: &'a str,
    pub(super) pool: &'a str,
    pub(super) name: &'a str,
    pub(super) uplink: &'a str,
    pub(super) tunnel_address: Ipv4Net,
    pub(super) state_dir: &'a Path,
    pub(super) ovsdb: String,
}

impl Settings<'_> {
    /// Writes them into a file of their own, in place of those of an earlier join.
    ///
    /// # Errors
    /// The system's refusal.
    pub(super) fn write(&self, path: &Path) -> Result<(), JournalError> {
        let failed = |source| JournalError::File { path: path.to_owned(), source };
        journal::replace(path, self.to_text().as_bytes()).map_err(failed)
    }

    fn to_text(&self) -> String {
        let mut text = String::from(HEAD);
        for (key, value) in [
            ("WEIR_CONTROLLER", format!("https://{}", self.controller)),
            ("WEIR_POOL", self.pool.to_owned()),
            ("WEIR_NAME", self.name.to_owned()),
            ("WEIR_UPLINK", self.uplink.to_owned()),
            ("WEIR_TUNNEL_ADDRESS", self.tunnel_address.to_string()),
            ("WEIR_STATE_DIR", self.state_dir.display().to_string()),
            ("WEIR_OVSDB", self.ovsdb.clone()),
        ] {
            // Between such quotes only these mean anything.
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(text, "{key}=\"{value}\"").expect("a string takes it");
        }
        text
    }
}

const HEAD: &str =
    "# Written by `weir-agent join`, removed by `weir-agent leave`. Your own settings belong into
# /etc/default/weir-agent, where they come after these; `weir-agent --help` names them.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_lines_that_a_shell_and_systemd_read_alike() {
        let settings = Settings {
            controller: "10.0.0.9:7400",
            pool: "p",
            name: "n1",
            uplink: "eth0",
            tunnel_address: "10.0.0.1/24".parse().unwrap(),
            state_dir: Path::new("/var/lib/a \"b\""),
            ovsdb: "unix:/run/db.sock".to_owned(),
        };
        let text = settings.to_text();
        assert!(text.contains("\nWEIR_CONTROLLER=\"https://10.0.0.9:7400\"\n"), "{text}");
        assert!(text.contains("\nWEIR_STATE_DIR=\"/var/lib/a \\\"b\\\"\"\n"), "{text}");
        let is_setting = |line: &str| line.starts_with('#') || line.starts_with("WEIR_");
        assert!(text.lines().all(is_setting), "{text}");
    }
}
