//! The options that every command takes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use clap::{ArgMatches, Args, ValueEnum};
use flowlib::text::{Colors, Names, Style};

use super::link::Identity;
use super::sort::{Criterion, Order};

/// Options that every command takes, before or behind its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub(super) struct Globals {
    /// Give up after so many seconds; without it, only a switch that says nothing for a minute is given up
    #[arg(short, long, global = true, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Print messages in more detail; twice: with packets in hexadecimal
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    more: u8,
    /// Take wildcards in mod-flows and del-flows literally
    #[arg(long, global = true)]
    pub(super) strict: bool,
    /// Change all or nothing: flow and group mods as one bundle
    #[arg(long, global = true)]
    pub(super) bundle: bool,
    /// Refuse commands that change the switch
    #[arg(long, global = true)]
    pub(super) read_only: bool,
    /// In replace-flows, add even flows that have not changed
    #[arg(long, global = true)]
    pub(super) readd: bool,
    /// In mod-group, create a group that does not exist
    #[arg(long, global = true)]
    pub(super) may_create: bool,
    /// Print and take ports and tables by name [default: taken, and printed on a terminal]
    #[arg(long, global = true, overrides_with = "no_names")]
    names: bool,
    /// Print and take ports and tables by number only
    #[arg(long, global = true, overrides_with = "names")]
    no_names: bool,
    /// In dump-flows, print counters and ages; this is the default
    #[arg(long, global = true, overrides_with = "no_stats")]
    stats: bool,
    /// In dump-flows, leave out counters, ages, and cookie and table if they are 0
    #[arg(long, global = true, overrides_with = "stats")]
    no_stats: bool,
    /// In dump-flows, sort in ascending order, by priority or by a field; may be given more than once
    #[arg(long, global = true, value_name = "FIELD", num_args = 0..=1, require_equals = true, default_missing_value = "priority")]
    sort: Vec<Criterion>,
    /// In dump-flows, sort in descending order
    #[arg(long, global = true, value_name = "FIELD", num_args = 0..=1, require_equals = true, default_missing_value = "priority")]
    rsort: Vec<Criterion>,
    /// Both of them, in the order in which they were given.
    #[arg(skip)]
    criteria: Vec<(Criterion, Order)>,
    /// Color flows, as $OVS_COLORS says: ac=1;31:dr=34:le=31:pm=36:pr=35:sp=33:vl=32 unless it says otherwise
    #[arg(long, global = true, value_name = "WHEN", ignore_case = true, num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    color: Option<Color>,
    /// Those of $OVS_COLORS.
    #[arg(skip)]
    colors: OnceLock<Colors>,
    /// How answers are printed: as ovs-ofctl prints them, or as one JSON document
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    pub(super) output: Output,
    /// In monitor, snoop and ofp-parse-pcap, print when a message came
    #[arg(long, global = true)]
    pub(super) timestamp: bool,
    /// Versions of OpenFlow that may be spoken; only OpenFlow13 is
    #[arg(short = 'O', long, global = true, value_name = "VERSION,...", value_parser = protocols)]
    protocols: Option<Protocols>,
    /// Formats of flows that may be sent; only OXM-OpenFlow13 is
    #[arg(short = 'F', long, global = true, value_name = "FORMAT,...", value_parser = flow_format)]
    flow_format: Option<FlowFormat>,
    /// In monitor, the format of packets
    #[arg(short = 'P', long, global = true, value_enum, value_name = "FORMAT")]
    pub(super) packet_in_format: Option<PacketInFormat>,
    /// For ssl:, the file with our private key
    #[arg(short, long, global = true, value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// For ssl:, the file with the certificate for it
    #[arg(short, long, global = true, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// For ssl:, the file with the certificate of the authority that signed the switch's; none: do not check it
    #[arg(short = 'C', long, global = true, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    #[command(flatten)]
    ignored: Ignored,
}

/// Options of ovs-ofctl(8) that change nothing here: nothing is logged, there is no control socket, what TLS offers is
/// not to be chosen, and most commands end by themselves. Scripts may give them all the same.
#[derive(Debug, Args)]
struct Ignored {
    #[arg(short, long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "dbg")]
    verbose: Vec<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    log_file: Option<String>,
    #[arg(long, global = true, hide = true)]
    syslog_method: Option<String>,
    #[arg(long, global = true, hide = true)]
    syslog_target: Option<String>,
    #[arg(long, global = true, hide = true)]
    unixctl: Option<String>,
    #[arg(long, global = true, hide = true)]
    ssl_protocols: Option<String>,
    #[arg(long, global = true, hide = true)]
    ssl_ciphers: Option<String>,
    #[arg(long, global = true, hide = true)]
    detach: bool,
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pidfile: Option<String>,
    #[arg(long, global = true, hide = true)]
    no_chdir: bool,
    #[arg(long, global = true, hide = true)]
    no_self_confinement: bool,
    #[arg(long, global = true, hide = true)]
    overwrite_pidfile: bool,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// As ovs-ofctl prints them.
    Text,
    /// As one JSON document.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    #[value(aliases = ["yes", "force"])]
    Always,
    #[value(aliases = ["no", "none"])]
    Never,
    #[value(aliases = ["tty", "if-tty"])]
    Auto,
}

