//! What a pass tells of itself, and what that costs it.

use super::limits::LINE_LEN;
use super::outcome::Failure;
use super::step::Step;
use super::trace::NodeKind;
use super::translate::Translation;
use crate::openflow::{Action, Instruction};
use crate::text::{Style, print_instructions};

impl Translation<'_> {
    /// Says in the trace what step comes next.
    pub(super) fn report(&mut self, step: &Step) {
        if !matches!(step, Step::Restore(..)) {
            self.note(NodeKind::Action, self.step_text(step));
        }
    }

    /// Adds something to the trace.
    pub(super) fn note(&mut self, kind: NodeKind, text: impl Into<String>) {
        let text = text.into();
        self.spend(1 + (text.len() + self.recorder.indent()) / LINE_LEN);
        self.recorder.add(kind, text);
    }

    /// Adds something to the trace that has more within it.
    pub(super) fn open(&mut self, kind: NodeKind, text: impl Into<String>) {
        self.note(kind, text);
        self.recorder.open();
    }

    /// Counts what is done, and gives up if it is too much.
    pub(super) fn spend(&mut self, cost: usize) {
        if self.spent.exceeds(cost) && self.failure.is_none() {
            self.fail(Failure::TooManySteps, "too many steps".to_owned());
        }
    }

    /// Gives the pass up.
    pub(super) fn fail(&mut self, failure: Failure, why: String) {
        self.failure = Some(failure);
        self.note(NodeKind::Error, why);
    }

    pub(super) fn style(&self) -> Style<'_> {
        Style { names: self.names, ..Style::default() }
    }

    /// Actions with commas between them; none is `drop`.
    pub(super) fn actions_text(&self, actions: &[Action]) -> String {
        self.instruction_text(Instruction::ApplyActions(actions.to_vec()))
    }

    /// An instruction as text.
    pub(super) fn instruction_text(&self, instruction: Instruction) -> String {
        let mut out = String::new();
        print_instructions(&mut out, &[instruction], self.style());
        out
    }

    pub(super) fn step_text(&self, step: &Step) -> String {
        match step {
            Step::Action(action, _) => self.actions_text(std::slice::from_ref(action)),
            Step::Instruction(instruction) => self.instruction_text(instruction.clone()),
            Step::Restore(table, cookie) => {
                let cookie = cookie.map_or(u64::MAX, |cookie| cookie.0);
                format!("unroll_xlate(table={table}, cookie={cookie})")
            }
        }
    }
}
