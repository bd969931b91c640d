//! Meters.

use super::super::flow::format_duration;
use super::super::printer::Printer;
use super::{Received, Result, bits, decoded, put};
use crate::openflow::meter::MeterCommand;
use crate::openflow::multipart::{MeterFeatures, MeterStats};
use crate::openflow::{Band, BandKind, ErrorCode, Meter, MeterFlags};
use crate::types::MeterId;
use crate::wire::{Part, Reader, Wire};

const FLAGS: &[(MeterFlags, &str)] = &[
    (MeterFlags::KBPS, "kbps "),
    (MeterFlags::PKTPS, "pktps "),
    (MeterFlags::BURST, "burst "),
    (MeterFlags::STATS, "stats "),
];

/// Appends `meter`, a separator and the number, or what a reserved one means.
fn format_id(p: &mut Printer<'_>, meter: MeterId, separator: char) {
    put(p, format_args!("meter{separator}"));
    match meter.0 {
        0xffff_fffd => p.push_str("slowpath"),
        0xffff_fffe => p.push_str("controller"),
        0xffff_ffff => p.push_str("all"),
        number @ 0..=0xffff_0000 => put(p, format_args!("{number}")),
        _ => p.push_str("unknown"),
    }
}

/// Appends a meter as `dump-meters` prints it.
pub(super) fn format(p: &mut Printer<'_>, meter: &Meter) {
    format_id(p, meter.meter, '=');
    p.push_str(" ");
    for (_, name) in FLAGS.iter().filter(|(flag, _)| meter.flags.contains(*flag)) {
        p.push_str(name);
    }
    let known = FLAGS.iter().fold(MeterFlags::empty(), |known, (flag, _)| known | *flag);
    let unknown = meter.flags.difference(known);
    if !unknown.is_empty() {
        put(p, format_args!("flags:{:#x} ", unknown.bits()));
    }
    p.push_str("bands=");
    for band in &meter.bands {
        format_band(p, band, meter.flags);
    }
    p.push_str("\n");
}

fn format_band(p: &mut Printer<'_>, band: &Band, flags: MeterFlags) {
    p.push_str("\ntype=");
    match band.kind {
        BandKind::Drop => p.push_str("drop"),
        BandKind::DscpRemark(_) => p.push_str("dscp_remark"),
        BandKind::Unknown { band_type, .. } => put(p, format_args!("{band_type}")),
    }
    put(p, format_args!(" rate={}", band.rate));
    if flags.contains(MeterFlags::BURST) {
        put(p, format_args!(" burst_size={}", band.burst));
    }
    if let BandKind::DscpRemark(level) = band.kind {
        put(p, format_args!(" prec_level={level}"));
    }
}

/// What is wrong is said in the order in which Open vSwitch finds it.
pub(super) fn format_mod(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let r = &mut message.body;
    let command = MeterCommand(decoded(r.u16())?);
    let flags = MeterFlags::from_bits_retain(decoded(r.u16())?);
    let meter = MeterId(decoded(r.u32())?);
    let name = match command {
        MeterCommand::ADD => " ADD ",
        MeterCommand::MODIFY => " MOD ",
        MeterCommand::DELETE => {
            // Of a meter to remove only the number counts.
            p.push_str(" DEL ");
            format(p, &Meter { meter, flags: MeterFlags::empty(), bands: Vec::new() });
            return Ok(());
        }
        _ => return Err(ErrorCode::OFPMMFC_BAD_COMMAND),
    };
    if flags.contains(MeterFlags::KBPS | MeterFlags::PKTPS) {
        return Err(ErrorCode::OFPMMFC_BAD_FLAGS);
    }
    let bands = read_bands(r)?;
    p.push_str(name);
    format(p, &Meter { meter, flags, bands });
    Ok(())
}

/// Bands of the types that Open vSwitch has, which are all of one length.
fn read_bands(r: &mut Reader<'_>) -> Result<Vec<Band>> {
    const LEN: u16 = 16;
    let mut bands = Vec::new();
    while !r.is_empty() {
        let len = r.peek().get(2..4).map(|len| len.iter().fold(0, |len, byte| len << 8 | u16::from(*byte)));
        if len != Some(LEN) || r.len() < usize::from(LEN) {
            return Err(ErrorCode::OFPBRC_BAD_LEN);
        }
        let band = decoded(Band::decode(r))?;
        if matches!(band.kind, BandKind::Unknown { .. }) {
            return Err(ErrorCode::OFPMMFC_BAD_BAND);
        }
        bands.push(band);
    }
    Ok(bands)
}

pub(super) fn format_request(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let meter = MeterId(message.first_u32()?);
    p.push_str(" ");
    format_id(p, meter, '=');
    Ok(())
}

pub(super) fn format_config_reply(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    while !message.body.is_empty() {
        let r = &mut message.body;
        let len = usize::from(decoded(r.u16())?);
        let flags = MeterFlags::from_bits_retain(decoded(r.u16())?);
        let meter = MeterId(decoded(r.u32())?);
        let bands = read_bands(&mut decoded(r.body(len, 8, Part::Message))?)?;
        p.push_str("\n");
        format(p, &Meter { meter, flags, bands });
    }
    Ok(())
}

pub(super) fn format_stats_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    message.read_list(|stats: MeterStats| {
        p.push_str("\n");
        format_stats(p, &stats);
        Ok(())
    })
}

/// Appends what a meter counted as `meter-stats` prints it.
pub(super) fn format_stats(p: &mut Printer<'_>, stats: &MeterStats) {
    format_id(p, stats.meter, ':');
    put(p, format_args!(" flow_count:{} packet_in_count:{}", stats.flow_count, stats.packet_in_count));
    put(p, format_args!(" byte_in_count:{} duration:", stats.byte_in_count));
    format_duration(p, stats.duration_s, stats.duration_ns);
    p.push_str(" bands:\n");
    for (n, band) in stats.bands.iter().enumerate() {
        put(p, format_args!("{n}: packet_count:{} byte_count:{}\n", band.packet_count, band.byte_count));
    }
}

const BAND_TYPES: &[(u32, &str)] = &[(1, "drop"), (2, "dscp_remark")];
const CAPABILITIES: &[(u32, &str)] = &[(0, "kbps"), (1, "pktps"), (2, "burst"), (3, "stats")];

pub(super) fn format_features(p: &mut Printer<'_>, features: &MeterFeatures) -> Result {
    put(p, format_args!("\nmax_meter:{} max_bands:{}", features.max_meters, features.max_bands));
    put(p, format_args!(" max_color:{}\nband_types: ", features.max_color));
    bits::format(p, features.band_types, BAND_TYPES);
    p.push_str("\ncapabilities: ");
    bits::format(p, features.capabilities, CAPABILITIES);
    p.push_str("\n");
    Ok(())
}