/// The format of the packets that the switch sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PacketInFormat {
    /// As OpenFlow says.
    #[value(aliases = ["openflow10"])]
    Standard,
    /// With Nicira's metadata.
    #[value(name = "nxt_packet_in", aliases = ["nxm"])]
    NxtPacketIn,
    /// With Nicira's metadata, user data and continuations.
    #[value(name = "nxt_packet_in2")]
    NxtPacketIn2,
}

/// That OpenFlow 1.3 is among the versions.
#[derive(Clone, Copy, Debug)]
struct Protocols;

/// That its flow format is among the formats.
#[derive(Clone, Copy, Debug)]
struct FlowFormat;

impl Globals {
    /// After how long the program gives up.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How much of a message is printed, from `base` on.
    pub(super) fn verbosity(&self, base: u8) -> u8 {
        base.saturating_add(self.more)
    }

    /// Whether a command that goes on for ever is to go on behind the shell.
    pub(super) fn is_daemon(&self) -> bool {
        self.ignored.detach || self.ignored.pidfile.is_some()
    }

    /// Whether names may stand for ports and tables in arguments and files.
    pub(super) fn takes_names(&self) -> bool {
        !self.no_names
    }

    /// Whether names are printed for ports and tables.
    pub(super) fn prints_names(&self) -> bool {
        self.names || !self.no_names && std::io::stdout().is_terminal()
    }

    /// Whether flows are printed with what they counted.
    pub(super) fn prints_stats(&self) -> bool {
        !self.no_stats
    }

    /// Notes the order in which --sort and --rsort were given.
    pub(super) fn order_criteria(&mut self, matches: &ArgMatches) {
        let mut criteria = Vec::new();
        for (name, order, given) in
            [("sort", Order::Ascending, &self.sort), ("rsort", Order::Descending, &self.rsort)]
        {
            let places = matches.indices_of(name).into_iter().flatten();
            criteria.extend(places.zip(given).map(|(place, criterion)| (place, (*criterion, order))));
        }
        criteria.sort_by_key(|(place, _)| *place);
        self.criteria = criteria.into_iter().map(|(_, criterion)| criterion).collect();
    }

    /// By what flows are sorted.
    pub(super) fn criteria(&self) -> &[(Criterion, Order)] {
        &self.criteria
    }

    /// The style of what is printed.
    pub(super) fn style<'a>(&'a self, names: Option<&'a Names>) -> Style<'a> {
        let is_colored = match self.color {
            Some(Color::Always) => true,
            Some(Color::Never) | None => false,
            Some(Color::Auto) => std::io::stdout().is_terminal(),
        };
        let colors = || Colors::parse(&std::env::var("OVS_COLORS").unwrap_or_default());
        Style { names, colors: is_colored.then(|| self.colors.get_or_init(colors)) }
    }

    /// Who we are where TLS is spoken.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            private_key: self.private_key.clone(),
            certificate: self.certificate.clone(),
            ca_cert: self.ca_cert.clone(),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        _ => Err("not a number of seconds from 1 on".to_owned()),
    }
}

fn protocols(text: &str) -> Result<Protocols, String> {
    // No version at all is any.
    let mut is_spoken = text.is_empty();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let name = word.to_ascii_lowercase();
        match name.strip_prefix("openflow").map(|version| version.replace('.', "")).as_deref() {
            Some("13") => is_spoken = true,
            Some("10" | "11" | "12" | "14" | "15") => {}
            _ => return Err(format!("{word} is no version of OpenFlow, as OpenFlow13")),
        }
    }
    is_spoken.then_some(Protocols).ok_or_else(|| {
        "only OpenFlow13 is spoken here: leave the option out, or name OpenFlow13 too".to_owned()
    })
}

fn flow_format(text: &str) -> Result<FlowFormat, String> {
    const SPOKEN: [&str; 3] = ["any", "oxm", "oxm-openflow13"];
    const OTHERS: [&str; 10] = [
        "openflow10",
        "openflow10-table_id",
        "openflow10+table_id",
        "nxm",
        "nxm-table_id",
        "nxm+table_id",
        "oxm-openflow11",
        "oxm-openflow12",
        "oxm-openflow14",
        "oxm-openflow15",
    ];
    let mut is_spoken = false;
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let name = word.to_ascii_lowercase();
        match name.as_str() {
            name if SPOKEN.contains(&name) => is_spoken = true,
            name if OTHERS.contains(&name) => {}
            _ => return Err(format!("{word}: invalid flow format")),
        }
    }
    is_spoken.then_some(FlowFormat).ok_or_else(|| {
        format!("OpenFlow13, which is spoken here, supports none of the flow formats {text}; it has OXM-OpenFlow13, \
             which is taken when the option is left out")
    })
}
