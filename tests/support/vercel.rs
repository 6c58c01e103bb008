//! Vercel's side of a function, with its IPC socket or without; and the plain server of localhost.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use super::process::{Environment, Process, environment};
use super::wire::{self, Message, PATIENCE};

/// A running function that serves HTTP.
pub struct Server {
    process: Process,
    port: u16,
}

impl Server {
    /// As Vercel without its IPC socket: the runtime serves, and says so on stdout.
    pub fn vercel(program: &Path, configured: &Environment) -> Self {
        let port = free_port();
        let process = Process::start(program, &vercel_variables(port, configured));
        let ready = format!("Dev server listening: {port}");
        process.wait_for("server", |line| (line == ready).then_some(()));
        Self { process, port }
    }

    /// As a plain process on localhost.
    pub fn localhost(program: &Path, configured: &Environment) -> Self {
        let mut variables = environment([("PORT", "0")]);
        variables.extend(configured.iter().cloned());
        let process = Process::start(program, &variables);
        let port = process.wait_for("server", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["server.address"].as_str()?.rsplit(':').next()?.parse().ok()
        });
        Self { process, port }
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Message {
        wire::request(self.port, method, path, headers, body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.process))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn into_process(self) -> Process {
        self.process
    }
}

/// As Vercel runs it: the function tells where it listens, and the end of each request, over a Unix socket.
pub struct Ipc {
    server: Server,
    messages: Mutex<Receiver<Value>>,
    requests: AtomicU32,
    socket: PathBuf,
}

impl Ipc {
    pub fn start(program: &Path, configured: &Environment) -> Self {
        static SOCKETS: AtomicU32 = AtomicU32::new(0);
        let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
        let socket = std::env::temp_dir().join(format!("tradepost-ipc-{}-{number}", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("a socket");
        let (sender, messages) = channel();
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("the function connects");
            for message in BufReader::new(stream).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON before each NUL");
                let _ = sender.send(message);
            }
        });
        let mut variables = vercel_variables(free_port(), configured);
        variables.push(("VERCEL_IPC_PATH".to_owned(), socket.display().to_string()));
        let process = Process::start(program, &variables);
        let server = Server { process, port: 0 };
        let mut ipc = Self { server, messages: Mutex::new(messages), requests: AtomicU32::new(0), socket };
        let started = ipc.message("server-started");
        ipc.server.port = started["httpPort"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        ipc
    }

    /// One request with Vercel's internal headers; returns when the function has also told its end.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Message {
        let number = self.requests.fetch_add(1, Ordering::Relaxed).to_string();
        let invocation = format!("invocation-{number}");
        let mut all = vec![
            ("x-vercel-internal-invocation-id", invocation.as_str()),
            ("x-vercel-internal-request-id", number.as_str()),
        ];
        all.extend(headers);
        let response = self.server.request(method, path, &all, body);
        let end = self.message("end");
        assert_eq!(end["context"]["invocationId"].as_str(), Some(invocation.as_str()), "{end}");
        assert_eq!(end["context"]["requestId"].to_string(), number, "{end}");
        assert_eq!(end["error"], Value::Null, "{end}");
        response
    }

    /// The payload of the next message, which must be of this type.
    fn message(&self, kind: &str) -> Value {
        let messages = self.messages.lock().expect("no poison");
        let message = messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {kind}: {}", self.server.process));
        assert_eq!(message["type"], kind, "{message}");
        message["payload"].clone()
    }

    pub fn process(&self) -> &Process {
        &self.server.process
    }
}

impl Drop for Ipc {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn vercel_variables(port: u16, configured: &Environment) -> Environment {
    let port = port.to_string();
    let mut variables = environment([
        ("VERCEL", "1"),
        ("VERCEL_ENV", "production"),
        ("VERCEL_REGION", "fra1"),
        ("VERCEL_DEV_PORT", &port),
        // Vercel runs on Lambda: these may be set there, and must not lead the function astray.
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "vercels-own"),
        ("AWS_REGION", "eu-central-1"),
    ]);
    variables.extend(configured.iter().cloned());
    variables
}

/// A port that nobody has; the runtime cannot be told to choose. Not one of those that systems hand out by themselves
/// (Linux: from 32,768 on): between here and there it could be given to another test's server or connection.
fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 10_240..32_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(101);
    loop {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        assert!(tried < PORTS.end, "no port is free");
        let port = PORTS.start + first.wrapping_add(tried) % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
