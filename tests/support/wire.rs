//! HTTP/1.1 messages, read and written by hand over blocking streams: just enough for one client and one
//! server that we both know.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longer than anything should take; reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A request or a response: the first line, the headers in lower case, the body.
#[derive(Debug, Clone)]
pub struct Message {
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// The next message, or nothing when the other side has closed.
    pub fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let Some(mut message) = Self::read_head(stream)? else { return Ok(None) };
        message.body = message.read_body(stream)?;
        Ok(Some(message))
    }

    fn read_head(stream: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let mut start = String::new();
        if stream.read_line(&mut start)? == 0 {
            return Ok(None);
        }
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(Self { start: start.trim_end().to_owned(), headers, body: Vec::new() }))
    }

    fn read_body(&self, stream: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let mut size = String::new();
                stream.read_line(&mut size)?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk)?;
                if size == 0 {
                    return Ok(body);
                }
                body.extend_from_slice(&chunk[..size]);
            }
        }
        let length = self.header("content-length").map_or(Ok(0), str::parse).map_err(std::io::Error::other)?;
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
        Ok(body)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Writes a message with the length of its body.
pub fn write(stream: &mut impl Write, start: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<()> {
    let mut head = format!("{start}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

/// One request on a connection of its own.
pub fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut all = vec![("host", "127.0.0.1"), ("connection", "close")];
    all.extend(headers);
    // A server may refuse by the head alone and close; its answer counts, not that we could not go on.
    let written = write(&mut stream, &format!("{method} {path} HTTP/1.1"), &all, body);
    let mut reader = BufReader::new(&stream);
    // The answer to HEAD tells the length of a body that does not come.
    let answer = if method == "HEAD" { Message::read_head(&mut reader) } else { Message::read(&mut reader) };
    match answer? {
        Some(message) => Ok(message),
        None => Err(written.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())),
    }
}
