//! Bytes in and out: a bounded reader, a writer that patches lengths, and the errors of both.
//!
//! What the bytes mean is for `openflow` to say. Promises: a reader never sees past its own end and never
//! panics; a writer that could not keep to a length field says so and its output is not used.

mod error;
mod open_enum;
mod reader;
mod writer;

pub use error::{DecodeError, EncodeError, Part, Problem};
pub(crate) use open_enum::open_enum;
pub use reader::Reader;
pub use writer::{Fixed, Mark, Writer};

/// A structure with a wire format. The order of the code is the order on the wire.
pub trait Wire: Sized {
    /// Reads one from the front of `r`, and no more than that.
    ///
    /// # Errors
    /// Says what of which structure was wrong, and at which offset of the message.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Appends it to `w`. What cannot be written is remembered by the writer.
    fn encode(&self, w: &mut Writer<'_>);
}
