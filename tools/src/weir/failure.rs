//! What may go wrong, what the user is told about it, and the process's exit code.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use tonic::{Code, Status};

use crate::connect::Unreachable;

/// The controller refused, or this machine did.
const EXIT_REFUSED: u8 = 1;
/// The command line cannot be carried out as it is.
pub(super) const EXIT_USAGE: u8 = 2;
/// No controller answers.
const EXIT_UNREACHABLE: u8 = 3;
/// `--timeout` passed.
const EXIT_LATE: u8 = 4;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The caller: a missing or malformed argument.
    Usage(String),
    /// The controller said no.
    Refused(Box<Status>),
    /// No connection, or it broke.
    Unreachable(String),
    /// No answer, or no effect, within `--timeout`; with what is known of the reason.
    Late(String),
    /// This machine: a pipe, a runtime.
    System(io::Error),
}

impl Failure {
    /// Tells the user on standard error and returns the process's exit code.
    pub(super) fn report(&self) -> ExitCode {
        // A reader that has had enough (`weir … | head`) is no error.
        if matches!(self, Failure::System(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        let advice = self.advice().map(|advice| format!("  {advice}\n")).unwrap_or_default();
        // A terminal that is gone cannot be told, which is no reason to end in another way.
        write!(io::stderr(), "error: {self}\n{advice}").ok();
        ExitCode::from(match self {
            Failure::Usage(_) => EXIT_USAGE,
            Failure::Refused(_) | Failure::System(_) => EXIT_REFUSED,
            Failure::Unreachable(_) => EXIT_UNREACHABLE,
            Failure::Late(_) => EXIT_LATE,
        })
    }

    /// What to do next.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Failure::Usage(_) => Some("For more information, try '--help'."),
            Failure::Unreachable(_) => {
                Some("Is weir-controller running there? --server or WEIR_SERVER give another address.")
            }
            Failure::Late(_) => Some("'weir status' says what is not as intended; --timeout waits longer."),
            Failure::System(_) => None,
            Failure::Refused(status) => match status.code() {
                Code::NotFound => {
                    Some("'list' of pool, network, node, container, service or volume shows what there is.")
                }
                Code::AlreadyExists => Some("Choose another, or delete what is there first."),
                Code::Unauthenticated => Some(
                    "'weir token create' makes tokens; --token-file, WEIR_TOKEN or the config file give them.",
                ),
                Code::Unavailable => Some("'weir status' says which nodes are connected."),
                Code::Unimplemented => Some("The controller is of another version; see 'weir status'."),
                Code::Internal | Code::Unknown | Code::DataLoss => Some("The controller's log says more."),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(message) | Failure::Unreachable(message) | Failure::Late(message) => {
                f.write_str(message)
            }
            Failure::Refused(status) if status.message().is_empty() => write!(f, "{}", status.code()),
            Failure::Refused(status) => f.write_str(status.message()),
            Failure::System(error) => write!(f, "{error}"),
        }
    }
}

impl Error for Failure {}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        match status.code() {
            // We cancel nothing ourselves: a cancelled call is tonic's word for a deadline that passed.
            Code::DeadlineExceeded | Code::Cancelled => {
                Failure::Late("the controller did not answer in time".to_owned())
            }
            // Only errors of our own transport have a source; what the controller sends has none.
            Code::Unavailable | Code::Unknown if status.source().is_some() => {
                let mut cause: &dyn Error = &status;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                Failure::Unreachable(format!("the connection to the controller broke: {cause}"))
            }
            _ => Failure::Refused(Box::new(status)),
        }
    }
}

impl From<Unreachable> for Failure {
    fn from(error: Unreachable) -> Failure {
        Failure::Unreachable(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::System(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_controllers_words() {
        let failure = Failure::from(Status::already_exists("vlan 100 is taken by network pool2/other"));
        assert_eq!(failure.to_string(), "vlan 100 is taken by network pool2/other");
        assert!(failure.advice().is_some());
    }

    #[test]
    fn a_controller_without_nodes_is_not_an_unreachable_one() {
        let failure = Failure::from(Status::unavailable("no node of pool2 is connected"));
        assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
    }

    #[test]
    fn a_passed_deadline_is_late_whoever_noticed_it() {
        for status in [Status::deadline_exceeded(""), Status::cancelled("Timeout expired")] {
            assert!(matches!(Failure::from(status), Failure::Late(_)));
        }
    }
}
