//! The command line: global options and the tree of commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{bench, container, events, network, node, pool, service, token, top, volume};
use crate::connect::Server;

#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    about = "Manages pools, networks and containers of a Weir controller",
    after_help = EXIT_CODES,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Debug, Args)]
pub(super) struct Globals {
    /// The controller: https://HOST:PORT, http://HOST:PORT, HOST:PORT or unix:/PATH [default: http://127.0.0.1:7400]
    #[arg(
        long,
        global = true,
        env = "WEIR_SERVER",
        hide_env_values = true,
        value_name = "ADDRESS",
        help_heading = "Global options"
    )]
    pub(super) server: Option<Server>,
    /// A file with the token that lets the user in
    #[arg(
        long,
        global = true,
        env = "WEIR_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(super) token_file: Option<PathBuf>,
    // In the environment only: other users see command lines.
    #[arg(long, hide = true, global = true, env = "WEIR_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// The certificate of the controller's authority, PEM [default: the one that the token knows]
    #[arg(
        long,
        global = true,
        env = "WEIR_CA_CERT",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(super) ca_cert: Option<PathBuf>,
    /// Where server, pool, token, token_file and ca_cert are set [default: ~/.config/weir/config.toml]
    #[arg(
        long,
        global = true,
        env = "WEIR_CONFIG",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(super) config: Option<PathBuf>,
    /// The pool to work in
    #[arg(
        long,
        global = true,
        env = "WEIR_POOL",
        hide_env_values = true,
        value_name = "POOL",
        help_heading = "Global options"
    )]
    pub(super) pool: Option<String>,
    /// How to print the answer: for people, or as one document for programs
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Global options"
    )]
    pub(super) output: Format,
    /// How long to wait for the controller, and with --wait for the effect [default: 30s]
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        value_parser = humantime::parse_duration,
        help_heading = "Global options"
    )]
    pub(super) timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    // Documented variants would make every help page twice as long.
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Pools: nodes under one security boundary
    Pool {
        #[command(subcommand)]
        command: pool::Command,
    },
    /// What lets users in
    Token {
        #[command(subcommand)]
        command: token::Command,
    },
    /// Networks of a pool
    Network {
        #[command(subcommand)]
        command: network::Command,
    },
    /// Hosts with Open vSwitch and an agent
    Node {
        #[command(subcommand)]
        command: node::Command,
    },
    /// Containers and their attachment to a network
    Container {
        #[command(subcommand)]
        command: container::Command,
    },
    /// So many containers alike, under one name
    Service {
        #[command(subcommand)]
        command: service::Command,
    },
    /// Files that outlive containers
    Volume {
        #[command(subcommand)]
        command: volume::Command,
    },
    /// What happened to containers, services and nodes, and what happens
    Events(events::Events),
    /// What is connected, in sync or degraded, and why
    Status,
    /// Show nodes and containers with what they use, until q is pressed
    Top(top::Top),
    /// Create and delete containers, and show where the time went
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Bench),
    /// Print the completion script of a shell
    #[command(after_help = "For example, in ~/.bashrc: source <(weir completions bash)")]
    Completions {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one a command
    #[command(hide = true)]
    Man {
        /// The folder to write them to
        folder: std::path::PathBuf,
    },
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no controller answers, 4 --timeout passed;
'container exec' ends with the code of the command it ran. 1 is also said of a container that has
ended badly when it was waited for, and of a --dry-run that finds no node. 130: interrupted.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_tree_of_commands_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn takes_the_two_lines_users_already_write() {
        let line =
            "cli --pool=pool2 network create myvlan -d vlan -l 10.209.164.0/22 -l Gateway=10.209.164.1";
        let arguments = parse(line).unwrap();
        assert_eq!(arguments.globals.pool.as_deref(), Some("pool2"));
        let Command::Network { command: network::Command::Create(create) } = arguments.command else {
            panic!("not a network create");
        };
        assert_eq!((create.name.as_str(), create.driver), ("myvlan", network::Driver::Vlan));
        assert_eq!(create.settings, ["10.209.164.0/22", "Gateway=10.209.164.1"]);

        for option in ["--publish-service", "--publich-service"] {
            let line = format!("cli --pool=pool2 container create {option}=.myvlan -l ip=10.209.164.8");
            let Command::Container { command: container::Command::Create(create) } =
                parse(&line).unwrap().command
            else {
                panic!("not a container create");
            };
            assert_eq!((create.name, create.runs), (None, vec![]));
            assert_eq!(create.attachment.settings, ["ip=10.209.164.8"]);
            assert!(create.attachment.publish_service.is_some());
        }
    }

    fn created(line: &str) -> container::create::Create {
        match parse(line).unwrap().command {
            Command::Container { command: container::Command::Create(create) } => *create,
            other => panic!("not a container create: {other:?}"),
        }
    }

    #[test]
    fn options_stand_anywhere_before_the_image_and_belong_to_the_command_after_it() {
        for line in [
            "weir container create --publish-service=.n -e A=1 --memory 1g web busybox httpd -f -p 80",
            "weir container create web --publish-service=.n --env A=1 --memory=1g busybox httpd -f -p 80",
            "weir container create -eA=1 web --memory 1g --publish-service .n busybox httpd -f -p 80",
        ] {
            let create = created(line);
            assert_eq!(create.name.as_deref(), Some("web"), "{line}");
            assert_eq!(create.runs, ["busybox", "httpd", "-f", "-p", "80"], "{line}");
            assert!(create.attachment.publish_service.is_some(), "{line}");
        }
        let create = created("weir container create web --publish-service=.n --wait");
        assert_eq!((create.name.as_deref(), create.runs), (Some("web"), vec![]));
        let create = created("weir container create --network n web image --wait --pool p -- -x --dry-run");
        assert_eq!(create.runs, ["image", "--wait", "--pool", "p", "--", "-x", "--dry-run"]);
        assert!(!create.dry_run);
    }

    #[test]
    fn a_mistyped_option_before_the_image_is_no_image() {
        for line in ["create web --wiat busybox", "create --wiat web busybox", "create web -z"] {
            let error = parse(&format!("weir container {line} --publish-service=.n")).unwrap_err();
            assert!(error.to_string().contains("unexpected argument"), "{error}");
        }
    }

    #[test]
    fn refuses_amounts_that_are_none_and_says_what_would_be() {
        for (option, right) in [
            ("--cpus=0", "0.5"),
            ("--memory=lots", "128m"),
            ("--pids-limit=0", "1.."),
            ("--restart=unless-stopped", "on-failure"),
            ("--stop-timeout=1ms", "5s"),
            ("--env=NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE=VALUE"),
            ("--label=a", "KEY=VALUE"),
            ("--constraint=zone=a", "KEY==VALUE"),
            ("--affinity=zone", "KEY!=VALUE"),
        ] {
            let line = format!("weir container create --publish-service=.n {option} web busybox");
            let error = parse(&line).unwrap_err().to_string();
            assert!(error.contains(right), "{option}: {error}");
        }
        assert!(parse("weir container create --publish-service=.n --dry-run --wait web").is_err());
    }

    #[test]
    fn takes_the_options_of_logs_and_exec_as_docker_does() {
        let line = "weir container logs -f --tail 10 --timestamps --since 10m web";
        let Command::Container { command: container::Command::Logs(logs) } = parse(line).unwrap().command
        else {
            panic!("not logs");
        };
        assert_eq!((logs.follow, logs.tail, logs.timestamps), (true, Some(10), true));
        assert!(logs.since.is_some());
        let line = "weir container exec -it web -- sh -i";
        let Command::Container { command: container::Command::Exec(exec) } = parse(line).unwrap().command
        else {
            panic!("not an exec");
        };
        assert!(exec.terminal);
        assert_eq!(exec.command, ["sh", "-i"]);
    }

    #[test]
    fn takes_global_options_before_and_after_the_command() {
        for line in ["weir --pool p -o json node list", "weir node list --pool p --output=json"] {
            let globals = parse(line).unwrap().globals;
            assert_eq!((globals.pool.as_deref(), globals.output), (Some("p"), Format::Json), "{line}");
        }
    }

    #[test]
    fn refuses_a_driver_that_is_not_there_and_names_those_that_are() {
        let error = parse("weir network create n -d vpc -l 10.0.0.0/24").unwrap_err().to_string();
        assert!(error.contains("'vpc'") && error.contains("vlan, vxlan"), "{error}");
    }

    #[test]
    fn leaves_the_options_of_an_executed_command_alone() {
        let arguments = parse("weir container exec web -- ping -c 1 --pool x").unwrap();
        let Command::Container { command: container::Command::Exec(exec) } = arguments.command else {
            panic!("not an exec");
        };
        assert_eq!(exec.command, ["ping", "-c", "1", "--pool", "x"]);
        assert_eq!(arguments.globals.pool, None);
    }
}
