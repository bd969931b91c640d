//! What one packet may cost.

/// What one packet has cost in all its passes, in units of a short line of its trace.
#[derive(Debug, Default)]
pub(super) struct Spent(u32);

impl Spent {
    /// Whether so much more is too much.
    pub(super) fn exceeds(&mut self, cost: usize) -> bool {
        self.0 = self.0.saturating_add(u32::try_from(cost).unwrap_or(u32::MAX));
        self.0 > MAX_COST
    }
}

/// More than any sane pipeline takes: 128 lines for each resubmit that a pass may have.
const MAX_COST: u32 = 128 * MAX_RESUBMITS;
/// What a unit of cost says in a trace, in bytes.
pub(super) const LINE_LEN: usize = 64;
/// What it costs that a packet leaves or is shown to the controller: all its fields are kept.
pub(super) const OUTPUT_COST: usize = 8;
/// How many flows can be looked at for a unit of cost.
pub(super) const FLOWS_A_LINE: usize = 64;

/// Nesting of tables and buckets, of which a way to a higher table is none. Source: MAX_DEPTH of Open vSwitch.
pub(super) const MAX_DEPTH: u32 = 64;
/// Look-ups in tables of one pass. Source: MAX_RESUBMITS of Open vSwitch.
pub(super) const MAX_RESUBMITS: u32 = 4096;
/// Copies of the packet within copies, and so lists of the datapath's actions within lists.
pub(super) const MAX_COPIES: usize = 128;
/// Values on the stack: 64 kB, as in Open vSwitch.
pub(super) const MAX_STACK: usize = 4096;
/// Actions in the action set: more than one message can hold.
pub(super) const MAX_ACTION_SET: usize = 1 << 13;
/// The most passes of one packet.
pub(super) const MAX_PASSES: usize = 64;

#[cfg(test)]
mod tests {
    use crate::emulate::{Failure, Input, Outcome, Switch};
    use crate::openflow::group::GroupCommand;
    use crate::packet::{Key, ethertype};
    use crate::text::{Style, parse_flow, parse_group_mod};

    /// What becomes of a packet, with 3 ports.
    fn run(flows: &[String], groups: &[String]) -> Outcome {
        let mut switch = Switch::new("br0");
        switch.has_all_ports = true;
        for flow in flows {
            switch.add_flow(parse_flow(flow).unwrap());
        }
        for group in groups {
            switch.add_group(parse_group_mod(group, Some(GroupCommand::ADD), None).unwrap().group);
        }
        switch.run(&Input { key: Key { eth_type: ethertype::IPV4, ..Key::default() }, ..Input::default() })
    }

    /// Fails unless the first pass that failed did so for this reason, and the trace says so; nothing came out.
    fn assert_failure(outcome: &Outcome, failure: Failure, why: &str) {
        let failed = outcome.passes.iter().find(|pass| pass.failure.is_some()).unwrap();
        assert_eq!((failed.failure, failed.outputs.len()), (Some(failure), 0));
        let text = outcome.format(Style::default());
        assert!(why.is_empty() || text.contains(&format!(" >>>> {why} <<<<\n")), "no {why}");
        assert!(text.contains(&format!("\nTranslation failed ({failure}), packet is dropped.")));
    }

    #[test]
    fn tables_may_lead_64_times_back_and_no_more() {
        let outcome = run(&["actions=output:1,resubmit(,0)".to_owned()], &[]);
        assert_failure(&outcome, Failure::TooDeep, "over max translation depth 64");
    }

    #[test]
    fn a_pass_has_4096_resubmits_and_no_more() {
        let twice = |n: u8| format!("table={n},actions=resubmit(,{0}),resubmit(,{0})", n + 1);
        let outcome = run(&(0..13).map(twice).collect::<Vec<_>>(), &[]);
        assert_failure(&outcome, Failure::TooManyResubmits, "over 4096 resubmit actions");
    }

    #[test]
    fn resubmits_end_when_the_stack_is_full() {
        let flow = format!("actions={}resubmit(,1)", "push:reg0,".repeat(4096));
        let outcome = run(&[flow], &[]);
        assert_failure(&outcome, Failure::StackTooDeep, "resubmits yielded over 64 kB of stack");
    }

