//! The command line: the tree of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::globals::Globals;
use super::link::Target;

#[derive(Debug, Parser)]
#[command(
    args_override_self = true,
    name = "ofctl",
    version = VERSION,
    propagate_version = true,
    about = "Queries, changes and watches OpenFlow 1.3 switches",
    long_about = LONG_ABOUT,
    after_help = EXIT_CODES,
    subcommand_required = true,
    arg_required_else_help = true,
    infer_long_args = true,
    max_term_width = 110
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) command: Command,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\nOpenFlow versions 0x4:0x4");

const LONG_ABOUT: &str = "Queries, changes and watches OpenFlow 1.3 switches, in the words of ovs-ofctl(8).\n\n\
    SWITCH is unix:PATH, tcp:HOST[:PORT] or ssl:HOST[:PORT] (port 6653 unless given), the path of a unix socket, or the \
    name of a bridge of this host, whose socket is NAME.mgmt in $OVS_RUNDIR, by default /var/run/openvswitch. FILE may \
    be -, standard input. Flows, groups, meters and actions are written as in ovs-ofctl(8), ovs-fields(7) and \
    ovs-actions(7).";

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed or the command line is wrong, 2 diff-flows found differences, \
    142 --timeout has passed.";

/// A switch, and nothing else.
#[derive(Debug, Args)]
pub(super) struct Only {
    /// The switch
    pub(super) switch: Target,
}

/// A switch and a port of it.
#[derive(Debug, Args)]
pub(super) struct MaybePort {
    /// The switch
    pub(super) switch: Target,
    /// The port, by number or name [default: all]
    pub(super) port: Option<String>,
}

/// A switch, and a port and a queue of it.
#[derive(Debug, Args)]
pub(super) struct MaybeQueue {
    /// The switch
    pub(super) switch: Target,
    /// The port, by number or name, or ALL
    pub(super) port: Option<String>,
    /// The queue, or ALL
    pub(super) queue: Option<String>,
}

/// A switch and which flows.
#[derive(Debug, Args)]
pub(super) struct Flows {
    /// The switch
    pub(super) switch: Target,
    /// Which flows, as `table=5,ip,reg0=1` or `cookie=0x700000000/0xffffffff00000000` [default: all]
    pub(super) flow: Option<String>,
}

/// A switch and a description of what is added, changed or meant.
#[derive(Debug, Args)]
pub(super) struct Item {
    /// The switch
    pub(super) switch: Target,
    /// What, in the syntax of ovs-ofctl(8); -: standard input, one a line
    #[arg(allow_hyphen_values = true)]
    pub(super) item: String,
}

/// A switch and perhaps such a description.
#[derive(Debug, Args)]
pub(super) struct MaybeItem {
    /// The switch
    pub(super) switch: Target,
    /// What, in the syntax of ovs-ofctl(8); -: standard input, one a line [default: all]
    #[arg(allow_hyphen_values = true)]
    pub(super) item: Option<String>,
}

/// A switch and a file.
#[derive(Debug, Args)]
pub(super) struct InFile {
    /// The switch
    pub(super) switch: Target,
    /// The file; -: standard input
    pub(super) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// What the switch is, its ports and its configuration
    Show(Only),
    /// Who made the switch
    DumpDesc(Only),
    /// What its tables hold and counted
    DumpTables(Only),
    /// What its tables can do
    DumpTableFeatures(Only),
    /// How its tables are configured; needs OpenFlow 1.4
    #[command(hide = true)]
    DumpTableDesc(Only),
    /// What its ports counted
    DumpPorts(MaybePort),
    /// Its ports
    DumpPortsDesc(MaybePort),
    /// The flows in its tables
    DumpFlows(Flows),
    /// What flows counted together
    DumpAggregate(Flows),
    /// Its groups
    DumpGroups(MaybeItem),
    /// What groups counted
    DumpGroupStats(MaybeItem),
    /// What groups can do
    DumpGroupFeatures(Only),
    /// Its meters
    #[command(visible_alias = "dump-meter")]
    DumpMeters(MaybeItem),
    /// What meters counted
    MeterStats(MaybeItem),
    /// What meters can do
    MeterFeatures(Only),
    /// What queues counted
    QueueStats(MaybeQueue),
    /// How queues are configured
    QueueGetConfig(MaybeQueue),
    /// What IPFIX counted for the bridge
    DumpIpfixBridge(Only),
    /// What IPFIX counted for flows
    DumpIpfixFlow(Only),
    /// Which tunnel options are which tun_metadata fields
    DumpTlvMap(Only),

