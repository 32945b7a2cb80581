//! Messages of `application/vnd.amazon.eventstream`, read and checked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::Client;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    headers: BTreeMap<String, String>,
    payload: Vec<u8>,
}

impl Message {
    /// The next one. Each is a chunk of its own, so that none waits for another.
    #[track_caller]
    pub(crate) fn receive(client: &mut Client) -> Option<Self> {
        client.chunk().unwrap().map(|chunk| Self::parse(&chunk))
    }

    /// All until the end of the answer.
    #[track_caller]
    pub(crate) fn receive_all(client: &mut Client) -> Vec<Self> {
        std::iter::from_fn(|| Self::receive(client)).collect()
    }

    #[track_caller]
    fn parse(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let length = |at: usize| usize::try_from(number(at)).unwrap();
        assert_eq!(length(0), bytes.len(), "a message is a chunk");
        assert_eq!(number(8), crc32fast::hash(&bytes[..8]), "checksum of the lengths");
        let end = bytes.len() - 4;
        assert_eq!(number(end), crc32fast::hash(&bytes[..end]), "checksum of the message");
        let (mut rest, payload) = bytes[12..end].split_at(length(4));
        let mut headers = BTreeMap::new();
        while let [name_length, after @ ..] = rest {
            let (name, after) = after.split_at(usize::from(*name_length));
            let [7, high, low, after @ ..] = after else { panic!("not a text: {after:?}") };
            let (value, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            headers.insert(text(name), text(value));
            rest = after;
        }
        Message { headers, payload: payload.to_vec() }
    }

    /// Bytes of the function's.
    #[track_caller]
    pub(crate) fn chunk(&self) -> &[u8] {
        self.is("event", "PayloadChunk", "application/octet-stream");
        &self.payload
    }

    /// Members of the end.
    #[track_caller]
    pub(crate) fn complete(&self) -> Value {
        self.is("event", "InvokeComplete", "application/json");
        serde_json::from_slice(&self.payload).unwrap()
    }

    #[track_caller]
    fn is(&self, message_type: &str, event_type: &str, content_type: &str) {
        let expected =
            [(":message-type", message_type), (":event-type", event_type), (":content-type", content_type)];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(self.headers, BTreeMap::from(expected), "{}", String::from_utf8_lossy(&self.payload));
    }
}
