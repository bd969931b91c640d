//! A cursor over bytes that came from a peer.

use super::{DecodeError, Part, Problem};

/// Reads big-endian values from a bounded slice and knows where in the message it is.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    /// Bytes from the start of the message to the end of `data`: nothing is counted while it is read.
    end: usize,
    part: Part,
}

impl<'a> Reader<'a> {
    /// Reads `data`, whose first byte is the message's first; errors are said to lie in `part`.
    #[must_use]
    pub fn new(data: &'a [u8], part: Part) -> Self {
        Self { data, end: data.len(), part }
    }

    /// Reads `data`, whose first byte is the message's `offset`th.
    #[must_use]
    pub fn at(data: &'a [u8], part: Part, offset: usize) -> Self {
        Self { data, end: offset.saturating_add(data.len()), part }
    }

    /// The bytes left.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether nothing is left.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Bytes from the start of the message to here.
    #[must_use]
    #[inline]
    pub fn offset(&self) -> usize {
        self.end - self.data.len()
    }

    /// What errors are said to lie in.
    #[must_use]
    #[inline]
    pub fn part(&self) -> Part {
        self.part
    }

    /// From here on errors lie in `part`.
    #[inline]
    pub fn set_part(&mut self, part: Part) {
        self.part = part;
    }

    /// An error at this place.
    #[must_use]
    #[cold]
    pub fn error(&self, problem: Problem) -> DecodeError {
        DecodeError { part: self.part, offset: self.offset(), problem }
    }

    /// The bytes left, without taking them.
    #[must_use]
    #[inline]
    pub fn peek(&self) -> &'a [u8] {
        self.data
    }

    /// Takes the next `n` bytes.
    ///
    /// # Errors
    /// `Truncated` if there are fewer; then none is taken.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        match self.data.split_at_checked(n) {
            Some((taken, rest)) => {
                self.data = rest;
                Ok(taken)
            }
            None => Err(self.error(Problem::Truncated { needed: n, left: self.data.len() })),
        }
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.data.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.data = rest;
                Ok(*taken)
            }
            None => Err(self.error(Problem::Truncated { needed: N, left: self.data.len() })),
        }
    }

    /// Takes the next `N` bytes as a reader of their own, in which the compiler need not check each item again.
    ///
    /// # Errors
    /// `Truncated`, said of this reader.
    #[inline]
    pub fn fixed<const N: usize>(&mut self) -> Result<Reader<'a>, DecodeError> {
        match self.data.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.data = rest;
                Ok(Reader { data: taken, end: self.offset(), part: self.part })
            }
            None => Err(self.error(Problem::Truncated { needed: N, left: self.data.len() })),
        }
    }

    /// Passes over `n` bytes of padding, whatever they are.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn skip(&mut self, n: usize) -> Result<(), DecodeError> {
        self.bytes(n).map(drop)
    }

    /// Passes over `n` bytes that must be zero.
    ///
    /// # Errors
    /// `Truncated`, or `NotZero`.
    pub fn zeros(&mut self, n: usize) -> Result<(), DecodeError> {
        let at = self.clone();
        if self.bytes(n)?.iter().any(|byte| *byte != 0) { Err(at.error(Problem::NotZero)) } else { Ok(()) }
    }

    /// Takes a `u8`.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Takes a big-endian `u16`.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian `u32`.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a big-endian `u64`.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes the next `n` bytes as a reader of their own, whose errors lie in `part`.
    ///
    /// # Errors
    /// `Truncated`, said of this reader.
    #[inline]
    pub fn sub(&mut self, n: usize, part: Part) -> Result<Reader<'a>, DecodeError> {
        self.bytes(n).map(|data| Reader { data, end: self.offset(), part })
    }

    /// Like [`Reader::sub`], for a structure of `len` bytes of which `header` have been read.
    ///
    /// # Errors
    /// `BadLength` if `len` is less than the header or more than there is.
    #[inline]
    pub fn body(&mut self, len: usize, header: usize, part: Part) -> Result<Reader<'a>, DecodeError> {
        match len.checked_sub(header) {
            Some(n) if n <= self.data.len() => self.sub(n, part),
            _ => Err(DecodeError { part, offset: self.offset(), problem: Problem::BadLength { found: len } }),
        }
    }

    /// Takes everything that is left as a reader of its own.
    #[must_use]
    #[inline]
    pub fn take(&mut self) -> Self {
        Reader { data: self.rest(), end: self.end, part: self.part }
    }

    /// Takes everything that is left.
    #[inline]
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.data;
        self.data = &[];
        rest
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// `Trailing` otherwise.
    #[inline]
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.data.is_empty() {
            Ok(())
        } else {
            Err(self.error(Problem::Trailing { left: self.data.len() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_reader_ends_where_its_length_says() {
        let mut r = Reader::new(&[0, 4, 1, 2, 3], Part::Message);
        let len = usize::from(r.u16().unwrap());
        let mut body = r.body(len, 2, Part::Action).unwrap();
        assert_eq!(body.u16(), Ok(0x0102));
        let error = body.u8().unwrap_err();
        assert_eq!(error.to_string(), "bad action at byte 4: needs 1 bytes more, has 0");
        assert_eq!(r.finish().unwrap_err().problem, Problem::Trailing { left: 1 });
    }

    #[test]
    fn a_length_below_its_header_is_an_error() {
        let mut r = Reader::new(&[0; 8], Part::Message);
        assert_eq!(r.body(3, 4, Part::Match).unwrap_err().problem, Problem::BadLength { found: 3 });
        assert_eq!(r.body(13, 4, Part::Match).unwrap_err().problem, Problem::BadLength { found: 13 });
    }
}
