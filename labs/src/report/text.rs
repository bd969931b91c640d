//! The report for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::latency::Latency;
use super::reach::{Outcome, Reach};
use super::site::Site;
use super::{Fabric, Report};

/// Renders the report. `sites` are those that `reach` numbers.
pub(super) fn render(report: &Report, sites: &[Site], reach: &Reach) -> String {
    let mut text = String::new();
    section(&mut text, "Who reaches whom");
    text += &matrix(sites, reach);
    let (pairs, outside) = (&report.pairs, &report.outside);
    line(
        &mut text,
        format!(
            "{} of {} pairs within a network reach each other, {} across networks",
            pairs.reached, pairs.expected, pairs.leaked
        ),
    );
    if outside.expected > 0 {
        line(
            &mut text,
            format!("{} of {} pairs with hosts outside reach each other", outside.reached, outside.expected),
        );
    }

    fabric(&mut text, &report.fabric);

    section(&mut text, "Flows on each node");
    text += &flows(report);

    if !report.http.is_empty() {
        section(&mut text, "HTTP");
        text += &pages(report);
    }

    section(&mut text, "From the request to the first reply, in ms");
    text += &match &report.create_to_reply_ms {
        Some(times) => latency(times),
        None => "not measured: no network has an endpoint on one node and a block on another\n".to_owned(),
    };
    text
}

pub(super) fn section(text: &mut String, title: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    line(text, title.to_owned());
    line(text, "-".repeat(title.len()));
}

/// Rows send, columns receive.
fn matrix(sites: &[Site], reach: &Reach) -> String {
    let letters =
        |number: usize| char::from_u32('a' as u32 + u32::try_from(number).unwrap_or(0)).unwrap_or('?');
    let mut header =
        vec![String::new(), "SITE".to_owned(), "NETWORK".to_owned(), "ADDRESS".to_owned(), "NODE".to_owned()];
    header.extend((0..sites.len()).map(|number| letters(number).to_string()));
    let mut table = plain(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for (from, site) in sites.iter().enumerate() {
        let networks: Vec<&str> = site.networks.iter().map(|(_, name)| name.as_str()).collect();
        let mut row = vec![
            letters(from).to_string(),
            site.name.clone(),
            networks.join(" "),
            site.address.to_string(),
            site.node.clone().unwrap_or_else(|| "(outside)".to_owned()),
        ];
        row.extend((0..sites.len()).map(|to| {
            let pair = (u32::try_from(from).unwrap_or(0), u32::try_from(to).unwrap_or(0));
            mark(reach.outcomes.get(&pair).copied()).to_owned()
        }));
        table.add_row(row);
    }
    finish(table)
        + "  + reaches   ~ reaches, but the first packet was lost   x no reply   . nothing passes, as it should   ! leaks\n"
}

fn mark(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Reached) => "+",
        Some(Outcome::Late) => "~",
        Some(Outcome::Silent) => ".",
        Some(Outcome::Missing) => "x",
        Some(Outcome::Leaked) => "!",
        None => " ",
    }
}

fn flows(report: &Report) -> String {
    let mut names: Vec<&str> = flowlib::pipeline::table::TABLES.iter().map(|table| table.name).collect();
    names.retain(|name| report.nodes.iter().any(|node| node.by_table.contains_key(*name)));
    let header = [&["NODE", "FLOWS", "AT MOST"], names.as_slice()].concat();
    let mut table = plain(&header);
    for node in &report.nodes {
        let mut row = vec![node.name.clone(), node.flows.to_string(), node.most.to_string()];
        row.extend(names.iter().map(|name| node.by_table.get(*name).copied().unwrap_or(0).to_string()));
        table.add_row(row);
    }
    let mut text = finish(table);
    for node in report.nodes.iter().filter(|node| node.flows > node.most) {
        line(&mut text, format!("{} holds {} more than it should", node.name, node.flows - node.most));
    }
    text
}

fn fabric(text: &mut String, fabric: &Fabric) {
    section(text, "What the physical switch learned");
    let mut table = plain(&["VLAN", "MAC", "MACHINE"]);
    for learned in &fabric.mac_table {
        let vlan = if learned.vlan == 0 { "untagged".to_owned() } else { learned.vlan.to_string() };
        table.add_row([vlan, learned.mac.clone(), learned.machine.clone()]);
    }
    *text += &finish(table);
    line(
        text,
        format!(
            "{} addresses on the containers' VLANs; without MAC NAT there would be {}",
            fabric.macs.len(),
            fabric.macs_without_nat
        ),
    );

    section(text, "ARP on the fabric, from before the first endpoint");
    let mut table = plain(&["FRAMES", "WHAT"]);
    for (count, what) in [
        (fabric.arp_from_containers, "from containers"),
        (fabric.announcements, "announcements: where an endpoint is (three at each start)"),
        (fabric.nat_mac_refreshes, "nodes showing their NAT MAC (one a minute on each VLAN)"),
        (fabric.resolutions, "probes for gateway and bare hosts"),
        (fabric.answers, "answers to hosts outside, by the node of the endpoint they asked for"),
    ] {
        table.add_row([count.to_string(), what.to_owned()]);
    }
    right(&mut table, [0]);
    *text += &finish(table);
}

fn pages(report: &Report) -> String {
    let mut table = plain(&["PAGE", "SERVER", "NODE", "FETCHED FROM", "NODE", "STATUS", "BYTES"]);
    for page in &report.http {
        table.add_row([
            page.url.clone(),
            page.container.clone(),
            page.node.clone(),
            page.from.clone(),
            page.from_node.clone(),
            page.status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
            page.bytes.to_string(),
        ]);
    }
    finish(table)
}

/// The times of a create, a row for each phase.
pub(super) fn latency(latency: &Latency) -> String {
    let mut table = plain(&["", "P50", "P95"]);
    for (what, times) in [
        ("the intent is committed, the request answered", latency.committed),
        ("the switch has confirmed the flows", latency.flows_confirmed),
        ("ready: the port is up too", latency.ready),
        ("first reply of a ping every 2 ms from another node", latency.reply),
        ("for comparison: a bare ovs-vsctl add-port", latency.bare_add_port),
        ("the same as one transaction, without ovs-vsctl", latency.bare_transaction),
    ] {
        table.add_row([what.to_owned(), format!("{:.1}", times.p50), format!("{:.1}", times.p95)]);
    }
    right(&mut table, [1, 2]);
    let above = latency.reply.p50 - latency.bare_add_port.p50;
    let last = format!(
        "over {} creates, one after another; the first reply is {above:.1} ms above the bare port at p50\n",
        latency.creates
    );
    finish(table) + &last
}

/// Aligns columns to the right.
pub(super) fn right<const N: usize>(table: &mut Table, columns: [usize; N]) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// An empty table.
pub(super) fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table
}

pub(super) fn finish(mut table: Table) -> String {
    table.discover_columns();
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for row in table.lines() {
        line(&mut text, row.trim_end().to_owned());
    }
    text
}

pub(super) fn line(text: &mut String, line: String) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").unwrap_or(());
}
