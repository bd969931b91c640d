//! Cuts a byte stream into top-level JSON objects.
//!
//! OVSDB puts no separator and no length between messages (RFC 7047 §4), so the end of one is found by counting
//! braces outside strings. The counter keeps its state between reads: no byte is looked at twice. Whether an object is
//! well formed is left to the parser; the framer promises only that what follows starts at the right byte.

/// Why a stream cannot be cut any further. The connection is of no use after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Something other than white space stood where an object had to begin.
    #[error("expected '{{' at the start of a message, found byte {found:#04x}")]
    NotAnObject {
        /// The byte found instead.
        found: u8,
    },
    /// A message grew beyond the limit before it ended.
    #[error("a message is longer than the limit of {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

/// The cutter's state between reads.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the message being read begins in `buffer`.
    start: usize,
    /// The first byte not looked at yet.
    next: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    limit: usize,
    failed: Option<FrameError>,
}

impl Framer {
    /// A framer that refuses messages of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            next: 0,
            depth: 0,
            in_string: false,
            escaped: false,
            limit,
            failed: None,
        }
    }

    /// Takes in what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.next -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete object, or `None` until more bytes come.
    ///
    /// # Errors
    /// `NotAnObject` or `TooLong`; every later call gives the same error.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while let Some(&byte) = self.buffer.get(self.next) {
            self.next += 1;
            if self.depth == 0 && byte.is_ascii_whitespace() {
                self.start = self.next;
                continue;
            }
            if self.depth == 0 && byte != b'{' {
                return self.fail(FrameError::NotAnObject { found: byte });
            }
            if self.next - self.start > self.limit {
                return self.fail(FrameError::TooLong { limit: self.limit });
            }
            if self.ends_with(byte) {
                let start = self.start;
                self.start = self.next;
                return Ok(self.buffer.get(start..self.next));
            }
        }
        Ok(None)
    }

    /// Moves the state over one byte; true if the byte ends the object.
    fn ends_with(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    fn fail(&mut self, error: FrameError) -> Result<Option<&[u8]>, FrameError> {
        self.failed = Some(error.clone());
        self.buffer = Vec::new();
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn drain(framer: &mut Framer) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut frames = Vec::new();
        while let Some(frame) = framer.next_frame()? {
            frames.push(frame.to_vec());
        }
        Ok(frames)
    }

    #[test]
    fn braces_and_quotes_inside_strings_do_not_count() {
        let mut framer = Framer::new(1000);
        framer.push(br#" {"a":"}\"{\\"}{"b":[{}]} "#);
        let frames = drain(&mut framer).unwrap();
        assert_eq!(frames, [br#"{"a":"}\"{\\"}"#.to_vec(), br#"{"b":[{}]}"#.to_vec()]);
    }

    #[test]
    fn garbage_is_refused_with_the_byte_found_and_stays_refused() {
        let mut framer = Framer::new(1000);
        framer.push(b"GET / HTTP/1.1\r\n");
        let refused = Err(FrameError::NotAnObject { found: b'G' });
        assert_eq!(drain(&mut framer), refused);
        framer.push(b"{}");
        assert_eq!(drain(&mut framer), refused);
    }

    #[test]
    fn a_message_of_the_limit_passes_and_one_byte_more_is_refused() {
        let mut framer = Framer::new(8);
        framer.push(b"{\"a\":10}");
        assert_eq!(drain(&mut framer).unwrap().len(), 1);
        framer.push(b"{\"a\":100}");
        assert_eq!(drain(&mut framer), Err(FrameError::TooLong { limit: 8 }));
    }

    #[test]
    fn an_endless_message_is_refused_before_it_ends() {
        let mut framer = Framer::new(64);
        framer.push(b"{\"a\":\"");
        framer.push(&[b'x'; 100]);
        assert_eq!(drain(&mut framer), Err(FrameError::TooLong { limit: 64 }));
    }

    fn arb_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            r#"[{}\[\]"\\]*"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same_messages(
            values in prop::collection::vec(prop::collection::btree_map(".*", arb_json(), 0..4), 0..6),
            cuts in prop::collection::vec(1_usize..20, 1..20),
        ) {
            let values: Vec<Value> = values.into_iter().map(|map| json!(map)).collect();
            let stream: Vec<u8> = values.iter().flat_map(|value| format!("{value}\n").into_bytes()).collect();
            let mut framer = Framer::new(1 << 20);
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                framer.push(head);
                for frame in drain(&mut framer).unwrap() {
                    found.push(serde_json::from_slice::<Value>(&frame).unwrap());
                }
                rest = tail;
            }
            prop_assert_eq!(found, values);
        }

        #[test]
        fn any_bytes_are_cut_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut framer = Framer::new(64);
            framer.push(&bytes);
            if let Ok(frames) = drain(&mut framer) {
                for frame in frames { prop_assert!(frame.len() <= 64); }
            }
        }
    }
}
