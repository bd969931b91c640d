//! What `weir top` shows: without a terminal, so that it can be tried.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use weir_api::v1::Node;
use weir_api::v1::node::Scheduling;

use super::super::container::amount;
use super::super::usage::{Round, UsageView, compare};

/// By what containers are sorted, the most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Cpu,
    Memory,
    Traffic,
    Name,
}

impl Sort {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Traffic => "traffic",
            Self::Name => "name",
        }
    }

    fn compare(self, a: &UsageView, b: &UsageView) -> Ordering {
        let traffic = |usage: &UsageView| {
            usage.received_bytes.unwrap_or(0).saturating_add(usage.sent_bytes.unwrap_or(0))
        };
        let order = match self {
            Self::Cpu => b.cpu_percent.unwrap_or(-1.0).total_cmp(&a.cpu_percent.unwrap_or(-1.0)),
            Self::Memory => b.memory_bytes.cmp(&a.memory_bytes),
            Self::Traffic => traffic(b).cmp(&traffic(a)),
            Self::Name => Ordering::Equal,
        };
        order.then_with(|| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)))
    }
}

/// What was seen last, and how it is to be shown.
#[derive(Debug)]
pub(super) struct Picture {
    nodes: Vec<Node>,
    last: Round,
    usages: Vec<UsageView>,
    /// Why there is nothing newer.
    pub(super) trouble: Option<String>,
    pub(super) sort: Sort,
    /// How many containers are above the first that is shown.
    pub(super) above: usize,
}

impl Picture {
    pub(super) fn new((nodes, round): (Vec<Node>, Round)) -> Self {
        let usages = compare(&Round::new(), round.clone());
        Self { nodes, last: round, usages, trouble: None, sort: Sort::default(), above: 0 }
    }

    /// This is how it is now.
    pub(super) fn see(&mut self, (nodes, round): (Vec<Node>, Round)) {
        self.usages = compare(&self.last, round.clone());
        (self.nodes, self.last, self.trouble) = (nodes, round, None);
        self.scroll(0);
    }

    /// It cannot be seen how it is now.
    pub(super) fn miss(&mut self, why: String) {
        self.trouble = Some(why);
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let last = self.usages.len().saturating_sub(1);
        self.above = self.above.saturating_add_signed(by).min(last);
    }

    /// The containers in their order.
    pub(super) fn containers(&self) -> Vec<&UsageView> {
        let mut all: Vec<_> = self.usages.iter().collect();
        all.sort_by(|a, b| self.sort.compare(a, b));
        all
    }

    /// The nodes, with what their containers use together.
    pub(super) fn nodes(&self) -> Vec<[String; 6]> {
        let mut sums: BTreeMap<(&str, &str), (usize, f64, u64)> = BTreeMap::new();
        for usage in &self.usages {
            let (n, cpu, memory) = sums.entry((&usage.pool, &usage.node)).or_default();
            *n += 1;
            *cpu += usage.cpu_percent.unwrap_or(0.0);
            *memory = memory.saturating_add(usage.memory_bytes.unwrap_or(0));
        }
        let row = |node: &Node| {
            let key = (node.pool.as_str(), node.name.as_str());
            let (n, cpu, memory) = sums.get(&key).copied().unwrap_or_default();
            let (pool, name) = (node.pool.clone(), node.name.clone());
            [
                pool,
                name,
                state(node).to_owned(),
                n.to_string(),
                format!("{cpu:.1}"),
                amount::bytes_text(memory),
            ]
        };
        self.nodes.iter().map(row).collect()
    }
}

/// What [`Picture::nodes`] are.
pub(super) const NODES: [&str; 6] = ["POOL", "NODE", "STATE", "CONTAINERS", "CPU %", "MEMORY"];

fn state(node: &Node) -> &'static str {
    let status = node.status.as_ref();
    let has = |of: fn(&weir_api::v1::NodeStatus) -> bool| status.is_some_and(of);
    match (has(|status| status.agent_connected), has(|status| status.switch_connected)) {
        _ if has(|status| status.lost) => "lost",
        (false, false) => "unreachable",
        (true, true) if node.scheduling() == Scheduling::Cordoned => "cordoned",
        (true, true) if node.scheduling() == Scheduling::Draining => "draining",
        (true, true) => "connected",
        _ => "degraded",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use weir_api::v1::{ContainerStats, NodeStatus, Usage};

    use super::*;

    fn round(at_s: u64, all: &[(&str, u64, u64)]) -> Round {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s);
        let stats = |(name, cpu_ms, memory): &(&str, u64, u64)| ContainerStats {
            pool: "p".to_owned(),
            name: (*name).to_owned(),
            node: "n1".to_owned(),
            usage: Some(Usage {
                time: Some(time.into()),
                cpu_us: Some(cpu_ms * 1000),
                memory_bytes: Some(*memory),
                ..Usage::default()
            }),
            problem: String::new(),
        };
        all.iter().map(stats).collect()
    }

    fn seen() -> Picture {
        let status = NodeStatus { agent_connected: true, switch_connected: true, ..NodeStatus::default() };
        let node = Node { pool: "p".into(), name: "n1".into(), status: Some(status), ..Node::default() };
        let mut picture = Picture::new((vec![node.clone()], round(10, &[("a", 0, 5), ("b", 0, 9)])));
        picture.see((vec![node], round(11, &[("a", 500, 5), ("b", 100, 9), ("c", 0, 1)])));
        picture
    }

    #[test]
    fn containers_are_sorted_by_what_is_asked_for() {
        let mut picture = seen();
        let mut names = |sort| {
            picture.sort = sort;
            picture.containers().iter().map(|usage| usage.name.clone()).collect::<String>()
        };
        assert_eq!([Sort::Cpu, Sort::Memory, Sort::Name].map(&mut names), ["abc", "bac", "abc"]);
    }

    #[test]
    fn a_node_shows_the_sum_of_its_containers() {
        assert_eq!(seen().nodes(), [["p", "n1", "connected", "3", "60.0", "15 B"].map(str::to_owned)]);
    }

    #[test]
    fn scrolling_ends_at_both_ends() {
        let mut picture = seen();
        picture.scroll(10);
        assert_eq!(picture.above, 2);
        picture.see((Vec::new(), Round::new()));
        assert_eq!(picture.above, 0);
        picture.scroll(isize::MIN);
        assert_eq!(picture.above, 0);
    }
}