    #[test]
    fn copies_nest_128_deep_and_no_deeper() {
        let nested = |n: usize, inner: &str| {
            format!("{}{inner}{}", "clone(output(port=9,max_len=64),".repeat(n), ")".repeat(n))
        };
        let flows = |n: usize| {
            [
                format!("actions={}", nested(90, "resubmit(,1)")),
                format!("table=1,actions={}", nested(n, "output:2")),
            ]
        };
        assert_eq!(run(&flows(38), &[]).outputs().count(), 129);
        let outcome = run(&flows(39), &[]);
        assert_failure(&outcome, Failure::TooDeep, "over 128 nested copies of the packet");
    }

    #[test]
    fn buckets_cost_as_much_as_steps() {
        let of = |inner: &str| format!(",bucket=actions={inner}").repeat(200);
        let group = |id: u32| format!("group_id={id},type=all{}", of(&format!("group:{}", id + 1)));
        let groups: Vec<_> =
            (1..5).map(group).chain([format!("group_id=5,type=all{}", of("drop"))]).collect();
        let outcome = run(&["actions=group:1".to_owned()], &groups);
        assert_failure(&outcome, Failure::TooManySteps, "too many steps");
    }

    #[test]
    fn checks_of_the_length_in_a_row_end() {
        let flow = format!("actions={}output:1", "check_pkt_larger(100)->NXM_NX_REG0[0],".repeat(60));
        assert_failure(&run(&[flow], &[]), Failure::TooManySteps, "too many steps");
    }

    #[test]
    fn a_packet_makes_64_passes_and_no_more() {
        let outcome = run(&["ip,actions=output:1,ct(table=0)".to_owned()], &[]);
        assert_eq!(outcome.passes.len(), 64);
        assert_failure(&outcome, Failure::TooManyRecirculations, "");
        let outcome = run(&[format!("ip,actions={}output:1", "ct(table=1),".repeat(65))], &[]);
        assert_failure(&outcome, Failure::TooManyRecirculations, "over 64 recirculations");
    }

    #[test]
    fn counting_learned_flows_costs() {
        let learn = "learn(table=9,limit=4000000000,NXM_OF_IN_PORT[]),";
        let flow = |n: u8| format!("table={n},actions={}resubmit(,{})", learn.repeat(1000), (n + 1) % 100);
        let mut switch = Switch::new("br0");
        (0..100).for_each(|n| switch.add_flow(parse_flow(&flow(n)).unwrap()));
        let outcome = switch.run(&Input { has_side_effects: true, ..Input::default() });
        assert_failure(&outcome, Failure::TooManySteps, "too many steps");
    }

    #[test]
    fn an_action_set_holds_no_more_than_its_limit() {
        let set = "set_field:1->reg0,".repeat(3000);
        let flow = |n: u8| format!("table={n},actions=write_actions({set}output:1),goto_table:{}", n + 1);
        let outcome = run(&(0..4).map(flow).collect::<Vec<_>>(), &[]);
        assert_failure(&outcome, Failure::TooManySteps, "over 8192 actions in the action set");
    }

    #[test]
    fn a_bucket_that_watches_itself_is_reported() {
        let group = "group_id=1,type=ff,bucket=watch_group:1,actions=output:1".to_owned();
        let outcome = run(&["actions=group:1".to_owned()], &[group]);
        let text = outcome.format(Style::default());
        assert!(text.contains(" >>>> bucket chaining exceeded 128 links <<<<\n"), "{text}");
        assert!(text.contains(" -> no live bucket\n"), "{text}");
    }

    #[test]
    fn the_deepest_trace_is_printed() {
        let flow =
            |n: u8| format!("table={n},actions=resubmit(,{}),output:1", if n == 252 { 0 } else { n + 1 });
        let outcome = run(&(0..253).map(flow).collect::<Vec<_>>(), &[]);
        let trace = &outcome.passes[0].trace;
        assert!(trace.iter().any(|node| node.depth > 4000), "{:?}", outcome.passes[0].failure);
        assert!(outcome.format(Style::default()).len() < 20_000_000);
    }
}
