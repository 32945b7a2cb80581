//! Answers, written as politely or as oddly as a rule wants.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Between two pieces of an answer: enough that they are read one by one.
const BETWEEN_PIECES: Duration = Duration::from_millis(1);

/// A piece's size: neither lines nor chunks end where pieces do.
const PIECE_BYTES: usize = 3;

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Closing {
    #[default]
    Keep,
    /// With `Connection: close`.
    Announced,
    /// Without a word.
    Silent,
}

/// How header names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Letters {
    /// As AWS does: `Lambda-Runtime-Aws-Request-Id`.
    #[default]
    Canonical,
    Lower,
    Upper,
}

/// An answer to be.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) closing: Closing,
    pub(crate) letters: Letters,
    /// With `Transfer-Encoding: chunked` in place of a length.
    pub(crate) chunked: bool,
    /// A few bytes at a time.
    pub(crate) in_pieces: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, reason: &'static str, body: Vec<u8>) -> Self {
        Reply {
            status,
            reason,
            headers: Vec::new(),
            body,
            closing: Closing::default(),
            letters: Letters::default(),
            chunked: false,
            in_pieces: false,
        }
    }

    fn json(status: u16, reason: &'static str, body: &str) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Reply { headers, ..Reply::new(status, reason, format!("{body}\n").into_bytes()) }
    }

    /// To a response or an error that is taken.
    pub(crate) fn accepted() -> Self {
        Self::json(202, "Accepted", r#"{"status":"OK"}"#)
    }

    /// To a response over the limit.
    pub(crate) fn too_large() -> Self {
        Self::json(
            413,
            "Request Entity Too Large",
            r#"{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}"#,
        )
    }

    /// To anything, by a platform that is broken.
    pub(crate) fn broken() -> Self {
        Self::json(
            500,
            "Internal Server Error",
            r#"{"errorMessage":"Internal Server Error","errorType":"InternalServerError"}"#,
        )
    }

    /// To an answer for an event that has been answered.
    pub(crate) fn refused() -> Self {
        Self::json(
            403,
            "Forbidden",
            r#"{"errorMessage":"State transition from RuntimeResponseSentState to InvocationErrorResponse failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}"#,
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "Not Found", b"404 page not found\n".to_vec())
    }

    pub(crate) fn closing(self, closing: Closing) -> Self {
        Reply { closing, ..self }
    }

    pub(super) async fn write(self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<Closing> {
        let bytes = self.bytes();
        if self.in_pieces {
            for piece in bytes.chunks(PIECE_BYTES) {
                stream.write_all(piece).await?;
                tokio::time::sleep(BETWEEN_PIECES).await;
            }
        } else {
            stream.write_all(&bytes).await?;
        }
        stream.flush().await?;
        if self.closing != Closing::Keep {
            stream.shutdown().await?;
        }
        Ok(self.closing)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, self.reason);
        let mut header = |name: &str, value: &str| {
            let name = match self.letters {
                Letters::Canonical => name.to_owned(),
                Letters::Lower => name.to_ascii_lowercase(),
                Letters::Upper => name.to_ascii_uppercase(),
            };
            head.push_str(&format!("{name}: {value}\r\n"));
        };
        for (name, value) in &self.headers {
            header(name, value);
        }
        if self.closing == Closing::Announced {
            header("Connection", "close");
        }
        if self.chunked {
            header("Transfer-Encoding", "chunked");
        } else {
            header("Content-Length", &self.body.len().to_string());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if self.chunked {
            // Small ones, so that there are many; their sizes in both cases of hexadecimal digits.
            for (number, chunk) in self.body.chunks(11).enumerate() {
                let size =
                    if number % 2 == 0 { format!("{:x}", chunk.len()) } else { format!("{:X}", chunk.len()) };
                bytes.extend_from_slice(format!("{size}\r\n").as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_written_as_it_was_ordered() {
        let reply = Reply { letters: Letters::Upper, ..Reply::accepted().closing(Closing::Announced) };
        let text = String::from_utf8(reply.bytes()).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 202 Accepted\r\nCONTENT-TYPE: application/json\r\nCONNECTION: close\r\n\
             CONTENT-LENGTH: 16\r\n\r\n{\"status\":\"OK\"}\n"
        );
        let reply = Reply { chunked: true, ..Reply::new(200, "OK", b"twelve bytes".to_vec()) };
        let text = String::from_utf8(reply.bytes()).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\ntwelve byte\r\n1\r\ns\r\n0\r\n\r\n"
        );
    }
}
