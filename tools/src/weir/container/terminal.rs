//! The terminal at standard input: its size, and raw mode for as long as a command elsewhere has it.
//!
//! Raw mode hands every key to the command, Ctrl-C too. However the command ends, the terminal is left as it was found:
//! `Raw` restores it when dropped, and the signals that would end us at once are taken and end the command first.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use weir_api::v1::TerminalSize;

/// A terminal that hands over every key as it is.
pub(in super::super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Changes the terminal at standard input.
    pub(in super::super) fn enter() -> io::Result<Raw> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // At once: waiting until output is drained would never end on a terminal that nobody reads any more.
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, &self.before) {
            // A terminal that is gone cannot be told so either, which is no more to worry about.
            writeln!(io::stderr(), "the terminal could not be restored ({error}); 'reset' does it").ok();
        }
    }
}

/// Whether standard input is a terminal.
pub(in super::super) fn is_there() -> bool {
    isatty(io::stdin().as_fd())
}

/// The size of the terminal at standard input.
pub(in super::super) fn size() -> io::Result<TerminalSize> {
    let size = tcgetwinsize(io::stdin())?;
    Ok(TerminalSize { rows: size.ws_row.into(), columns: size.ws_col.into() })
}

/// How many rows the terminal at standard output has.
pub(super) fn rows() -> Option<usize> {
    tcgetwinsize(io::stdout()).ok().map(|size| size.ws_row.into()).filter(|rows| *rows > 0)
}

/// Tells of new sizes.
pub(in super::super) fn resizes() -> io::Result<Signal> {
    signal(SignalKind::window_change())
}

/// The signals that end a program and leave it no time.
pub(in super::super) struct Ends {
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
}

impl Ends {
    /// Takes the signals from now on, and for the rest of the process's life.
    pub(in super::super) fn take() -> io::Result<Ends> {
        Ok(Ends {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them and returns its number. Cancel safe: a signal that came is still there at the next call.
    pub(in super::super) async fn next(&mut self) -> u8 {
        let (kind, _) = tokio::select! {
            came = self.hangup.recv() => (SignalKind::hangup(), came),
            came = self.interrupt.recv() => (SignalKind::interrupt(), came),
            came = self.quit.recv() => (SignalKind::quit(), came),
            came = self.terminate.recv() => (SignalKind::terminate(), came),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or(0)
    }
}
