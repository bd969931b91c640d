//! What exporters of IPFIX counted.

use super::super::printer::Printer;
use super::{Received, Result, put};
use crate::openflow::multipart::IpfixStats;

pub(super) fn format_bridge_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    message.read_list(|stats: IpfixStats| {
        p.push_str("\n  bridge ipfix: ");
        format_counters(p, &stats, "                ");
        Ok(())
    })
}

pub(super) fn format_flow_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    const LEN: usize = 88;
    put(p, format_args!(" {} ids\n", message.body.len() / LEN));
    message.read_list(|stats: IpfixStats| {
        put(p, format_args!("  id {:>3}: ", stats.collector_set));
        format_counters(p, &stats, "          ");
        Ok(())
    })
}

fn format_counters(p: &mut Printer<'_>, stats: &IpfixStats, indent: &str) {
    put(p, format_args!("flows={}, current flows={}, ", stats.total_flows, stats.current_flows));
    put(p, format_args!("sampled pkts={}, ipv4 ok={}, ", stats.packets, stats.ipv4_packets));
    put(p, format_args!("ipv6 ok={}, tx pkts={}\n{indent}", stats.ipv6_packets, stats.tx_packets));
    put(p, format_args!("pkts errs={}, ipv4 errs={}, ", stats.error_packets, stats.ipv4_error_packets));
    put(p, format_args!("ipv6 errs={}, tx errs={}\n", stats.ipv6_error_packets, stats.tx_errors));
}
