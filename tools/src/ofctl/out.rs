//! Standard output, written in large pieces.

use std::io::{self, ErrorKind, Write};

/// Text on its way to standard output. What is left is written in the end, also when a command fails half way; only
/// [`Out::flush`] tells whether it was.
#[derive(Debug, Default)]
pub(super) struct Out {
    text: String,
}

/// Whoever reads our output has read enough.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(super) struct NobodyReads;

/// How much is kept until it is written.
const PIECE: usize = 256 << 10;

impl Out {
    /// Where text is appended.
    pub(super) fn text(&mut self) -> &mut String {
        &mut self.text
    }

    /// Writes what there is, if it is much.
    ///
    /// # Errors
    /// [`NobodyReads`], or the system's.
    pub(super) fn flow(&mut self) -> anyhow::Result<()> {
        if self.text.len() < PIECE { Ok(()) } else { self.flush() }
    }

    /// Writes what there is.
    ///
    /// # Errors
    /// [`NobodyReads`], or the system's.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(self.text.as_bytes()).and_then(|()| stdout.flush());
        self.text.clear();
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => NobodyReads.into(),
            _ => anyhow::Error::new(error).context("cannot write the output"),
        })
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.flush().ok();
        }
    }
}
