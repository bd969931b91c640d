//! Appends to a buffer, patching lengths when a scope ends.

use super::EncodeError;

/// Where a scope began; given back to end it.
#[derive(Clone, Copy, Debug)]
#[must_use = "a scope that is not ended has no length"]
pub struct Mark(usize);

/// Appends big-endian values to a buffer that may already hold other messages.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    error: Option<EncodeError>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, error: None }
    }

    /// Ends writing.
    ///
    /// # Errors
    /// The first thing that could not be written; then the buffer is as it was before.
    pub fn finish(self) -> Result<(), EncodeError> {
        match self.error {
            None => Ok(()),
            Some(error) => {
                self.out.truncate(self.start);
                Err(error)
            }
        }
    }

    /// Remembers that something has no encoding; the first such is what [`Writer::finish`] returns.
    pub fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends `n` zero bytes.
    #[inline]
    pub fn zeros(&mut self, n: usize) {
        match [0; 8].get(..n) {
            Some(zeros) => self.bytes(zeros),
            None => self.out.resize(self.out.len() + n, 0),
        }
    }

    /// Appends a `u8`.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// Appends a big-endian `u16`.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends a number of things as a big-endian `u16`.
    pub fn u16_len(&mut self, len: usize) {
        match u16::try_from(len) {
            Ok(short) => self.u16(short),
            Err(_) => self.fail(EncodeError::TooLong { len }),
        }
    }

    /// Appends a big-endian `u32`.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends a big-endian `u64`.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Marks this place as the start of a structure.
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    /// Bytes since `mark`.
    #[must_use]
    pub fn len_since(&self, mark: Mark) -> usize {
        self.out.len() - mark.0
    }

    /// The big-endian `u16` that was written `at` bytes after `mark`.
    #[must_use]
    pub fn u16_at(&self, mark: Mark, at: usize) -> u16 {
        let place = mark.0 + at;
        u16::from_be_bytes([self.out[place], self.out[place + 1]])
    }

    /// Bytes from one mark to a later one.
    #[must_use]
    pub fn len_between(&self, from: Mark, to: Mark) -> usize {
        to.0 - from.0
    }

    /// Takes back what was written since `mark`.
    #[must_use]
    pub fn take_back(&mut self, mark: Mark) -> Vec<u8> {
        self.out.split_off(mark.0)
    }

    /// Overwrites the big-endian `u16` that was written `at` bytes after `mark`.
    pub fn set_u16(&mut self, mark: Mark, at: usize, value: u16) {
        let place = mark.0 + at;
        self.out[place..place + 2].copy_from_slice(&value.to_be_bytes());
    }

    /// Writes the length since `mark` into the big-endian `u16` that lies `at` bytes after it.
    #[inline]
    pub fn patch_len(&mut self, mark: Mark, at: usize) {
        self.set_u16_len(Mark(mark.0 + at), self.len_since(mark));
    }

    /// Writes a length into the big-endian `u16` at `place`.
    #[inline]
    pub fn set_u16_len(&mut self, place: Mark, len: usize) {
        match u16::try_from(len) {
            Ok(short) => self.out[place.0..place.0 + 2].copy_from_slice(&short.to_be_bytes()),
            Err(_) => self.fail(EncodeError::TooLong { len }),
        }
    }

    /// Appends zeros until the length since `mark` is a multiple of 8.
    #[inline]
    pub fn pad8(&mut self, mark: Mark) {
        let padded = self.out.len() + self.len_since(mark).wrapping_neg() % 8;
        // A whole word is appended faster than some bytes.
        self.u64(0);
        self.out.truncate(padded);
    }
}

/// Values of fixed places, gathered to be appended at once: that is faster than one after another.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Default for Fixed<N> {
    fn default() -> Self {
        Self { bytes: [0; N], at: 0 }
    }
}

impl<const N: usize> Fixed<N> {
    /// Puts bytes behind those that are there; there must be room.
    #[inline]
    pub fn bytes<const M: usize>(&mut self, bytes: [u8; M]) {
        self.bytes[self.at..self.at + M].copy_from_slice(&bytes);
        self.at += M;
    }

    /// Puts a `u8`.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes([value]);
    }

    /// Puts a big-endian `u16`.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(value.to_be_bytes());
    }

    /// Puts a big-endian `u32`.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(value.to_be_bytes());
    }

    /// Puts a big-endian `u64`.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(value.to_be_bytes());
    }

    /// Appends the first `n` bytes, of at most `N`.
    #[inline]
    pub fn append_first(&self, w: &mut Writer<'_>, n: u8) {
        let len = w.out.len() + usize::from(n);
        w.bytes(&self.bytes);
        w.out.truncate(len);
    }

    /// Appends all `N` bytes; places that were not put are zeros.
    #[inline]
    pub fn append_to(&self, w: &mut Writer<'_>) {
        w.bytes(&self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_the_length_of_a_scope_behind_other_bytes() {
        let mut out = vec![9];
        let mut w = Writer::new(&mut out);
        let mark = w.mark();
        w.u16(7);
        w.u16(0);
        w.u8(1);
        w.patch_len(mark, 2);
        w.pad8(mark);
        w.finish().unwrap();
        assert_eq!(out, [9, 0, 7, 0, 5, 1, 0, 0, 0]);
    }

    #[test]
    fn leaves_the_buffer_alone_when_a_length_overflows() {
        let mut out = vec![9];
        let mut w = Writer::new(&mut out);
        let mark = w.mark();
        w.zeros(0x1_0000);
        w.patch_len(mark, 2);
        assert_eq!(w.finish(), Err(EncodeError::TooLong { len: 0x1_0000 }));
        assert_eq!(out, [9]);
    }
}
