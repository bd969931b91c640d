//! One pass of a packet: the machine that carries out steps.
//!
//! Lists of steps that call others (tables, buckets, copies) lie on a stack of frames and not on that of the processor:
//! flows may nest them thousands deep. A frame that ends puts back what it had changed.
//!
//! Source: `do_xlate_actions` and what it calls in `ofproto/ofproto-dpif-xlate.c` of Open vSwitch 3.1.

use std::collections::VecDeque;
use std::sync::Arc;

use super::action_set;
use super::datapath::{self, DatapathAction, Pending};
use super::limits::{MAX_ACTION_SET, MAX_COPIES, MAX_DEPTH, MAX_PASSES, MAX_RESUBMITS, MAX_STACK, Spent};
use super::liveness::Liveness;
use super::outcome::{Failure, Input, Output, Pass, ResumeReason, ToController};
use super::resume::Resume;
use super::step::{Step, of_actions};
use super::switch::Switch;
use super::table::Entry;
use super::trace::{NodeKind, Recorder};
use crate::openflow::action::{Controller, Ct, Nat};
use crate::openflow::{Action, FieldValue, Flow, SubField};
use crate::packet::Key;
use crate::text::{Names, print_match};
use crate::types::{Cookie, PortNo, Priority, TableId};

/// A list of steps that is being carried out.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) steps: Arc<[Step]>,
    pub(super) at: usize,
    pub(super) is_bucket: bool,
    scope: Scope,
    /// Whether the action set was carried out behind it.
    has_set: bool,
}

/// Whose a list of steps is, and what is put back at its end.
#[derive(Debug)]
enum Scope {
    /// The pass itself.
    Pass,
    /// A flow's that was found in a table.
    Flow { table: TableId, cookie: Option<Cookie>, is_miss: bool, deepens: bool },
    /// The action set's.
    ActionSet,
    /// The buckets of a group that are still to come; it has no steps of its own.
    Buckets(VecDeque<(usize, Arc<[Step]>)>),
    /// A bucket's.
    Bucket(Box<Key>, bool),
    /// For a copy of the packet.
    Copy(Box<Saved>, bool),
    /// What the connection tracker is to do with the connection.
    Ct(Box<Ct>),
    /// All that follows, if the packet is longer.
    Greater(Box<Saved>, Length),
    /// All that follows, if it is not longer.
    LessOrEqual(Box<Saved>, Length, Vec<DatapathAction>),
}

/// A check of the packet's length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) dst: SubField,
    pub(super) len: u16,
    /// Where what follows begins in its list.
    start: usize,
    /// How much had come out before.
    n_outputs: usize,
    n_to_controller: usize,
    n_resumes: usize,
}

/// The packet before a copy was made of it.
#[derive(Debug)]
struct Saved {
    key: Key,
    base: Key,
    stack: Vec<FieldValue>,
    action_set: Vec<Action>,
    was_mpls: bool,
    is_tracked: bool,
}

/// Why steps are put off.
#[derive(Debug)]
pub(super) enum Freeze {
    /// The packet comes again.
    Resume(ResumeReason),
    /// The controller resumes it.
    Pause(Box<Controller>),
}

/// One pass.
pub(super) struct Translation<'s> {
    pub(super) switch: &'s mut Switch,
    pub(super) spent: &'s mut Spent,
    packet_len: usize,
    pub(super) has_side_effects: bool,
    /// Whether the states of connections are given.
    pub(super) has_given_states: bool,
    initial: Key,
    orig_queue: u32,
    resumed: Option<super::outcome::Resumed>,
    start_table: TableId,
    start_steps: Arc<[Step]>,

    /// The packet as the flows see it.
    pub(super) key: Key,
    /// The packet as the datapath has it.
    pub(super) base: Key,
    pub(super) pending: Pending,
    pub(super) covered: Vec<Key>,
    pub(super) stack: Vec<FieldValue>,
    pub(super) action_set: Vec<Action>,
    pub(super) set_has_group: bool,
    pub(super) in_action_set: bool,
    pub(super) was_mpls: bool,
    pub(super) is_tracked: bool,
    pub(super) nat: Option<Nat>,
    /// Where the connection tracker has sent the packet, though the flows do not see it.
    pub(super) translated: Option<Box<Key>>,

    pub(super) table: TableId,
    pub(super) cookie: Option<Cookie>,
    pub(super) is_miss: bool,
    depth: u32,
    resubmits: u32,
    copies: usize,
    /// Which groups are live, once that was asked for.
    pub(super) liveness: Option<Liveness>,
    frames: Vec<Frame>,
    pub(super) is_exiting: bool,
    freeze: Option<Freeze>,
    frozen: Vec<Step>,
    pub(super) failure: Option<Failure>,

    /// Flows that the pass adds; it does not see them itself.
    pub(super) learned: Vec<Flow>,
    pub(super) outputs: Vec<Output>,
    pub(super) to_controller: Vec<ToController>,
    pub(super) resumes: Vec<Resume>,
    /// The datapath's actions; those within others last.
    pub(super) lists: Vec<Vec<DatapathAction>>,
    pub(super) recorder: Recorder,
    pub(super) names: Option<&'s Names>,
}

