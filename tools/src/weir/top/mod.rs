//! `weir top`: nodes and containers with what they use, live on the whole terminal.
//!
//! However it ends, the terminal is left as it was: `Screen` gives it back when dropped, a panic before it is told, and the
//! signals that would end us at once are taken. A terminal that is gone is no reason to end in another way.

mod columns;
mod draw;
mod picture;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use weir_api::v1::{ListNodesRequest, Node, StatContainersRequest};

use super::arguments::Format;
use super::container;
use super::container::terminal::Ends;
use super::failure::Failure;
use super::session::Session;
use super::usage::{self, Round};
use picture::{Picture, Sort};

#[derive(Debug, Args)]
pub(super) struct Top {
    /// How long to wait between two looks
    #[arg(long, value_name = "DURATION", value_parser = usage::interval, default_value = "2s")]
    interval: Duration,
}

/// What is seen in one look.
type Look = Result<(Vec<Node>, Round), Failure>;

/// The whole terminal. What it is made of would panic when it is dropped and the terminal is gone.
struct Screen(ManuallyDrop<DefaultTerminal>);

impl Screen {
    fn enter() -> io::Result<Screen> {
        let terminal = ratatui::try_init().inspect_err(|_| {
            ratatui::try_restore().ok();
        })?;
        Ok(Screen(ManuallyDrop::new(terminal)))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.0.show_cursor().ok();
        ratatui::try_restore().ok();
    }
}

pub(super) async fn run(session: &Session, arguments: Top) -> Result<ExitCode, Failure> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        let message = "'top' needs a terminal; 'weir container stats --no-stream' does not".to_owned();
        return Err(Failure::Usage(message));
    }
    if session.format() == Format::Json {
        let message = "'top' is for people; 'weir -o json container stats' is for programs".to_owned();
        return Err(Failure::Usage(message));
    }
    // What goes wrong at once is told as any command tells it.
    let mut picture = Picture::new(look(session, Duration::ZERO).await?);
    let mut ends = Ends::take()?;
    let mut screen = Screen::enter()?;
    let mut keys = keys();
    let again =
        || -> Pin<Box<dyn Future<Output = Look> + '_>> { Box::pin(look(session, arguments.interval)) };
    let mut looking = again();
    loop {
        if let Err(error) = screen.0.draw(|frame| draw::draw(frame, &picture)) {
            return if io::stdout().is_terminal() { Err(error.into()) } else { Ok(ExitCode::from(HUNG_UP)) };
        }
        // Each is cancel safe: the look goes on, and what was pressed or signalled is kept.
        tokio::select! {
            seen = &mut looking => {
                match seen {
                    Ok(seen) => picture.see(seen),
                    Err(failure) => picture.miss(failure.to_string()),
                }
                looking = again();
            }
            key = keys.recv() => match key {
                Some(Some(key)) if !press(&mut picture, key) => return Ok(ExitCode::SUCCESS),
                // It was only resized, or the key is for nothing.
                Some(_) => {}
                None => return Ok(ExitCode::from(HUNG_UP)),
            },
            signal = ends.next() => return Ok(ExitCode::from(128 + signal)),
        }
    }
}

/// Asks after a while for nodes and usage.
async fn look(session: &Session, after: Duration) -> Look {
    tokio::time::sleep(after).await;
    session.in_time(look_now(session)).await
}

async fn look_now(session: &Session) -> Look {
    let (pool, channel) = (session.pool_or_all(), session.channel().await?);
    let nodes = session.request(ListNodesRequest { pool: pool.clone(), ..ListNodesRequest::default() });
    let nodes = weir_api::client::nodes(channel).list_nodes(nodes).await?.into_inner().nodes;
    let request = session.request(StatContainersRequest { pool, ..StatContainersRequest::default() });
    let answers = container::client(session).await?.stat_containers(request).await?.into_inner();
    Ok((nodes, usage::sorted(answers).await?))
}

/// The keys as they are pressed; nothing for what else happens to a terminal. The thread lives as long as the process.
fn keys() -> mpsc::Receiver<Option<KeyEvent>> {
    let (sender, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let key = match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => Some(key),
                _ => None,
            };
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    });
    keys
}

/// Does what a key is for; `false`: end.
fn press(picture: &mut Picture, key: KeyEvent) -> bool {
    match key.code {
        // Not Esc: what begins each arrow key may come alone.
        KeyCode::Char('q') => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Char('c') => picture.sort = Sort::Cpu,
        KeyCode::Char('m') => picture.sort = Sort::Memory,
        KeyCode::Char('t') => picture.sort = Sort::Traffic,
        KeyCode::Char('n') => picture.sort = Sort::Name,
        KeyCode::Tab => picture.switch(),
        KeyCode::Up | KeyCode::Char('k') => picture.scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => picture.scroll(1),
        KeyCode::PageUp => picture.scroll(-10),
        KeyCode::PageDown => picture.scroll(10),
        KeyCode::Home => picture.scroll(isize::MIN),
        _ => {}
    }
    true
}

/// What ends with its terminal, as the signal says that it is gone: 128 and SIGHUP.
const HUNG_UP: u8 = 129;
