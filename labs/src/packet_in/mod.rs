//! How fast a controller answers packet-ins: many switches on one machine that show it packets and count its answers, as
//! cbench does.
//!
//! ```text
//!  run: for each peer, number of switches and window ─▶ switch (a task each): show, await the answer, show the next
//!                                                                └─▶ Tally: answers, times ─▶ table, JSON
//! ```
//!
//! Each switch has a window of packets that are not answered. It shows unicast packets between addresses that it has shown
//! as senders before, so that a learning switch answers each with a flow, a packet-out or both; a packet counts as
//! answered when the message comes that sends it on (that names its buffer, or carries it). All switches share one
//! thread, so that the controller has the other processors.

mod message;
mod switch;
mod tally;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use switch::Plan;
use tally::Tally;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// A controller that runs, as NAME=ADDRESS:PORT; may be repeated: measured one after another
    #[arg(long = "peer", value_name = "NAME=ADDR", required = true)]
    pub peers: Vec<Peer>,
    /// How many switches at once
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pub switches: Vec<usize>,
    /// How many packets of a switch may be unanswered
    #[arg(long, value_delimiter = ',', default_value = "1,64", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub windows: Vec<u32>,
    /// How long to measure each, after two seconds that do not count
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    pub time: Duration,
    /// How many addresses each switch has
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=65536))]
    pub addresses: u32,
    /// Carry each packet in its packet-in, as Open vSwitch does, instead of a buffer's number
    #[arg(long)]
    pub carried: bool,
    /// Where to write the figures as JSON too
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// A controller to measure.
#[derive(Clone, Debug)]
pub struct Peer {
    name: String,
    address: SocketAddr,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once('=').ok_or("it should look like NAME=127.0.0.1:6653")?;
        let address = address.parse().map_err(|_| format!("`{address}` is no ADDRESS:PORT"))?;
        Ok(Self { name: name.to_owned(), address })
    }
}

/// What was measured of one peer with so many switches and that window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// The controller.
    pub peer: String,
    /// Switches that connected.
    pub switches: usize,
    /// Those of them that it took up: ovs-testcontroller lets all but 16 wait.
    served: usize,
    /// Packets of a switch that may be unanswered.
    pub window: u32,
    carried: bool,
    /// Why there are no figures.
    failed: Option<String>,
    /// Answers a second of all switches.
    pub answers_per_s: u64,
    /// From a packet's being handed to the socket to the answer's being read.
    pub p50_us: f64,
    p99_us: f64,
    /// Packets that had no answer within a second.
    unanswered: u64,
    /// Flow mods that came, answers or not.
    flow_mods: u64,
    /// Percent of a processor that the switches took.
    switches_cpu_percent: f64,
}

/// Measures, and prints a table; where standard error is a terminal, what is being measured.
///
/// # Errors
/// If the JSON cannot be written. A peer that cannot be measured has a row that says why.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for &switches in &options.switches {
        for &window in &options.windows {
            for peer in &options.peers {
                if std::io::stderr().is_terminal() {
                    eprintln!("{}: {switches} switches, window {window}", peer.name);
                }
                all.push(measure(options, peer, switches, window)?);
            }
        }
    }
    println!("{}", table(&all));
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&all)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure(options: &Options, peer: &Peer, switches: usize, window: u32) -> anyhow::Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = Instant::now() + WARM_UP;
    let plan = Plan {
        peer: peer.address,
        window,
        addresses: options.addresses,
        carried: options.carried,
        begin,
        end: begin + options.time,
    };
    let (cpu, result) = LocalSet::new().block_on(&runtime, async {
        let all: Vec<_> =
            (1..=switches).map(|nth| tokio::task::spawn_local(switch::run(plan, nth as u64))).collect();
        tokio::time::sleep_until(begin.into()).await;
        let before = cpu_time();
        tokio::time::sleep_until(plan.end.into()).await;
        let cpu = cpu_time().saturating_sub(before);
        let mut tally = Tally::default();
        for one in all {
            match one.await {
                Ok(Ok(of_it)) => tally.add(of_it),
                Ok(Err(error)) => return (cpu, Err(error)),
                Err(error) => return (cpu, Err(error.into())),
            }
        }
        (cpu, Ok(tally))
    });
    let failed = result.as_ref().err().map(|error| format!("{error:#}"));
    let mut tally = result.unwrap_or_default();
    let seconds = options.time.as_secs_f64();
    Ok(Figures {
        peer: peer.name.clone(),
        switches,
        served: tally.served,
        window,
        carried: options.carried,
        failed,
        answers_per_s: (tally.answers() as f64 / seconds).round() as u64,
        p50_us: tally.percentile_us(50),
        p99_us: tally.percentile_us(99),
        unanswered: tally.unanswered,
        flow_mods: tally.flow_mods,
        switches_cpu_percent: (cpu.as_secs_f64() / seconds * 1000.0).round() / 10.0,
    })
}

impl Figures {
    /// The row's number of switches, for people.
    #[must_use]
    pub fn switches_text(&self) -> String {
        match self.served == self.switches {
            true => self.switches.to_string(),
            false => format!("{} of {}", self.served, self.switches),
        }
    }

    /// The row as a table for people has it, after switches, window and controller: answers a second, p50 and p99 in µs,
    /// packets without an answer.
    ///
    /// # Errors
    /// Why there are none.
    pub fn cells(&self) -> Result<[String; 4], &str> {
        match &self.failed {
            Some(why) => Err(why),
            None => Ok([
                self.answers_per_s.to_string(),
                format!("{:.1}", self.p50_us),
                format!("{:.1}", self.p99_us),
                self.unanswered.to_string(),
            ]),
        }
    }
}

/// The time before what is measured: connecting, showing again what was shown before the controller listened, and learning
/// the addresses.
const WARM_UP: Duration = Duration::from_secs(2);

/// What this process has had of processors up to now.
fn cpu_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let us = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
            Duration::from_micros(u64::try_from(us).unwrap_or_default())
        })
        .sum()
}

fn table(all: &[Figures]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "SWITCHES",
        "WINDOW",
        "CONTROLLER",
        "ANSWERS/S",
        "P50 µs",
        "P99 µs",
        "UNANSWERED",
        "SWITCHES' CPU",
    ]);
    for row in all {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let mut cells = vec![right(row.switches_text()), right(row.window.to_string()), Cell::new(&row.peer)];
        match row.cells() {
            Err(why) => cells.push(Cell::new(why)),
            Ok(figures) => {
                cells.extend(figures.map(right));
                cells.push(right(format!("{:.0} %", row.switches_cpu_percent)));
            }
        }
        table.add_row(cells);
    }
    table
}
