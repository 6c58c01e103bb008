//! Lambda's Runtime API on a socket, with one function behind it.
//!
//! The function asks for the next event, and is kept waiting until [`Lambda::invoke`] has one; its answer or
//! its error is what `invoke` returns. One invocation at a time, as Lambda does with one instance.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::process::{Environment, Process, environment};
use super::wire::{self, Message, PATIENCE};

const API: &str = "/2018-06-01/runtime";
/// What the function may take, by its configuration.
pub const TIMEOUT: Duration = Duration::from_mins(1);

pub struct Lambda {
    process: Process,
    events: Sender<Value>,
    outcomes: Receiver<Result<Value, Value>>,
}

impl Lambda {
    /// Starts the function as Lambda does: Lambda's variables, and those that its owner configured.
    pub fn start(program: &Path, configured: &Environment) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (events, waiting) = channel();
        let (done, outcomes) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (waiting, done) = (waiting.clone(), done.clone());
                thread::spawn(move || serve(stream, &waiting, &done));
            }
        });
        let mut variables = environment([
            ("AWS_LAMBDA_RUNTIME_API", &address),
            ("AWS_LAMBDA_FUNCTION_NAME", "under-test"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/under-test"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/21/[$LATEST]0123456789abcdef"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("AWS_REGION", "eu-central-1"),
            ("TZ", ":UTC"),
        ]);
        variables.extend(configured.iter().cloned());
        Self { process: Process::start(program, &variables), events, outcomes }
    }

    /// What the function answers to the event, or the error that it reports.
    pub fn invoke(&self, event: Value) -> Result<Value, Value> {
        self.events.send(event).expect("the emulator serves");
        self.outcomes.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer: {}", self.process))
    }

    /// [`Self::invoke`] with an HTTP event: the status, and the body as text.
    pub fn request(&self, event: Value) -> (u64, String) {
        let answer = self.invoke(event).unwrap_or_else(|error| panic!("{error}: {}", self.process));
        let status = answer["statusCode"].as_u64().unwrap_or_else(|| panic!("no HTTP answer: {answer}"));
        assert_ne!(answer["isBase64Encoded"], true, "{answer}");
        (status, answer["body"].as_str().unwrap_or_default().to_owned())
    }

    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn serve(mut stream: TcpStream, events: &Mutex<Receiver<Value>>, done: &Sender<Result<Value, Value>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    while let Ok(Some(message)) = Message::read(&mut reader) {
        if answer(&mut stream, &message, events, done).is_none() {
            return;
        }
    }
}

fn answer(
    stream: &mut TcpStream,
    message: &Message,
    events: &Mutex<Receiver<Value>>,
    done: &Sender<Result<Value, Value>>,
) -> Option<()> {
    let mut words = message.start.split(' ');
    let (method, path) = (words.next()?, words.next()?.strip_prefix(API)?);
    if (method, path) == ("GET", "/invocation/next") {
        let event = events.lock().ok()?.recv().ok()?;
        let deadline = deadline_ms().to_string();
        let headers = [
            ("content-type", "application/json"),
            ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
            ("lambda-runtime-deadline-ms", &deadline),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:111122223333:function:under-test"),
            ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
        ];
        return wire::write(stream, "HTTP/1.1 200 OK", &headers, event.to_string().as_bytes()).ok();
    }
    let body = message.json();
    let outcome = if path.ends_with("/response") { Ok(body) } else { Err(body) };
    wire::write(stream, "HTTP/1.1 202 Accepted", &[], b"").ok()?;
    done.send(outcome).ok()
}

#[allow(clippy::disallowed_methods, reason = "the platform's side keeps the wall clock")]
fn deadline_ms() -> u128 {
    (SystemTime::now() + TIMEOUT).duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis()
}