impl<'s> Translation<'s> {
    pub(super) fn new(
        switch: &'s mut Switch,
        input: &'s Input,
        resume: Resume,
        spent: &'s mut Spent,
    ) -> Self {
        let mut key = resume.key;
        key.actset_output = UNSET;
        let recorder = Recorder::new(&switch.name);
        let mut base = key.clone();
        base.tunnel = Default::default();
        Self {
            packet_len: input.frame_len(),
            has_side_effects: input.has_side_effects,
            has_given_states: input.ct_states.is_some(),
            initial: key.clone(),
            orig_queue: input.key.queue,
            resumed: resume.resumed,
            start_table: resume.table,
            start_steps: resume.steps,
            base,
            key,
            pending: Pending::default(),
            covered: resume.covered,
            stack: resume.stack,
            action_set: Vec::new(),
            set_has_group: false,
            in_action_set: false,
            was_mpls: resume.was_mpls,
            is_tracked: resume.is_tracked,
            nat: None,
            translated: None,
            table: TableId(0),
            cookie: None,
            is_miss: false,
            depth: 0,
            resubmits: 0,
            copies: 0,
            liveness: None,
            frames: Vec::new(),
            is_exiting: false,
            freeze: None,
            frozen: Vec::new(),
            failure: None,
            learned: Vec::new(),
            outputs: Vec::new(),
            to_controller: Vec::new(),
            resumes: Vec::new(),
            lists: vec![Vec::new()],
            recorder,
            names: input.names.as_ref(),
            switch,
            spent,
        }
        .with_action_set(resume.action_set)
    }

    fn with_action_set(mut self, set: Vec<Action>) -> Self {
        if self.resumed.is_some() {
            self.open(NodeKind::Thaw, "thaw");
            self.note(NodeKind::Thaw, format!("Resuming from table {}", self.start_table));
            if !set.is_empty() {
                let text = self.actions_text(&set);
                self.note(NodeKind::Thaw, format!("Restoring action set: {text}"));
                self.write_actions(&set);
            }
            if !self.start_steps.is_empty() {
                let texts: Vec<_> = self.start_steps.iter().map(|step| self.step_text(step)).collect();
                self.note(NodeKind::Thaw, format!("Restoring actions: {}", texts.join(",")));
            }
            self.recorder.close();
        }
        self
    }

    /// Makes the pass; gives what follows from it too.
    pub(super) fn run(mut self) -> (Pass, Vec<Resume>) {
        let may_receive = self.resumed.is_some()
            || self.switch.ports.get(&self.key.in_port).is_none_or(|port| !port.no_recv);
        self.table = self.start_table;
        let steps = if self.start_steps.is_empty() {
            let entry = self.lookup(self.table, self.key.in_port);
            self.enter_flow(self.table, entry)
        } else {
            Arc::clone(&self.start_steps)
        };
        if may_receive {
            self.push(steps, Scope::Pass, false);
            self.execute();
        }
        self.learned.into_iter().for_each(|flow| self.switch.add_flow(flow));
        let mut pass = Pass {
            resumed: self.resumed,
            initial: self.initial,
            last: self.key,
            outputs: self.outputs,
            to_controller: self.to_controller,
            actions: self.lists.into_iter().next().unwrap_or_default(),
            is_hypothetical: false,
            failure: None,
            trace: self.recorder.finish(),
        };
        if let Some(failure) = self.failure {
            pass.give_up(failure);
            self.resumes.iter_mut().for_each(|resume| resume.counts = false);
        }
        (pass, self.resumes)
    }

