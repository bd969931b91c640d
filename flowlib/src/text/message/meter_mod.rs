//! Meter mods as ovs-ofctl(8) takes them.
//!
//! Source: `parse_ofp_meter_mod_str__` in `lib/ofp-meter.c` of Open vSwitch 3.1.

use super::super::error::{ParseError, Piece, Problem};
use crate::openflow::meter::MeterCommand;
use crate::openflow::{Band, BandKind, Meter, MeterFlags, MeterMod};
use crate::types::MeterId;

type Result<T = ()> = std::result::Result<T, ParseError>;

/// Reads a meter as `add-meter`, `mod-meter` and `del-meters` take it:
/// `meter=1,kbps,burst,bands=type=drop,rate=100,burst_size=10`.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_meter_mod(text: &str, command: MeterCommand) -> Result<MeterMod> {
    let whole = Piece::new(text);
    if command == MeterCommand::DELETE {
        return Ok(MeterMod::delete(parse_meter(text)?));
    }
    let no_bands = || whole.error(Problem::Expected("a meter with its bands"));
    let (head, bands) = whole.split_once("band").ok_or_else(no_bands)?;
    let (_, bands) = bands.split_once("=").ok_or_else(no_bands)?;
    let (meter, flags) = read_head(head, true)?;
    if flags.is_empty() {
        return Err(head.error(Problem::Expected("a meter with kbps or pktps")));
    }
    let bands = parse_bands(bands, flags)?;
    Ok(MeterMod { command, meter: Meter { meter, flags, bands } })
}

/// Reads which meter is meant: `meter=1`, or `all`, `controller` or `slowpath` instead of a number.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_meter(text: &str) -> Result<MeterId> {
    read_head(Piece::new(text), false).map(|(meter, _)| meter)
}

/// The words of a piece, which spaces, commas and equal signs are between.
fn words(piece: Piece<'_>) -> impl Iterator<Item = Piece<'_>> {
    let text = piece.text();
    let is_between = |c: char| matches!(c, '=' | ',' | ' ' | '\t' | '\r' | '\n');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.get(at..)?.find(|c| !is_between(c))?;
        let end = text.get(start..)?.find(is_between).map_or(text.len(), |len| start + len);
        at = end;
        Some(piece.slice(start, end))
    })
}

fn read_head(head: Piece<'_>, with_flags: bool) -> Result<(MeterId, MeterFlags)> {
    let (mut meter, mut flags) = (None, MeterFlags::empty());
    let mut words = words(head);
    while let Some(word) = words.next() {
        match word.text() {
            "kbps" if with_flags => flags |= MeterFlags::KBPS,
            "pktps" if with_flags => flags |= MeterFlags::PKTPS,
            "burst" if with_flags => flags |= MeterFlags::BURST,
            "stats" if with_flags => flags |= MeterFlags::STATS,
            "meter" => {
                let value = words.next().ok_or_else(|| word.error(Problem::MissingValue))?;
                meter = Some(parse_id(value)?);
            }
            _ if with_flags => {
                return Err(word.error(Problem::Expected("meter, kbps, pktps, burst, stats or bands")));
            }
            _ => return Err(word.error(Problem::Expected("meter="))),
        }
    }
    let meter = meter.ok_or_else(|| head.error(Problem::Expected("a meter with its number: meter=1")))?;
    Ok((meter, flags))
}

fn parse_id(value: Piece<'_>) -> Result<MeterId> {
    match value.text() {
        "all" => Ok(MeterId::ALL),
        "controller" => Ok(MeterId(0xffff_fffe)),
        "slowpath" => Ok(MeterId(0xffff_fffd)),
        _ => match value.u32()? {
            number @ 1..=0xffff_0000 => Ok(MeterId(number)),
            _ => Err(value.error(Problem::Expected("a meter from 1 to 4294901760"))),
        },
    }
}

/// A band that is being read, and the word that began it.
struct Draft<'a> {
    start: Piece<'a>,
    is_remark: bool,
    rate: u32,
    burst: u32,
    level: u8,
}

fn parse_bands(piece: Piece<'_>, flags: MeterFlags) -> Result<Vec<Band>> {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let mut words = words(piece);
    while let Some(key) = words.next() {
        let value = words.next().ok_or_else(|| key.error(Problem::MissingValue))?;
        if key.text() == "type" {
            let is_remark = match value.text() {
                "drop" => false,
                "dscp_remark" => true,
                _ => return Err(value.error(Problem::Expected("drop or dscp_remark"))),
            };
            drafts.push(Draft { start: key.up_to(value), is_remark, rate: 0, burst: 0, level: 0 });
            continue;
        }
        let draft =
            drafts.last_mut().ok_or_else(|| key.error(Problem::Expected("type=, which begins a band")))?;
        match key.text() {
            "rate" => draft.rate = value.u32()?,
            "burst_size" => draft.burst = value.u32()?,
            "prec_level" => draft.level = value.u8()?,
            _ => return Err(key.error(Problem::Expected("type, rate, burst_size or prec_level"))),
        }
    }
    if drafts.is_empty() {
        return Err(piece.error(Problem::Expected("a band: type=drop,rate=100")));
    }
    drafts.into_iter().map(|draft| draft.finish(flags)).collect()
}

impl Draft<'_> {
    fn finish(self, flags: MeterFlags) -> Result<Band> {
        let bad = |expected| Err(self.start.error(Problem::Expected(expected)));
        match (self.is_remark, self.level) {
            (true, 0) => return bad("a band with its prec_level"),
            (false, 1..) => return bad("a band without prec_level, which only dscp_remark has"),
            _ => {}
        }
        if self.rate == 0 {
            return bad("a band with its rate");
        }
        match (flags.contains(MeterFlags::BURST), self.burst) {
            (true, 0) => return bad("a band with its burst_size, since the meter has bursts"),
            (false, 1..) => return bad("a band without burst_size, since the meter has no bursts"),
            _ => {}
        }
        let kind = if self.is_remark { BandKind::DscpRemark(self.level) } else { BandKind::Drop };
        Ok(Band { rate: self.rate, burst: self.burst, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_meter_with_its_bands() {
        let text = "meter=5,kbps,burst,bands=type=drop,rate=9,burst_size=2,type=dscp_remark,rate=1,burst_size=3,prec_level=1";
        let parsed = parse_meter_mod(text, MeterCommand::ADD).unwrap();
        assert_eq!(parsed.meter.meter, MeterId(5));
        assert_eq!(parsed.meter.bands[1], Band { rate: 1, burst: 3, kind: BandKind::DscpRemark(1) });
        assert_eq!(parse_meter("meter=all"), Ok(MeterId::ALL));
    }

    #[test]
    fn errors_say_the_column() {
        for (text, column) in [
            ("meter=1", 1),
            ("meter=0,kbps,bands=type=drop,rate=1", 7),
            ("meter=1,bands=type=drop,rate=1", 1),
            ("meter=1,kbps,bands=rate=1", 20),
            ("meter=1,kbps,bands=type=drop", 20),
            ("meter=1,kbps,bands=type=drop,rate=x", 35),
            ("meter=1,kbps,bands=type=drop,rate=1,burst_size=1", 20),
            ("meter=1,fast,bands=type=drop,rate=1", 9),
        ] {
            let error = parse_meter_mod(text, MeterCommand::ADD).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
        }
    }
}
