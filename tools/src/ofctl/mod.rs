//! `ofctl`: asks a switch over OpenFlow 1.3 and prints what `ovs-ofctl` would.

mod client;
mod flows;
mod ports;
mod switch;
mod target;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use flowlib::openflow::{FlowStatsRequest, Message, MultipartRequestBody};
use flowlib::text::parse_flow_filter;
use flowlib::types::PortNo;

use client::Client;
use target::Target;

/// Asks an OpenFlow 1.3 switch.
///
/// SWITCH is a bridge of this machine, unix:PATH, tcp:HOST:PORT, or the path of a socket.
#[derive(Debug, Parser)]
#[command(name = "ofctl", version)]
struct Arguments {
    /// Seconds to wait for the switch.
    #[arg(long, global = true, default_value_t = 10, value_name = "SECONDS")]
    timeout: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the switch is, its ports and its configuration.
    Show {
        /// The switch.
        switch: Target,
    },
    /// The flows in its tables.
    DumpFlows {
        /// The switch.
        switch: Target,
        /// Which flows, in flow syntax: `table=5,ip,reg0=1`, `cookie=0x700000000/0xffffffff00000000`.
        #[arg(default_value = "", value_parser = |text: &str| parse_flow_filter(text, None), hide_default_value = true)]
        flows: FlowStatsRequest,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
        /// Tables and drop reasons by the names that they have in Weir's pipeline.
        #[arg(long)]
        names: bool,
        /// Without counters and ages.
        #[arg(long)]
        no_stats: bool,
    },
    /// What its ports counted.
    DumpPorts {
        /// The switch.
        switch: Target,
    },
    /// Its ports.
    DumpPortsDesc {
        /// The switch.
        switch: Target,
    },
    /// How full its tables are.
    DumpTables {
        /// The switch.
        switch: Target,
        /// Tables by the names that they have in Weir's pipeline; the others are left out.
        #[arg(long)]
        names: bool,
    },
}

/// How flows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// As ovs-ofctl prints them.
    Text,
    /// As a JSON list of objects.
    Json,
}

/// Reads the arguments, asks and prints. A failure is printed to stderr, and the exit code is 1.
#[must_use]
pub fn run() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(text) => {
            use std::io::Write;
            // Whoever closes our output has read enough.
            match std::io::stdout().write_all(text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("ofctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let limit = Duration::from_secs(arguments.timeout);
        tokio::time::timeout(limit, ask(arguments.command))
            .await
            .map_err(|_| anyhow::anyhow!("no answer within {} s", limit.as_secs()))?
    })
}

async fn ask(command: Command) -> Result<String> {
    match command {
        Command::Show { switch } => {
            let mut client = Client::connect(&switch).await?;
            let features = client.request(&Message::FeaturesRequest).await?;
            let ports = client.multipart(MultipartRequestBody::PortDesc).await?;
            let config = client.request(&Message::GetConfigRequest).await?;
            let mut text = switch::format_features(&features)?;
            text.push_str(&ports::format_descriptions(&ports)?);
            text.push_str(&switch::format_config(&config)?);
            Ok(text)
        }
        Command::DumpFlows { switch, flows, output, names, no_stats } => {
            let body = Client::connect(&switch).await?.multipart(MultipartRequestBody::Flow(flows)).await?;
            let stats = flows::of_reply(body)?;
            match output {
                Output::Json => flows::to_json(&stats, names),
                Output::Text => Ok(flows::format(&stats, names, !no_stats)),
            }
        }
        Command::DumpPorts { switch } => {
            let request = MultipartRequestBody::PortStats(PortNo::ANY);
            ports::format_stats(&Client::connect(&switch).await?.multipart(request).await?)
        }
        Command::DumpPortsDesc { switch } => {
            let request = MultipartRequestBody::PortDesc;
            ports::format_descriptions(&Client::connect(&switch).await?.multipart(request).await?)
        }
        Command::DumpTables { switch, names } => {
            let request = MultipartRequestBody::Table;
            switch::format_tables(Client::connect(&switch).await?.multipart(request).await?, names)
        }
    }
}
