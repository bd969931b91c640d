//! A tap on a unix socket: it passes everything on, counts what counts as a step, and does something just before one of them
//! is passed on.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// Counts steps, of several taps together, down to the one before which its action is taken.
pub(crate) struct Trigger {
    state: Mutex<State>,
    action: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Steps until the action; nothing: none is wanted.
    left: Option<usize>,
    /// The step before which it was taken.
    fired: Option<String>,
}

/// What a piece of what is passed on is: the name of a step, or none.
pub(crate) type Name = fn(&[u8]) -> Option<String>;

impl Trigger {
    pub(crate) fn new(action: impl Fn() + Send + Sync + 'static) -> Arc<Trigger> {
        Arc::new(Trigger { state: Mutex::default(), action: Box::new(action) })
    }

    /// Has the action taken before the step of that number from now on, from 0.
    pub(crate) fn arm(&self, step: usize) {
        *self.state.lock().unwrap() = State { left: Some(step), fired: None };
    }

    /// Wants no action any more; says before which step it was taken, if it was.
    pub(crate) fn disarm(&self) -> Option<String> {
        std::mem::take(&mut *self.state.lock().unwrap()).fired
    }

    /// A step is about to be taken; the others wait meanwhile.
    fn step(&self, name: String) {
        let mut state = self.state.lock().unwrap();
        match state.left {
            Some(0) => {
                (self.action)();
                *state = State { left: None, fired: Some(name) };
            }
            Some(left) => state.left = Some(left - 1),
            None => {}
        }
    }
}

/// Listens at `path` and passes on to what `target` says then, for as long as the process lives. `asks` names the steps
/// among what comes in, `answers` those among what goes back.
pub(crate) fn tap(
    path: &Path,
    target: impl Fn() -> Option<PathBuf> + Send + 'static,
    trigger: &Arc<Trigger>,
    (asks, answers): (Name, Name),
) {
    let listener = UnixListener::bind(path).unwrap();
    let trigger = trigger.clone();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            // Whoever is behind the tap may not be there: then nobody is.
            let Some(far) = target().and_then(|target| UnixStream::connect(target).ok()) else { continue };
            pass(near.try_clone().unwrap(), far.try_clone().unwrap(), trigger.clone(), asks);
            pass(far, near, trigger.clone(), answers);
        }
    });
}

fn pass(mut from: UnixStream, mut to: UnixStream, trigger: Arc<Trigger>, name: Name) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if let Some(step) = name(&buffer[..length]) {
                trigger.step(step);
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        // Either may be gone already.
        drop(to.shutdown(Shutdown::Both));
        drop(from.shutdown(Shutdown::Both));
    });
}
