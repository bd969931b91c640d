//! `dump-flows` with names, without statistics, or sorted: flows are printed one by one.

mod key;

use std::cmp::Ordering;
use std::str::FromStr;

use anyhow::Result;
use flowlib::openflow::{Flow, FlowStats, FlowStatsRequest, MultipartRequestBody};
use flowlib::text::print_flow_stats;
use flowlib::types::Priority;
use flowlib::wire::{Part, Reader, Wire};

use super::ask::{Answer, describe, multipart, try_ask};
use super::entries::entries;
use super::link::Failure;
use super::ours;
use super::out::Out;
use super::switch::Switch;
use key::{Column, Key};

/// By what flows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criterion {
    /// By priority.
    Priority,
    /// By a field; flows that do not match on it come last.
    Field(Column),
}

impl FromStr for Criterion {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("priority") {
            return Ok(Self::Priority);
        }
        Column::of(name).map(Self::Field).ok_or_else(|| {
            format!(
                "{name}: unknown field name: it is priority, or a field of ovs-fields(7) as nw_src or in_port"
            )
        })
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
    /// One for each criterion; none for the priority.
    keys: Vec<Option<Key>>,
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
        let key = |(criterion, _): &(Criterion, Order)| match criterion {
            Criterion::Priority => None,
            Criterion::Field(column) => Some(column.key(&flow.flow_match)),
        };
        Self { text, priority: flow.priority, keys: criteria.iter().map(key).collect() }
    }
}

/// By the criteria one after another, and at last by priority, the highest first.
fn compare(one: &Waiting, other: &Waiting, criteria: &[(Criterion, Order)]) -> Ordering {
    for ((_, order), keys) in criteria.iter().zip(one.keys.iter().zip(&other.keys)) {
        let by_value = match keys {
            // Those without the field come last in either order.
            (Some(a), Some(b)) if a.is_matched != b.is_matched => return b.is_matched.cmp(&a.is_matched),
            (Some(a), Some(b)) => a.value.cmp(&b.value),
            _ => one.priority.cmp(&other.priority),
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
