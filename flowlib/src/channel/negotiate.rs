//! The version: what we say, and whether what the peer says suits.

use crate::openflow::{ErrorCode, ErrorMsg, Hello, VERSION};

/// The HELLO we send.
pub(super) fn our_hello() -> Hello {
    Hello::new(&[VERSION])
}

/// Checks the peer's HELLO.
///
/// # Errors
/// What to answer if it does not speak our version.
pub(super) fn check(hello: &Hello) -> Result<(), ErrorMsg> {
    if hello.speaks(VERSION) {
        return Ok(());
    }
    let text = format!("OpenFlow 1.3 (0x04) is spoken here; your highest version is {:#04x}", hello.version);
    Err(ErrorMsg { code: ErrorCode::OFPHFC_INCOMPATIBLE, data: text.into_bytes() })
}
