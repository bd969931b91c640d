//! Random histories: what happens to a lab with three nodes and three networks, as a seed has it.

#![allow(dead_code, reason = "each test file uses a part")]

use labs::Daemon;

pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// A VLAN, and two VXLANs that use the same addresses.
pub(crate) const NETWORKS: [&str; 3] = ["v", "x", "y"];
/// The controller's ports: switches, agents.
const PORTS: [u16; 2] = [6653, 7400];
/// `pool/P` of the pipeline's tables, whatever they are for: what a person types is no better chosen.
const TABLES: u64 = 12;

/// Something that happens. What it happens to is counted among what there is then.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A container is created, on that node or on one of the scheduler's choice.
    Create { network: &'static str, node: Option<&'static str> },
    /// One is deleted.
    Delete { nth: usize },
    /// One is moved.
    Move { nth: usize, node: &'static str },
    /// Daemons are killed, all at the same time.
    Kill(Vec<(&'static str, Daemon)>),
    /// A node loses all its daemons; they come back after some further steps, or (true) when it has been taken for lost.
    Outage { node: &'static str, until_lost: bool },
    /// A connection to the controller is to break in the middle.
    Cut { node: &'static str, port: u16, to_controller: bool, after: usize },
    /// Nothing, until everything is connected and called in sync.
    Rest,
    /// Somebody changes flows of a switch.
    ByHand { node: &'static str, change: ByHand },
}

/// What somebody does to a switch with ovs-ofctl. Numbers choose among what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ByHand {
    /// Deletes one flow.
    DeleteOne(usize),
    /// Has one flow drop what it matches.
    Rewrite(usize),
    /// Puts another flow, with a cookie of nobody, in one's place.
    Replace(usize),
    /// Deletes a table.
    DeleteTable(u64),
    /// Deletes all flows.
    DeleteAll,
    /// Adds a flow of nobody that drops packets before all others.
    Add(u64),
    /// Adds such a flow with the cookie of one that is there.
    AddUnder(usize, u64),
    /// Deletes all meters, and thereby the flows that use them.
    DeleteMeters,
}

/// The history of a seed.
pub(crate) fn history(seed: u64) -> Vec<Step> {
    let mut random = Random(seed);
    let mut steps = Vec::new();
    for _ in 0..6 {
        steps.push(create(&mut random));
    }
    let mut has_outage = false;
    for _ in 0..10 + random.below(10) {
        let step = step(&mut random);
        // More than half of a pool lost at once is another story.
        let is_outage = matches!(step, Step::Outage { .. });
        if !(is_outage && has_outage) {
            steps.push(step);
        }
        has_outage |= is_outage;
    }
    steps
}

fn create(random: &mut Random) -> Step {
    let node = random.one_in(3).then(|| random.pick(&NODES));
    Step::Create { network: random.pick(&NETWORKS), node }
}

fn step(random: &mut Random) -> Step {
    let node = random.pick(&NODES);
    match random.below(24) {
        0..=2 => create(random),
        3 | 4 => Step::Delete { nth: random.index() },
        5 | 6 => Step::Move { nth: random.index(), node },
        7..=10 => Step::Kill(victims(random)),
        11 => Step::Outage { node, until_lost: random.one_in(2) },
        12..=14 => {
            // As likely within the first bytes as within the first thousands.
            let magnitude = random.below(15);
            let after = random.below(2 << magnitude);
            let after = usize::try_from(after).expect("at most 2^15");
            Step::Cut { node, port: random.pick(&PORTS), to_controller: random.one_in(2), after }
        }
        15..=17 => Step::Rest,
        _ => Step::ByHand { node, change: by_hand(random) },
    }
}

fn victims(random: &mut Random) -> Vec<(&'static str, Daemon)> {
    let of =
        |node| [Daemon::OvsdbServer, Daemon::OvsVswitchd, Daemon::WeirAgent].map(|daemon| (node, daemon));
    let mut all: Vec<_> = NODES.into_iter().flat_map(of).collect();
    let controller = ("controller", Daemon::WeirController);
    match random.below(8) {
        0 => all.push(controller),
        1 => all = of(random.pick(&NODES)).to_vec(),
        2 | 3 => all = vec![controller],
        4 => all = vec![controller, random.pick(&all)],
        5 => all = vec![random.pick(&all), random.pick(&all)],
        _ => all = vec![random.pick(&all)],
    }
    all
}

fn by_hand(random: &mut Random) -> ByHand {
    match random.below(10) {
        0 | 1 => ByHand::DeleteOne(random.index()),
        2 => ByHand::Rewrite(random.index()),
        3 | 4 => ByHand::Replace(random.index()),
        5 => ByHand::DeleteTable(random.below(TABLES)),
        6 => ByHand::DeleteAll,
        7 => ByHand::Add(random.below(TABLES)),
        8 => ByHand::AddUnder(random.index(), random.below(TABLES)),
        _ => ByHand::DeleteMeters,
    }
}

impl Step {
    /// What kind of step it is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Step::Create { .. } => "creates",
            Step::Delete { .. } => "deletes",
            Step::Move { .. } => "moves",
            Step::Kill(_) => "daemons killed",
            Step::Outage { .. } => "outages of nodes",
            Step::Cut { .. } => "connections cut",
            Step::Rest => "rests",
            Step::ByHand { .. } => "changes by hand",
        }
    }
}

/// Numbers that a seed gives. Source: Steele and others, "Fast splittable pseudorandom number generators" (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Any number, to be taken modulo how many there are.
    fn index(&mut self) -> usize {
        usize::try_from(self.below(1 << 20)).expect("below 2^20")
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index() % from.len()]
    }
}
