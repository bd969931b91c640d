//! What `weir top` shows: without a terminal, so that it can be tried.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

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
        let traffic = |usage: &UsageView| usage.traffic.map_or(-1.0, |[received, sent]| received + sent);
        let order = match self {
            Self::Cpu => b.cpu_percent.unwrap_or(-1.0).total_cmp(&a.cpu_percent.unwrap_or(-1.0)),
            Self::Memory => b.memory_bytes.cmp(&a.memory_bytes),
            Self::Traffic => traffic(b).total_cmp(&traffic(a)),
            Self::Name => Ordering::Equal,
        };
        order.then_with(|| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)))
    }
}

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Nodes,
    Containers,
}

/// What was seen last, and how it is to be shown.
#[derive(Debug)]
pub(super) struct Picture {
    nodes: Vec<Node>,
    /// What was seen, and when: the last, and before it what is needed to say how much traffic there is.
    rounds: VecDeque<(Instant, Round)>,
    usages: Vec<UsageView>,
    /// Why there is nothing newer.
    pub(super) trouble: Option<String>,
    pub(super) sort: Sort,
    /// What the arrows scroll.
    pub(super) scrolls: Part,
    /// How many nodes, and containers, are above the first that is shown.
    above: [usize; 2],
}

impl Picture {
    pub(super) fn new(seen: (Vec<Node>, Round)) -> Self {
        let mut picture = Self {
            nodes: Vec::new(),
            rounds: VecDeque::new(),
            usages: Vec::new(),
            trouble: None,
            sort: Sort::default(),
            scrolls: Part::Containers,
            above: [0, 0],
        };
        picture.see(seen);
        picture
    }

    /// This is how it is now.
    pub(super) fn see(&mut self, (nodes, round): (Vec<Node>, Round)) {
        let (nothing, now) = (Round::new(), Instant::now());
        let base = self.rounds.front().map_or(&nothing, |(_, round)| round);
        let before = self.rounds.back().map_or(&nothing, |(_, round)| round);
        self.usages = compare(base, before, round.clone());
        // The first is the last of those that are a while ago.
        while self.rounds.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WHILE) {
            self.rounds.pop_front();
        }
        self.rounds.push_back((now, round));
        (self.nodes, self.trouble) = (nodes, None);
        self.scroll(0);
    }

    /// It cannot be seen how it is now.
    pub(super) fn miss(&mut self, why: String) {
        self.trouble = Some(why);
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let [nodes, containers] = &mut self.above;
        let above = if self.scrolls == Part::Nodes { &mut *nodes } else { &mut *containers };
        *above = above.saturating_add_signed(by);
        *nodes = (*nodes).min(self.nodes.len().saturating_sub(1));
        *containers = (*containers).min(self.usages.len().saturating_sub(1));
    }

    /// The arrows scroll the other part from now on.
    pub(super) fn switch(&mut self) {
        self.scrolls = match self.scrolls {
            Part::Nodes => Part::Containers,
            Part::Containers => Part::Nodes,
        };
    }

    /// How many rows of a part are above the first that is shown.
    pub(super) fn above(&self, part: Part) -> usize {
        let [nodes, containers] = self.above;
        if part == Part::Nodes { nodes } else { containers }
    }

    /// The containers in their order: the columns of what they use, with their traffic a second.
    pub(super) fn containers(&self) -> Vec<[String; 9]> {
        let mut all: Vec<_> = self.usages.iter().collect();
        all.sort_by(|a, b| self.sort.compare(a, b));
        all.into_iter().map(row).collect()
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

fn row(usage: &UsageView) -> [String; 9] {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum, which only grows")]
    let bytes = |n: f64| amount::bytes_text(n as u64);
    let traffic = usage.traffic.map(|each| each.map(bytes));
    let [received, sent] = traffic.unwrap_or_else(|| ["-", "-"].map(str::to_owned));
    let [pool, name, node, cpu, memory, _, disk, pids, problem] = usage.columns();
    [pool, name, node, cpu, memory, format!("{received} / {sent}"), disk, pids, problem]
}

/// Over how long traffic is shown: Open vSwitch counts every 5 s only.
const WHILE: Duration = Duration::from_secs(10);

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
pub(super) mod tests {
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
                received_bytes: Some(cpu_ms + at_s * memory * 200),
                sent_bytes: Some(0),
                ..Usage::default()
            }),
            problem: String::new(),
        };
        all.iter().map(stats).collect()
    }

    /// Three containers, of which one is new, on one node.
    pub(in super::super) fn seen() -> Picture {
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
            picture.containers().iter().map(|row| row[1].clone()).collect::<String>()
        };
        let sorts = [Sort::Cpu, Sort::Memory, Sort::Traffic, Sort::Name];
        assert_eq!(sorts.map(&mut names), ["abc", "bac", "bac", "abc"]);
    }

    #[test]
    fn a_node_shows_the_sum_of_its_containers() {
        assert_eq!(seen().nodes(), [["p", "n1", "connected", "3", "60.0", "15 B"].map(str::to_owned)]);
    }

    #[test]
    fn scrolling_ends_at_both_ends() {
        let mut picture = seen();
        picture.scroll(10);
        assert_eq!(picture.above, [0, 2]);
        picture.switch();
        picture.scroll(10);
        assert_eq!(picture.above, [0, 2], "there is one node");
        picture.see((Vec::new(), Round::new()));
        assert_eq!(picture.above, [0, 0]);
        picture.scroll(isize::MIN);
        assert_eq!(picture.above, [0, 0]);
    }

    #[test]
    fn traffic_is_that_of_a_while_and_not_of_the_last_look() {
        let node = Node::default();
        let mut picture = Picture::new((vec![node.clone()], round(10, &[("a", 0, 1)])));
        picture.see((vec![node.clone()], round(12, &[("a", 0, 1)])));
        assert_eq!(picture.containers()[0][5], "200 B / 0 B");
        picture.rounds.iter_mut().for_each(|(at, _)| *at -= WHILE);
        picture.see((vec![node], round(14, &[("a", 0, 1)])));
        assert_eq!((picture.rounds.len(), picture.usages[0].traffic), (2, Some([200.0, 0.0])));
    }
}
