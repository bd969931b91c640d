//! What has to be done next to a container, from what should be and what Docker has. Pure.
//!
//! ```text
//!                  ┌────────── not there ──────────▶ Create
//!                  ├─ created ─────────────────────▶ Start
//!   should run ────┼─ runs ────────────────────────▶ Attach
//!                  ├─ about to be restarted ───────▶ Await
//!                  └─ ended ─ asked again, or its policy says so and Docker does not ─▶ Start, else Rest
//!   should not run ┬─ not there ───────────────────▶ Create
//!                  ├─ runs ────────────────────────▶ Stop
//!                  └─ does not ────────────────────▶ Rest
//! ```

use super::container::{Found, State};
use crate::runtime::{Program, Restart};

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make it.
    Create,
    /// Start its process.
    Start,
    /// See that its interface and port are right: its process runs.
    Attach,
    /// End its process.
    Stop,
    /// Take its port away, if it has one: its process has ended, and that is how it is.
    Rest,
    /// Remove what Docker has half removed.
    Remove,
    /// Wait for Docker, which is about to start it again.
    Await,
}

/// Decides.
#[must_use]
pub fn decide(program: &Program, found: Option<&Found>) -> Step {
    let Some(found) = found else { return Step::Create };
    match (found.state, program.stopped) {
        (State::Removing, _) => Step::Remove,
        (State::Running | State::Restarting, true) => Step::Stop,
        (State::Created | State::Exited, true) => Step::Rest,
        (State::Created, false) => Step::Start,
        (State::Running, false) => Step::Attach,
        (State::Restarting, false) => Step::Await,
        (State::Exited, false) if found.starts < program.starts || wants_restart(program, found) => {
            Step::Start
        }
        (State::Exited, false) => Step::Rest,
    }
}

/// Whether the policy asks for a start that Docker has left undone: it gives up when it starts itself and its network
/// driver is not there yet, and after a stop by hand.
fn wants_restart(program: &Program, found: &Found) -> bool {
    match program.restart {
        Restart::No => false,
        Restart::Always => true,
        Restart::OnFailure(retries) => {
            found.process.exit_code != 0 && (retries == 0 || found.process.restarts < retries)
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_api::v1::ProcessStatus;

    use super::*;

    fn found(state: State, exit_code: i32, restarts: u32, starts: u32) -> Found {
        let process = ProcessStatus { exit_code, restarts, ..ProcessStatus::default() };
        Found { id: "x".into(), state, pid: None, process, starts, complaint: String::new() }
    }

    fn program(restart: Restart, stopped: bool, starts: u32) -> Program {
        Program { restart, stopped, starts, ..Program::default() }
    }

    #[test]
    fn what_ended_rests_unless_its_policy_or_a_request_says_otherwise() {
        let cases = [
            (Restart::No, 1, 0, 0, Step::Rest),
            (Restart::No, 1, 0, 1, Step::Start),
            (Restart::Always, 0, 9, 0, Step::Start),
            (Restart::OnFailure(0), 0, 0, 0, Step::Rest),
            (Restart::OnFailure(0), 1, 50, 0, Step::Start),
            (Restart::OnFailure(3), 1, 2, 0, Step::Start),
            (Restart::OnFailure(3), 1, 3, 0, Step::Rest),
        ];
        for (restart, exit_code, restarts, starts, step) in cases {
            let is =
                decide(&program(restart, false, starts), Some(&found(State::Exited, exit_code, restarts, 0)));
            assert_eq!(is, step, "{restart:?} after {exit_code}, {restarts} restarts, {starts} starts");
        }
    }

    #[test]
    fn what_is_stopped_never_starts() {
        for state in [State::Created, State::Running, State::Restarting, State::Exited] {
            let step = decide(&program(Restart::Always, true, 3), Some(&found(state, 1, 0, 0)));
            let runs = matches!(state, State::Running | State::Restarting);
            assert_eq!(step, if runs { Step::Stop } else { Step::Rest }, "{state:?}");
        }
    }

    #[test]
    fn follows_a_container_from_nothing_to_running() {
        let program = program(Restart::No, false, 0);
        assert_eq!(decide(&program, None), Step::Create);
        assert_eq!(decide(&program, Some(&found(State::Created, 127, 0, 0))), Step::Start);
        assert_eq!(decide(&program, Some(&found(State::Running, 0, 0, 0))), Step::Attach);
        assert_eq!(decide(&program, Some(&found(State::Restarting, 1, 0, 0))), Step::Await);
        assert_eq!(decide(&program, Some(&found(State::Removing, 1, 0, 0))), Step::Remove);
    }
}
