//! COPY streams in text form: reading line by line, splitting into fields, feeding lines back.
//!
//! A line is kept exactly as the server wrote it, so that two servers' lines can be compared byte by byte.
//!
//! Source: PostgreSQL manual, COPY, "Text Format".

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio_postgres::{CopyInSink, CopyOutStream};

use super::{PgError, Session};

/// Reads a text COPY as lines, without their newline.
pub struct CopyLines<'a> {
    session: &'a Session,
    doing: String,
    stream: std::pin::Pin<Box<CopyOutStream>>,
}

impl<'a> CopyLines<'a> {
    /// Starts `sql`, a `COPY … TO STDOUT` in text format.
    pub async fn start(session: &'a Session, doing: &str, sql: &str) -> Result<Self, PgError> {
        let stream = Box::pin(session.copy_out(doing, sql).await?);
        Ok(Self {
            session,
            doing: doing.to_owned(),
            stream,
        })
    }

    /// The next line, or `None` at the end. The server sends one message a row.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PgError> {
        match self.stream.next().await {
            None => Ok(None),
            Some(Ok(mut line)) => {
                if line.last() == Some(&b'\n') {
                    line.truncate(line.len() - 1);
                }
                Ok(Some(line))
            }
            Some(Err(e)) => Err(self.session.stream_error(&self.doing, &e)),
        }
    }
}

/// Feeds lines (each ending in a newline) into `sql`, a `COPY … FROM STDIN` in text format; returns the rows stored.
pub async fn copy_in(
    session: &Session,
    doing: &str,
    sql: &str,
    data: Bytes,
) -> Result<u64, PgError> {
    let sink = session.copy_in(doing, sql).await?;
    let stored = feed(session, doing, sink, data).await;
    if let Err(PgError::Server(_)) = &stored {
        session.keep_in_step().await;
    }
    stored
}

async fn feed(
    session: &Session,
    doing: &str,
    sink: CopyInSink<Bytes>,
    data: Bytes,
) -> Result<u64, PgError> {
    let mut sink = std::pin::pin!(sink);
    // A message has a 1 GB limit; small pieces let the server start at once.
    let mut rest = BytesMut::from(data).freeze();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(1 << 16));
        session.answer(doing, sink.send(piece)).await?;
    }
    session.answer(doing, sink.finish()).await
}

/// The fields of one line, still escaped.
pub fn raw_fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b'\t')
}

/// Writes a value as a field of COPY's text format.
pub fn escape(value: &str) -> Vec<u8> {
    let mut field = Vec::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'\\' => field.extend(b"\\\\"),
            b'\t' => field.extend(b"\\t"),
            b'\n' => field.extend(b"\\n"),
            b'\r' => field.extend(b"\\r"),
            other => field.push(other),
        }
    }
    field
}

/// One field as a value: `None` for NULL (`\N`), otherwise with the escapes taken back.
pub fn unescape(field: &[u8]) -> Option<String> {
    if field == b"\\N" {
        return None;
    }
    if !field.contains(&b'\\') {
        return Some(String::from_utf8_lossy(field).into_owned());
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(&b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        // What COPY TO writes: \b \f \n \r \t \v and a backslash before a literal one.
        match bytes.next() {
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(11),
            Some(&other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back() {
        let line = b"1\t\\N\ta\\tb\\\\N\t\\\\N";
        let fields: Vec<_> = raw_fields(line).map(unescape).collect();
        assert_eq!(
            fields,
            [
                Some("1".into()),
                None,
                Some("a\tb\\N".into()),
                Some("\\N".into())
            ]
        );
    }
}