    fn execute(&mut self) {
        while let Some(frame) = self.frames.last_mut() {
            let steps = Arc::clone(&frame.steps);
            let step = if self.failure.is_none() { steps.get(frame.at) } else { None };
            let Some(step) = step else {
                self.leave();
                continue;
            };
            if !self.is_exiting && self.was_mpls && needs_headers(step) {
                self.freeze(Freeze::Resume(ResumeReason::Headers));
            }
            if self.is_exiting {
                self.put_off_rest();
                self.leave();
                continue;
            }
            if let Some(frame) = self.frames.last_mut() {
                frame.at += 1;
            }
            self.report(step);
            if self.failure.is_none() {
                self.step(step);
            }
        }
    }

    /// Whether the list that is being carried out is a bucket's.
    pub(super) fn in_bucket(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.is_bucket)
    }

    /// Ends the list that is being carried out, but nothing else.
    pub(super) fn end_list(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.at = frame.steps.len();
        }
    }

    /// Puts all further steps off.
    pub(super) fn freeze(&mut self, freeze: Freeze) {
        self.is_exiting = true;
        self.freeze = Some(freeze);
    }

    /// Puts all further steps off, and this one too.
    pub(super) fn freeze_and_repeat(&mut self, freeze: Freeze) {
        if let Some(frame) = self.frames.last_mut() {
            frame.at -= 1;
        }
        self.freeze(freeze);
    }

    /// Keeps the rest of the list for later, if there is a later.
    fn put_off_rest(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let rest: Vec<Step> = frame.steps.iter().skip(frame.at).filter_map(Step::put_off).collect();
        if self.freeze.is_none() || rest.is_empty() {
            return;
        }
        self.spend(rest.len());
        let restore = Step::Restore(self.table, self.cookie);
        let last = self.frozen.iter().rev().find(|step| matches!(step, Step::Restore(..)));
        let is_same = matches!(last, Some(Step::Restore(table, cookie)) if (*table, *cookie) == (self.table, self.cookie));
        if !is_same && rest.iter().any(Step::tells_where) {
            self.frozen.push(restore);
        }
        self.frozen.extend(rest);
    }

    fn push(&mut self, steps: Arc<[Step]>, scope: Scope, is_bucket: bool) {
        self.push_frame(Frame { steps, at: 0, is_bucket, scope, has_set: false });
    }

    /// Carries out what a list has from there on.
    fn push_rest(&mut self, steps: Arc<[Step]>, at: usize, scope: Scope) {
        self.push_frame(Frame { steps, at, is_bucket: false, scope, has_set: false });
    }

    fn push_frame(&mut self, frame: Frame) {
        if self.copies > MAX_COPIES {
            self.fail(Failure::TooDeep, format!("over {MAX_COPIES} nested copies of the packet"));
        }
        if frame.at == frame.steps.len() && self.failure.is_none() {
            self.note(NodeKind::Action, "drop");
        }
        self.frames.push(frame);
    }

    fn save(&mut self) -> Box<Saved> {
        self.copies += 1;
        Box::new(Saved {
            key: self.key.clone(),
            base: self.base.clone(),
            stack: self.stack.clone(),
            action_set: self.action_set.clone(),
            was_mpls: self.was_mpls,
            is_tracked: self.is_tracked,
        })
    }

    /// Puts back all that a copy of the packet may have changed.
    fn put_back(&mut self, saved: Saved, is_separate: bool) {
        self.copies -= 1;
        self.key = saved.key;
        self.stack = saved.stack;
        self.action_set = saved.action_set;
        if is_separate {
            self.base = saved.base;
            self.was_mpls = saved.was_mpls;
            self.is_tracked = saved.is_tracked;
        }
    }

    /// Ends the innermost list.
    fn leave(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        if let Scope::Buckets(buckets) = &mut frame.scope
            && self.failure.is_none()
            && let Some((number, steps)) = buckets.pop_front()
        {
            self.enter_bucket(number, steps);
            return;
        }
        let has_set = matches!(
            frame.scope,
            Scope::Pass | Scope::Copy(..) | Scope::Greater(..) | Scope::LessOrEqual(..)
        );
        if has_set
            && !std::mem::replace(&mut frame.has_set, true)
            && self.freeze.is_none()
            && self.failure.is_none()
        {
            self.enter_action_set();
            return;
        }
        let Some(Frame { steps, scope, .. }) = self.frames.pop() else { return };
        if has_set || matches!(scope, Scope::Bucket(..)) {
            self.finish_freezing();
        }
        match scope {
            Scope::Pass | Scope::Buckets(_) => {}
            Scope::Flow { table, cookie, is_miss, deepens } => {
                (self.table, self.cookie, self.is_miss) = (table, cookie, is_miss);
                self.depth -= u32::from(deepens);
                self.recorder.close();
            }
            Scope::ActionSet => {
                self.in_action_set = false;
                self.recorder.close();
            }
            Scope::Bucket(key, was_mpls) => {
                (self.key, self.was_mpls) = (*key, was_mpls);
                self.depth -= 1;
                self.is_exiting = false;
                self.failure = self.failure.filter(|failure| !failure.ends_with_bucket());
                self.recorder.close();
            }
            Scope::Copy(saved, is_separate) => {
                if is_separate {
                    let list = self.lists.pop().unwrap_or_default();
                    if !list.is_empty() {
                        self.emit(DatapathAction::Clone(list));
                    }
                }
                self.put_back(*saved, is_separate);
            }
            Scope::Ct(ct) if self.failure.is_none() => self.track(&ct),
            Scope::Ct(_) => {}
            Scope::Greater(saved, length) => self.between_lengths(steps, saved, length),
            Scope::LessOrEqual(saved, length, greater) => {
                let less_or_equal = self.lists.pop().unwrap_or_default();
                self.drop_unless(!self.is_longer(length.len), length);
                self.put_back(*saved, true);
                self.emit(DatapathAction::CheckLength { len: length.len, greater, less_or_equal });
            }
        }
    }

    /// Adds an action of the datapath.
    pub(super) fn emit(&mut self, action: DatapathAction) {
        if let Some(list) = self.lists.last_mut() {
            list.push(action);
        }
    }

    /// Tells the datapath what has changed.
    pub(super) fn commit(&mut self) {
        let mut list = Vec::new();
        datapath::commit(&self.key, &mut self.base, std::mem::take(&mut self.pending), &mut list);
        list.into_iter().for_each(|action| self.emit(action));
    }

    fn enter_action_set(&mut self) {
        let actions = action_set::ordered(&std::mem::take(&mut self.action_set));
        if !actions.is_empty() {
            self.open(NodeKind::ActionSet, "--. Executing action set:");
            self.in_action_set = true;
            self.push(of_actions(&actions), Scope::ActionSet, false);
        }
    }

    /// Ends what was put off: the packet, or a copy, will go on from here.
    fn finish_freezing(&mut self) {
        let Some(freeze) = self.freeze.take() else { return };
        self.commit();
        let steps = std::mem::take(&mut self.frozen);
        match freeze {
            Freeze::Resume(reason) => {
                if reason == ResumeReason::Hash {
                    self.emit(DatapathAction::Hash("sym_l4", 0));
                }
                let mut resume = self.resume(reason, TableId(0), steps.into());
                if reason == ResumeReason::Hash {
                    resume.key.dp_hash = super::resume::dp_hash(&self.base);
                }
                self.resumes.push(resume);
            }
            Freeze::Pause(controller) => self.tell_controller(&controller, true),
        }
    }

    /// What goes on later from here; the datapath is told to send the packet round.
    pub(super) fn resume(&mut self, reason: ResumeReason, table: TableId, steps: Arc<[Step]>) -> Resume {
        if self.resumes.len() >= MAX_PASSES && self.failure.is_none() {
            self.fail(Failure::TooManyRecirculations, format!("over {MAX_PASSES} recirculations"));
        }
        let recirc_id = self.switch.new_recirc_id();
        self.emit(DatapathAction::Recirculate(recirc_id));
        Resume {
            key: self.key.clone(),
            resumed: Some(super::outcome::Resumed { recirc_id, reason, notes: Vec::new() }),
            table,
            steps,
            stack: self.stack.clone(),
            action_set: self.action_set.clone(),
            is_tracked: self.is_tracked,
            was_mpls: self.was_mpls,
            covered: self.covered.clone(),
            nat: None,
            counts: true,
        }
    }

    /// The flow for the packet in a table, as if it had come by that port.
    fn lookup(&self, table: TableId, in_port: PortNo) -> Option<Arc<Entry>> {
        let table = self.switch.tables.get(&table)?;
        let is_fragment = self.key.nw_frag & Key::FRAG_ANY != 0;
        if in_port == self.key.in_port && !is_fragment {
            return table.lookup(&self.key);
        }
        let mut key = Key { in_port, ..self.key.clone() };
        if is_fragment {
            // The ports of fragments are not looked at. Source: OpenFlow 1.3.5 §7.3.2 (OFPC_FRAG_NORMAL).
            (key.tp_src, key.tp_dst) = (0, 0);
        }
        table.lookup(&key)
    }

    /// Goes to the flow that was found; gives its steps.
    fn enter_flow(&mut self, table: TableId, entry: Option<Arc<Entry>>) -> Arc<[Step]> {
        self.table = table;
        let Some(entry) = entry else {
            let kind = NodeKind::Table { table, priority: None, cookie: None };
            self.open(kind, format!("{:2}. No match.", table.0));
            (self.cookie, self.is_miss) = (None, false);
            return Arc::new([]);
        };
        let flow = &entry.flow;
        let kind = NodeKind::Table { table, priority: Some(flow.priority), cookie: Some(flow.cookie) };
        let mut text = format!("{:2}. ", table.0);
        print_match(&mut text, USUAL_PRIORITY, &flow.flow_match, self.style());
        if !flow.flow_match.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&format!("priority {}", flow.priority));
        if flow.cookie != Cookie(0) {
            text.push_str(&format!(", cookie {}", flow.cookie));
        }
        self.open(kind, text);
        self.cookie = Some(flow.cookie);
        self.is_miss = entry.is_table_miss();
        Arc::clone(&entry.steps)
    }

    /// Whether there may be another look-up.
    fn may_go_on(&mut self) -> bool {
        if self.depth >= MAX_DEPTH {
            self.fail(Failure::TooDeep, format!("over max translation depth {MAX_DEPTH}"));
        } else if self.resubmits >= MAX_RESUBMITS {
            self.fail(Failure::TooManyResubmits, format!("over {MAX_RESUBMITS} resubmit actions"));
        } else if self.stack.len() >= MAX_STACK {
            self.fail(Failure::StackTooDeep, "resubmits yielded over 64 kB of stack".to_owned());
        }
        self.failure.is_none()
    }

    /// Looks the packet up in a table and lets the flow act.
    pub(super) fn enter_table(&mut self, table: TableId, in_port: PortNo, with_ct_orig: bool) {
        if self.was_mpls {
            self.freeze(Freeze::Resume(ResumeReason::Headers));
            return;
        }
        if !self.may_go_on() {
            return;
        }
        if with_ct_orig && !self.swap_with_original() {
            self.note(NodeKind::Error, "resubmit(ct) with non-tracked or non-IP packet!");
            return;
        }
        let entry = self.lookup(table, in_port);
        if with_ct_orig {
            self.swap_with_original();
        }
        let deepens = table <= self.table;
        let scope = Scope::Flow { table: self.table, cookie: self.cookie, is_miss: self.is_miss, deepens };
        let steps = self.enter_flow(table, entry);
        self.resubmits += 1;
        self.depth += u32::from(deepens);
        self.push(steps, scope, false);
    }

    /// Lets a bucket act on a copy of the packet.
    pub(super) fn enter_bucket(&mut self, number: usize, steps: Arc<[Step]>) {
        self.open(NodeKind::Bucket, format!("bucket {number}"));
        self.depth += 1;
        self.push(steps, Scope::Bucket(Box::new(self.key.clone()), self.was_mpls), true);
    }

    /// Lets buckets act, one after the other.
    pub(super) fn enter_buckets(&mut self, buckets: VecDeque<(usize, Arc<[Step]>)>) {
        let scope = Scope::Buckets(buckets);
        self.frames.push(Frame { steps: Arc::new([]), at: 0, is_bucket: false, scope, has_set: false });
    }

    /// Whether another group may be entered.
    pub(super) fn may_enter_group(&mut self) -> bool {
        self.may_go_on()
    }

    /// Lets steps act on a copy of the packet.
    pub(super) fn enter_copy(&mut self, steps: Arc<[Step]>, is_separate: bool) {
        if is_separate {
            self.commit();
            self.lists.push(Vec::new());
        }
        let saved = self.save();
        self.push(steps, Scope::Copy(saved, is_separate), false);
    }

    /// Lets the connection tracker's own actions act, then the tracker.
    pub(super) fn enter_ct(&mut self, ct: &Ct, steps: Arc<[Step]>) {
        self.commit();
        self.nat = None;
        self.push(steps, Scope::Ct(Box::new(ct.clone())), false);
    }

    /// Carries out what follows twice: as if the packet were longer, and as if it were not.
    pub(super) fn check_length(&mut self, dst: SubField, len: u16) {
        let Some(frame) = self.frames.last_mut() else { return };
        let (steps, start) = (Arc::clone(&frame.steps), frame.at);
        frame.at = frame.steps.len();
        self.commit();
        let length = Length {
            dst,
            len,
            start,
            n_outputs: self.outputs.len(),
            n_to_controller: self.to_controller.len(),
            n_resumes: self.resumes.len(),
        };
        let saved = self.save();
        self.lists.push(Vec::new());
        super::field::write(&mut self.key, dst, 1_u8.into());
        self.push_rest(steps, start, Scope::Greater(saved, length));
    }

    fn between_lengths(&mut self, steps: Arc<[Step]>, saved: Box<Saved>, length: Length) {
        let greater = self.lists.pop().unwrap_or_default();
        self.drop_unless(self.is_longer(length.len), length);
        // Stack and action set stay as the first branch left them, as in Open vSwitch.
        (self.key, self.base) = (saved.key.clone(), saved.base.clone());
        (self.was_mpls, self.is_tracked) = (saved.was_mpls, saved.is_tracked);
        self.is_exiting = false;
        let length = Length {
            n_outputs: self.outputs.len(),
            n_to_controller: self.to_controller.len(),
            n_resumes: self.resumes.len(),
            ..length
        };
        self.lists.push(Vec::new());
        super::field::write(&mut self.key, length.dst, 0_u8.into());
        self.push_rest(steps, length.start, Scope::LessOrEqual(saved, length, greater));
    }

    /// What comes out of the branch that the packet's length does not take does not come out.
    fn drop_unless(&mut self, is_taken: bool, length: Length) {
        if !is_taken {
            self.outputs.truncate(length.n_outputs);
            self.to_controller.truncate(length.n_to_controller);
            self.resumes.iter_mut().skip(length.n_resumes).for_each(|resume| resume.counts = false);
        }
    }

    fn is_longer(&self, len: u16) -> bool {
        self.packet_len > len.into()
    }

    /// The queue that the packet had when it came.
    pub(super) fn first_queue(&self) -> u32 {
        self.orig_queue
    }
}

