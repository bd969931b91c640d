//! A command with a terminal: the program runs in a pseudo terminal, and the test holds its other end.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::{Served, text};

/// The test's end of a terminal.
struct Terminal {
    master: File,
    slave: File,
    shown: Vec<u8>,
    parts: Receiver<Vec<u8>>,
}

impl Terminal {
    fn open() -> Terminal {
        // A program that has inherited this end would keep the terminal open itself.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo terminal");
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave: File =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap().into();
        let master = File::from(master);
        let (sender, parts) = channel();
        let mut reader = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Ends when nobody has the other end open any more.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { master, slave, shown: Vec::new(), parts }
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).unwrap();
    }

    /// Starts a line of `weir` as the leader of a session whose terminal this is.
    fn start(&self, served: &Served, line: &str) -> Child {
        let weir = served.weir(line);
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(weir.get_program()).args(weir.get_args());
        command.envs(weir.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let end = || self.slave.try_clone().unwrap();
        command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid of util-linux starts")
    }

    /// Waits until `wanted` has been shown, at most ten seconds.
    fn wait_for(&mut self, wanted: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        while !String::from_utf8_lossy(&self.shown).contains(wanted) {
            let left = end.saturating_duration_since(Instant::now());
            match self.parts.recv_timeout(left) {
                Ok(part) => self.shown.extend(part),
                Err(_) => panic!("not shown: {wanted}; shown: {}", String::from_utf8_lossy(&self.shown)),
            }
        }
    }

    /// Closes the terminal, as whoever closes its window.
    fn close(mut self) {
        // What is shown next wakes the reader, who then lets go of its end.
        drop(self.parts);
        self.master.write_all(b"n").unwrap();
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }
}

#[test]
fn a_command_is_given_the_size_of_the_terminal_and_every_key() {
    let served = Served::start();
    let mut terminal = Terminal::open();
    terminal.resize(40, 120);
    let mut child = terminal.start(&served, "container exec -it web -- screen");
    terminal.wait_for("[40x120]");
    terminal.resize(50, 90);
    terminal.wait_for("[50x90]");
    // In raw mode Ctrl-C is a key and not a signal.
    terminal.master.write_all(&[3]).unwrap();
    terminal.wait_for("[3]");
    assert!(terminal.is_raw());
    terminal.master.write_all(b"q").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(!terminal.is_raw(), "the terminal is as it was");
}

#[test]
fn the_terminal_is_restored_when_a_signal_ends_the_program() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let served = Served::start();
        let mut terminal = Terminal::open();
        let mut child = terminal.start(&served, "container exec -t web -- screen");
        // Once a key comes as it is, the terminal is raw.
        terminal.wait_for("x");
        terminal.master.write_all(&[4]).unwrap();
        terminal.wait_for("[4]");
        assert!(terminal.is_raw());
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(!terminal.is_raw(), "{signal:?}");
    }
}

#[test]
fn the_terminal_is_restored_when_the_command_is_lost_or_not_there() {
    let served = Served::start();
    let mut terminal = Terminal::open();
    for (command, code, said) in [("vanish", 3, "without an exit code"), ("nonsense", 1, "no such program")] {
        let mut child = terminal.start(&served, &format!("container exec -it web -- {command}"));
        terminal.wait_for(said);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(!terminal.is_raw(), "{command}");
    }
}

#[test]
fn top_shows_what_is_used_and_leaves_the_terminal_as_it_was() {
    let served = Served::start();
    for end in [None, Some((Signal::TERM, 143))] {
        let mut terminal = Terminal::open();
        terminal.resize(30, 160);
        let mut child = terminal.start(&served, "--pool whole top --interval 500ms");
        terminal.wait_for("web");
        terminal.wait_for("50.0");
        assert!(terminal.is_raw());
        terminal.master.write_all(b"m").unwrap();
        // Only what differs is written.
        terminal.wait_for("memory: c cpu");
        match end {
            None => terminal.master.write_all(b"q").unwrap(),
            Some((signal, _)) => kill_process(Pid::from_child(&child), signal).unwrap(),
        }
        assert_eq!(child.wait().unwrap().code(), Some(end.map_or(0, |(_, code)| code)));
        // The screen that was there before is there again.
        terminal.wait_for("\x1b[?1049l");
        assert!(!terminal.is_raw());
    }
    let output = served.run("top");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("needs a terminal"), "{output:?}");
    let mut terminal = Terminal::open();
    let mut child = terminal.start(&served, "-o json --pool whole top");
    terminal.wait_for("'top' is for people");
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn top_ends_with_its_terminal_and_does_not_abort() {
    let served = Served::start();
    let mut terminal = Terminal::open();
    terminal.resize(24, 80);
    let mut child = terminal.start(&served, "--pool whole top");
    terminal.wait_for("50.0");
    assert!(!String::from_utf8_lossy(&terminal.shown).contains("DISK"), "that does not fit in 80 columns");
    terminal.close();
    assert_eq!(child.wait().unwrap().code(), Some(129));
}

#[test]
fn top_goes_on_when_the_controller_is_back() {
    let served = Served::start();
    let mut terminal = Terminal::open();
    terminal.resize(24, 80);
    let mut child = terminal.start(&served, "--pool whole top --interval 500ms");
    terminal.wait_for("50.0");
    let dir = served.stop();
    // What is wrong is of another colour than what the keys do, so all of the line is written, both times.
    terminal.wait_for("controller");
    terminal.shown.clear();
    let _served = Served::at(dir);
    terminal.wait_for("by cpu: c cpu");
    terminal.master.write_all(b"q").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!terminal.is_raw());
}

#[test]
fn a_terminal_that_is_not_there_is_a_usage_error() {
    let output = Served::start().run("container exec -it web -- screen");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("standard input is none"), "{output:?}");
}
