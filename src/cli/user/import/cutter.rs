//! Cuts a list of JSON objects, or a sequence of them, into single objects, so that a file of any size can be read one
//! user at a time. What stands in an object is not looked at: that is a parser's affair.

use std::io::{self, BufRead};

/// Most bytes of one object: a user with all roles and groups that there may be has fewer.
pub(super) const MAX_ROW_BYTES: usize = 2 * 1024 * 1024;

/// Why there is no further object.
#[derive(Debug)]
pub(super) struct CutError {
    pub(super) line: u64,
    pub(super) message: String,
}

/// What may come next outside of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The beginning: a list, or an object of a sequence.
    Start,
    /// An object of a sequence, or the end.
    Sequence,
    /// An object, or the end of a list that is empty so far.
    FirstOfList,
    /// An object of a list, after a comma.
    ItemOfList,
    /// A comma, or the end of the list.
    AfterItem,
    /// Nothing.
    End,
}

/// The objects of an input, with the line that each begins in.
pub(super) struct Cutter<R> {
    input: R,
    line: u64,
    next: Next,
    failed: bool,
}

impl<R: BufRead> Cutter<R> {
    pub(super) fn new(input: R) -> Self {
        Cutter { input, line: 1, next: Next::Start, failed: false }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.input.fill_buf()?.first().copied();
        if byte.is_some() {
            self.input.consume(1);
        }
        Ok(byte)
    }

    fn error<T>(&self, message: &str) -> Result<T, CutError> {
        Err(CutError { line: self.line, message: message.to_owned() })
    }

    fn cut(&mut self) -> Result<Option<(u64, Vec<u8>)>, CutError> {
        loop {
            let byte = self.byte().map_err(|error| CutError { line: self.line, message: error.to_string() })?;
            let Some(byte) = byte else {
                return match self.next {
                    Next::Start | Next::Sequence | Next::End => Ok(None),
                    _ => self.error("the list does not end with ']'"),
                };
            };
            match (byte, self.next) {
                (b'\n', _) => self.line += 1,
                (b' ' | b'\t' | b'\r', _) => {}
                // A byte order mark, which some programs begin their files with.
                (0xef | 0xbb | 0xbf, Next::Start) => {}
                (b'[', Next::Start) => self.next = Next::FirstOfList,
                (b',', Next::AfterItem) => self.next = Next::ItemOfList,
                (b']', Next::AfterItem | Next::FirstOfList) => self.next = Next::End,
                (b'{', Next::Start | Next::Sequence) => {
                    self.next = Next::Sequence;
                    return self.object().map(Some);
                }
                (b'{', Next::FirstOfList | Next::ItemOfList) => {
                    self.next = Next::AfterItem;
                    return self.object().map(Some);
                }
                (_, Next::AfterItem) => return self.error("a ',' or the ']' of the list is missing here"),
                (_, Next::End) => return self.error("something follows the end of the list"),
                _ => return self.error("a JSON object is expected here: { \"login\": … }"),
            }
        }
    }

    /// The rest of an object whose brace was read.
    fn object(&mut self) -> Result<(u64, Vec<u8>), CutError> {
        let (first, mut object) = (self.line, vec![b'{']);
        let (mut depth, mut in_text, mut escaped) = (1usize, false, false);
        while depth > 0 {
            let byte = self.byte().map_err(|error| CutError { line: self.line, message: error.to_string() })?;
            let Some(byte) = byte else {
                return Err(CutError { line: first, message: "the object that begins here does not end".to_owned() });
            };
            if object.len() >= MAX_ROW_BYTES {
                let message = format!("the object that begins here has more than {} MiB", MAX_ROW_BYTES >> 20);
                return Err(CutError { line: first, message });
            }
            object.push(byte);
            match byte {
                b'\n' => self.line += 1,
                _ if escaped => {}
                b'"' => in_text = !in_text,
                b'{' | b'[' if !in_text => depth += 1,
                b'}' | b']' if !in_text => depth -= 1,
                _ => {}
            }
            escaped = in_text && byte == b'\\' && !escaped;
        }
        Ok((first, object))
    }
}

impl<R: BufRead> Iterator for Cutter<R> {
    type Item = Result<(u64, Vec<u8>), CutError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let cut = self.cut();
        self.failed = cut.is_err();
        cut.transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The objects with their lines, and how it ended.
    type Cut = (Vec<(u64, Value)>, Option<(u64, String)>);

    fn cut(text: &str) -> Cut {
        let mut objects = Vec::new();
        for object in Cutter::new(text.as_bytes()) {
            match object {
                Ok((line, object)) => objects.push((line, serde_json::from_slice(&object).unwrap())),
                Err(error) => return (objects, Some((error.line, error.message))),
            }
        }
        (objects, None)
    }

    #[test]
    fn a_list_and_a_sequence_are_cut_with_their_lines() {
        let expected = vec![(2, json!({"a": "}]\\\" {"})), (3, json!({"b": [{"c": 1}]}))];
        let list = "\u{feff}[\n{\"a\": \"}]\\\\\\\" {\"},\n{\"b\": [{\"c\": 1}]}\n]\n";
        let sequence = "\n{\"a\": \"}]\\\\\\\" {\"}\n{\"b\": [{\"c\": 1}]}";
        assert_eq!(cut(list), (expected.clone(), None));
        assert_eq!(cut(sequence), (expected, None));
        assert_eq!(cut(""), (Vec::new(), None));
        assert_eq!(cut(" [ ] "), (Vec::new(), None));
    }

    #[test]
    fn what_is_no_list_is_told_with_its_line() {
        for (text, line, reason) in [
            ("[\n{},\n]", 3, "an object is expected"),
            ("[{}\n{}]", 2, "',' or the ']'"),
            ("[{}", 1, "does not end with ']'"),
            ("[{}]\n{}", 2, "follows the end"),
            ("\n{\"a\":\n1", 2, "begins here does not end"),
            ("login,password\n", 1, "object is expected"),
        ] {
            let (found, said) = cut(text).1.unwrap();
            assert!(found == line && said.contains(reason.trim_start_matches("an ")), "{text:?}: {found} {said}");
        }
    }

    #[test]
    fn an_object_without_an_end_is_given_up() {
        let endless = io::BufReader::new(io::Read::chain(&b"{\""[..], io::repeat(b'x')));
        let error = Cutter::new(endless).next().unwrap().unwrap_err();
        assert!(error.message.contains("more than 2 MiB"), "{}", error.message);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), ".{0,9}".prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,5}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_objects_come_out_as_they_went_in(objects in prop::collection::vec(
            prop::collection::btree_map(".{0,5}", value(), 0..4), 0..5), pretty: bool)
        {
            let objects: Vec<Value> = objects.into_iter().map(|map| Value::Object(map.into_iter().collect())).collect();
            let write = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
            let found: Vec<Value> = cut(&write(&objects).unwrap()).0.into_iter().map(|(_, object)| object).collect();
            prop_assert_eq!(found, objects);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            Cutter::new(&bytes[..]).for_each(drop);
        }
    }
}