/// The priority that matches are printed without. Source: ovs-ofctl(8).
const USUAL_PRIORITY: Priority = Priority(0x8000);

/// OFPP_UNSET: the action set does not output. Source: OpenFlow 1.5.1 §7.2.5.1.
const UNSET: PortNo = PortNo(0xffff_fff7);

impl Translation<'_> {
    /// Adds to the action set, and notes where it outputs to.
    pub(super) fn write_actions(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                _ if self.set_has_group => break,
                Action::Output { port, .. } => self.key.actset_output = *port,
                Action::Group(_) => {
                    self.key.actset_output = UNSET;
                    self.set_has_group = true;
                }
                _ => {}
            }
        }
        self.action_set.extend_from_slice(actions);
        if self.action_set.len() > MAX_ACTION_SET {
            self.fail(Failure::TooManySteps, format!("over {MAX_ACTION_SET} actions in the action set"));
        }
    }

    /// Empties the action set.
    pub(super) fn clear_actions(&mut self) {
        self.action_set.clear();
        self.key.actset_output = UNSET;
        self.set_has_group = false;
    }
}

/// Whether a step needs headers that labels have just been taken off from.
///
/// Source: `recirc_for_mpls` in `ofproto/ofproto-dpif-xlate.c` of Open vSwitch 3.1.
fn needs_headers(step: &Step) -> bool {
    use crate::openflow::action::Legacy;
    let Step::Action(action, _) = step else { return true };
    match &**action {
        Action::Output { .. }
        | Action::OutputTrunc { .. }
        | Action::OutputReg { .. }
        | Action::Group(_)
        | Action::SetQueue(_) => false,
        Action::Legacy(legacy) => !matches!(
            legacy,
            Legacy::SetVlanVid(_)
                | Legacy::SetVlanPcp(_)
                | Legacy::SetDlSrc(_)
                | Legacy::SetDlDst(_)
                | Legacy::SetTunnel(_)
                | Legacy::SetTunnel64(_)
        ),
        Action::SetField { field, .. } => super::field::is_network_or_above(*field),
        Action::RegLoad2(entry) => super::field::is_network_or_above(entry.field),
        Action::RegLoad { dst, .. } => super::field::is_network_or_above(dst.field),
        Action::SetWideField(_) | Action::WideRegLoad2(_) => false,
        _ => true,
    }
}