    /// Add a flow
    AddFlow(Item),
    /// Add, change and delete flows as a file says
    AddFlows(InFile),
    /// Give the flows that match other actions
    ModFlows(Item),
    /// Delete the flows that match
    DelFlows(MaybeItem),
    /// Make a switch hold exactly the flows of a file
    ReplaceFlows(InFile),
    /// The differences between the flows of two switches or files
    #[command(
        after_help = "A source that begins with / or . is a file, one with a colon is a switch; any other is a \
        file if there is one of that name. Lines with - are in SOURCE1 only, lines with + in SOURCE2 only."
    )]
    DiffFlows {
        /// A switch or a file
        source1: String,
        /// Another
        source2: String,
    },
    /// Add a group
    AddGroup(MaybeItem),
    /// Add, change and delete groups as a file says
    AddGroups(InFile),
    /// Give a group other buckets
    ModGroup(MaybeItem),
    /// Delete groups
    DelGroups(MaybeItem),
    /// Add buckets to a group
    InsertBuckets(MaybeItem),
    /// Remove buckets of a group
    RemoveBuckets(MaybeItem),
    /// Add a meter
    AddMeter(Item),
    /// Add the meters of a file, one on each line
    AddMeters(InFile),
    /// Give a meter other bands
    #[command(alias = "mod-meters")]
    ModMeter(Item),
    /// Delete meters
    #[command(visible_alias = "del-meter")]
    DelMeters(MaybeItem),
    /// Change the behaviour of a port
    ModPort {
        /// The switch
        switch: Target,
        /// The port, by number or name
        port: String,
        /// up, down, [no-]receive, [no-]receive-stp, [no-]stp, [no-]forward, [no-]flood or [no-]packet-in
        action: String,
    },
    /// Change a table
    ModTable {
        /// The switch
        switch: Target,
        /// The table, by number or name
        table: String,
        /// name:NEW-NAME
        setting: String,
    },
    /// Print how fragments are treated
    GetFrags(Only),
    /// Say how fragments are treated
    SetFrags {
        /// The switch
        switch: Target,
        /// normal, drop, reassemble or nx-match
        mode: String,
    },
    /// Send packets through the switch
    #[command(
        after_help = "PACKET-OUT is as \"in_port=1 packet=0123… actions=output:2\". The old syntax, IN_PORT \
        ACTIONS PACKET..., is taken too."
    )]
    PacketOut {
        /// The switch
        switch: Target,
        /// PACKET-OUT, or IN_PORT ACTIONS PACKET...
        #[arg(required = true)]
        packet_out: Vec<String>,
    },
    /// Do all flow mods, group mods and packet-outs of a file at once
    #[command(after_help = "Each line is `flow [add|modify|modify_strict|delete|delete_strict] FLOW`, \
        `group [add|modify|add_or_mod|delete|insert_bucket|remove_bucket] GROUP` or `packet-out PACKET-OUT`.")]
    Bundle(InFile),
    /// Say which tunnel options are which tun_metadata fields
    #[command(
        after_help = "For example: ofctl add-tlv-map br0 \"{class=0xffff,type=0,len=4}->tun_metadata0\""
    )]
    AddTlvMap(Item),
    /// Forget which tunnel options are which tun_metadata fields
    DelTlvMap(MaybeItem),
    /// Flush tracked connections
    #[command(
        after_help = "For example: ofctl ct-flush br0 zone=5 'ct_nw_src=10.1.1.1,ct_nw_proto=6,ct_tp_dst=80'"
    )]
    CtFlush {
        /// The switch
        switch: Target,
        /// [zone=N] [TUPLE [REPLY-TUPLE]]
        #[arg(num_args = 0..=3)]
        which: Vec<String>,
    },
    /// Flush tracked connections of a zone
    CtFlushZone {
        /// The switch
        switch: Target,
        /// The zone
        zone: String,
    },

    /// Print the messages that the switch sends
    #[command(
        after_help = "Words: MISSLEN (how many bytes of a packet that matches nothing are sent; without it few \
        messages come), invalid_ttl, resume (packets of pause actions go on), watch:[SPEC] (changes of flows; SPEC as \
        in ovs-ofctl(8): !initial, !add, !delete, !modify, !own, !actions, table=, out_port=, a match)."
    )]
    Monitor {
        /// The switch
        switch: Target,
        /// MISSLEN, invalid_ttl, resume, watch:[SPEC]
        words: Vec<String>,
    },
    /// Print what a switch and its controller say to each other
    Snoop(Only),
    /// Ask whether something answers
    Probe {
        /// A switch or controller
        target: Target,
    },
    /// Measure ten echoes
    Ping {
        /// A switch or controller
        target: Target,
        /// How many bytes
        #[arg(default_value_t = 64)]
        n: u32,
    },
    /// Measure how many echoes there are in a second
    Benchmark {
        /// A switch or controller
        target: Target,
        /// How many bytes
        n: u32,
        /// How many echoes
        count: u32,
    },

    /// Print a message that is given in hexadecimal
    #[command(
        after_help = "VERBOSITY is 2 unless given. HEX may be -, standard input: `ofp-print [VERBOSITY] -`."
    )]
    OfpPrint {
        /// The message, or the verbosity if - follows
        hex: String,
        /// How much of it is printed, or -
        verbosity: Option<String>,
    },
    /// Print the messages of a file
    OfpParse {
        /// The file, with messages as on the wire; -: standard input
        file: PathBuf,
    },
    /// Print the messages in captured TCP streams
    OfpParsePcap {
        /// The file, as tcpdump writes it; -: standard input
        file: PathBuf,
        /// The ports of OpenFlow [default: 6633 and 6653]
        ports: Vec<u16>,
    },
    /// Check a flow and print what would be sent
    ParseFlow {
        /// The flow
        #[arg(allow_hyphen_values = true)]
        flow: String,
    },
    /// Check the flows of a file and print what would be sent
    ParseFlows {
        /// The file; -: standard input
        file: PathBuf,
    },
    /// Check a group and print what would be sent
    ParseGroup {
        /// The group
        group: String,
    },
    /// Print actions that standard input has in hexadecimal, a list on each line
    ParseActions {
        /// The version of OpenFlow they are of
        #[arg(default_value = "OpenFlow13")]
        protocol: String,
    },
    /// Print instructions that standard input has in hexadecimal, a list on each line
    ParseInstructions {
        /// The version of OpenFlow they are of
        #[arg(default_value = "OpenFlow13")]
        protocol: String,
    },

    /// Follow a packet through the flows of a switch or a file, as ovs-appctl ofproto/trace does
    #[command(
        after_help = "For example: ofctl trace br0 'in_port=1,tcp,nw_dst=10.0.0.2', or without a switch: ofctl trace \
        --flows flows.txt 'in_port=1,arp'."
    )]
    Trace(super::trace::Trace),

    /// Print the names of all commands
    ListCommands,
    /// Print the completion script of a shell
    #[command(after_help = "For example, in ~/.bashrc: source <(ofctl completions bash)")]
    Completions {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Man,
}

impl Command {
    /// Whether it changes a switch, which --read-only refuses.
    pub(super) fn is_change(&self) -> bool {
        matches!(
            self,
            Self::AddFlow(_)
                | Self::AddFlows(_)
                | Self::ModFlows(_)
                | Self::DelFlows(_)
                | Self::ReplaceFlows(_)
                | Self::AddGroup(_)
                | Self::AddGroups(_)
                | Self::ModGroup(_)
                | Self::DelGroups(_)
                | Self::InsertBuckets(_)
                | Self::RemoveBuckets(_)
                | Self::AddMeter(_)
                | Self::AddMeters(_)
                | Self::ModMeter(_)
                | Self::DelMeters(_)
                | Self::ModPort { .. }
                | Self::ModTable { .. }
                | Self::SetFrags { .. }
                | Self::PacketOut { .. }
                | Self::Bundle(_)
                | Self::AddTlvMap(_)
                | Self::DelTlvMap(_)
                | Self::CtFlush { .. }
                | Self::CtFlushZone { .. }
        )
    }
}
