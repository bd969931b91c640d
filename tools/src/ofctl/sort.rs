//! `dump-flows` with names, without statistics, or sorted: flows are printed one by one.

use std::cmp::Ordering;
use std::str::FromStr;

use anyhow::Result;
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Field, FieldValue, Flow, FlowStats, FlowStatsRequest, MultipartRequestBody};
use flowlib::text::{find_field, print_flow_stats};
use flowlib::types::Priority;
use flowlib::wire::{Part, Reader, Wire};

use super::ask::{Answer, describe, multipart, try_ask};
use super::entries::entries;
use super::link::Failure;
use super::ours;
use super::out::Out;
use super::switch::Switch;

/// By what flows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criterion {
    /// By priority.
    Priority,
    /// By a field; flows that do not match on it come last.
    Field(Field),
}

impl FromStr for Criterion {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("priority") {
            return Ok(Self::Priority);
        }
        find_field(name).map(Self::Field).ok_or_else(|| format!("{name}: unknown field name"))
    }
}

/// Whether smaller values come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Smaller first.
    Ascending,
    /// Larger first.
    Descending,
}

/// A flow that waits until all have come.
struct Waiting {
    text: String,
    priority: Priority,
    values: Vec<Option<FieldValue>>,
}

/// Asks for flows and prints each as it comes, or sorted when all have come.
///
/// # Errors
/// [`Failure`], or that the output cannot be written.
pub(super) fn dump(switch: &Switch<'_>, request: FlowStatsRequest) -> Result<()> {
    let criteria = switch.globals.criteria();
    let mut out = Out::default();
    let mut waiting = Vec::new();
    let mut connection = switch.open()?;
    let request = multipart(MultipartRequestBody::Flow(request))?;
    let answer = try_ask(&mut connection, &request, |part| {
        let style = switch.globals.style(switch.printed_names()?);
        let is_ours = style.names.is_some() && switch.is_ours()?;
        for entry in entries(part) {
            let stats = FlowStats::decode(&mut Reader::new(entry?, Part::Multipart))?;
            let start = out.text().len();
            out.text().push(' ');
            print_flow_stats(out.text(), &stats, switch.globals.prints_stats(), style);
            if is_ours {
                ours::print_remark(out.text(), &stats.flow);
            }
            out.text().push('\n');
            if !criteria.is_empty() {
                let text = out.text().split_off(start);
                waiting.push(Waiting::new(text, &stats.flow, criteria));
            }
        }
        out.flow()
    })?;
    if let Answer::Refused(error) = answer {
        out.flush()?;
        return Err(Failure::BadReply(describe(&error)).into());
    }
    waiting.sort_by(|one, other| compare(one, other, criteria));
    for flow in waiting {
        out.text().push_str(&flow.text);
        out.flow()?;
    }
    out.flush()
}

impl Waiting {
    fn new(text: String, flow: &Flow, criteria: &[(Criterion, Order)]) -> Self {
        let value = |criterion: &(Criterion, Order)| match criterion.0 {
            Criterion::Priority => None,
            // The port has a field of OpenFlow's, in which switches say it, and one of Nicira's.
            Criterion::Field(field::NX_IN_PORT) => {
                flow.flow_match.get(field::IN_PORT).map(|found| found.value)
            }
            Criterion::Field(field) => flow.flow_match.get(field).map(|found| found.value),
        };
        Self { text, priority: flow.priority, values: criteria.iter().map(value).collect() }
    }
}

/// By the criteria one after another, and at last by priority, the highest first.
fn compare(one: &Waiting, other: &Waiting, criteria: &[(Criterion, Order)]) -> Ordering {
    for ((criterion, order), (a, b)) in criteria.iter().zip(one.values.iter().zip(&other.values)) {
        let by_value = match (criterion, a, b) {
            (Criterion::Priority, ..) => one.priority.cmp(&other.priority),
            (Criterion::Field(_), Some(a), Some(b)) => a.to_u128().cmp(&b.to_u128()),
            // Those without the field come last in either order.
            (Criterion::Field(_), Some(_), None) => return Ordering::Less,
            (Criterion::Field(_), None, Some(_)) => return Ordering::Greater,
            (Criterion::Field(_), None, None) => Ordering::Equal,
        };
        let by_value = if *order == Order::Ascending { by_value } else { by_value.reverse() };
        if by_value != Ordering::Equal {
            return by_value;
        }
    }
    other.priority.cmp(&one.priority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlib::text::parse_flow;

    fn sorted(criteria: &[(Criterion, Order)], flows: &[&str]) -> Vec<String> {
        let mut waiting: Vec<_> = flows
            .iter()
            .map(|text| Waiting::new((*text).to_owned(), &parse_flow(text).unwrap(), criteria))
            .collect();
        waiting.sort_by(|one, other| compare(one, other, criteria));
        waiting.into_iter().map(|flow| flow.text).collect()
    }

    #[test]
    fn flows_without_the_field_come_last_whatever_the_order() {
        let flows =
            ["priority=1,actions=drop", "priority=2,in_port=5,actions=drop", "in_port=9,actions=drop"];
        let by_port = "in_port".parse().unwrap();
        assert_eq!(sorted(&[(by_port, Order::Ascending)], &flows), [flows[1], flows[2], flows[0]]);
        assert_eq!(sorted(&[(by_port, Order::Descending)], &flows), [flows[2], flows[1], flows[0]]);
        assert!("colour".parse::<Criterion>().is_err());
    }

    #[test]
    fn the_highest_priority_comes_first_of_those_that_are_equal() {
        let flows =
            ["priority=1,ip,actions=drop", "priority=3,ip,actions=drop", "priority=2,ip,actions=drop"];
        let by_type = "dl_type".parse().unwrap();
        assert_eq!(sorted(&[(by_type, Order::Ascending)], &flows), [flows[1], flows[2], flows[0]]);
        assert_eq!(
            sorted(&[(Criterion::Priority, Order::Ascending)], &flows),
            [flows[0], flows[2], flows[1]]
        );
    }
}
