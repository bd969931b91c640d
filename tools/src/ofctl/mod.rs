//! `ofctl`: queries, changes and watches switches over OpenFlow 1.3, in the words and with the output of ovs-ofctl(8).
//!
//! ```text
//!  arguments ─▶ run ─▶ dump, sort, json      one question, the answer printed part by part as it comes
//!                      change ─▶ deliver     text ─▶ batch of messages ─▶ sent without waiting, or as a bundle
//!                      table                 replace-flows, diff-flows
//!                      monitor, echo, offline
//!                      trace                 flows, groups, ports ─▶ the software switch
//!               all over link                bytes ⇄ messages
//! ```
//!
//! A command is one thread that sends and receives in one loop; text of files is read, and printed, on all processors.
//! Nothing is sent before all of a file has been read without an error.

mod arguments;
mod ask;
mod batch;
mod change;
mod command;
mod deliver;
mod dump;
mod echo;
mod entries;
mod file;
mod globals;
mod json;
mod link;
mod manual;
mod monitor;
mod offline;
mod ours;
mod out;
mod parallel;
mod settings;
mod sort;
mod switch;
mod table;
mod trace;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{CommandFactory, FromArgMatches};

use arguments::Arguments;
use deliver::Refused;
use out::NobodyReads;

/// Reads the arguments and does what they say. A failure is printed to standard error.
#[must_use]
pub fn run() -> ExitCode {
    let parsed = Arguments::command().try_get_matches_from(spelled_out(std::env::args_os()));
    let parsed = parsed.and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, matches)));
    let (mut arguments, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            error.print().ok();
            // Not 2: that is for differences.
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let (name, of_command) = matches.subcommand().expect("a command is required");
    arguments.globals.order_criteria(of_command);
    match start(&arguments, name) {
        Ok(code) => code,
        // Whoever closes our output has read enough, and what a switch refuses is printed when it comes.
        Err(error) if error.is::<NobodyReads>() => ExitCode::SUCCESS,
        Err(error) if error.is::<Refused>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ofctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Spells out `-vSPEC`, which is not a row of short options but one with its value.
fn spelled_out(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut is_over = false;
    arguments.map(move |argument| {
        is_over |= argument == "--";
        match argument.to_str().and_then(|text| text.strip_prefix("-v")) {
            Some(spec) if !is_over && !spec.is_empty() => format!("--verbose={spec}").into(),
            _ => argument,
        }
    })
}

fn start(arguments: &Arguments, name: &str) -> Result<ExitCode> {
    if arguments.globals.read_only && arguments.command.is_change() {
        bail!("'{name}' command does not work in read only mode");
    }
    if let Some(timeout) = arguments.globals.timeout() {
        give_up_after(timeout);
    }
    command::run(&arguments.globals, &arguments.command)
}

/// Ends the program when the time has passed, wherever it is then.
fn give_up_after(timeout: Duration) {
    std::thread::spawn(move || {
        let end = Instant::now() + timeout;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        eprintln!("ofctl: not done within {} s (--timeout)", timeout.as_secs());
        // As a shell sees a program that SIGALRM has ended, which is what ovs-ofctl(8) does then.
        std::process::exit(TIMED_OUT);
    });
}

const TIMED_OUT: i32 = 142;
