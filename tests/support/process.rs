//! A child process with nothing but the environment it is given, whose output is kept; killed when dropped.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use super::wire::PATIENCE;

/// Environment variables, in full.
pub type Environment = Vec<(String, String)>;

/// For literals.
pub fn environment<const N: usize>(variables: [(&str, &str); N]) -> Environment {
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub struct Process {
    child: Child,
    output: Arc<(Mutex<Vec<String>>, Condvar)>,
    /// Lines of stdout as they come.
    lines: Mutex<Receiver<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub fn start(program: &Path, environment: &Environment) -> Self {
        let mut child = Command::new(program)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let output = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (sender, lines) = channel();
        let keep = |stream: Box<dyn Read + Send>, sender: Option<Sender<String>>| {
            let output = output.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    output.0.lock().expect("no poison").push(line.clone());
                    output.1.notify_all();
                    let _ = sender.as_ref().map(|sender| sender.send(line));
                }
            })
        };
        let stdout = keep(Box::new(child.stdout.take().expect("piped")), Some(sender));
        let stderr = keep(Box::new(child.stderr.take().expect("piped")), None);
        Self { child, output, lines: Mutex::new(lines), readers: vec![stdout, stderr] }
    }

    /// The first line of stdout from here on in which `find` finds something.
    pub fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let lines = self.lines.lock().expect("no poison");
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => panic!("ended before {what}: {self}"),
                Err(RecvTimeoutError::Timeout) => panic!("no {what}: {self}"),
            }
        }
    }

    /// The operating system's id of it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it wrote so far, on both streams.
    pub fn output(&self) -> String {
        self.output.0.lock().expect("no poison").join("\n")
    }

    /// Waits until a line with this text was read: what was written before an answer may be read after it.
    #[allow(dead_code, reason = "not every test looks for lines")]
    pub fn has_said(&self, text: &str) {
        let (output, more) = &*self.output;
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
        let waited = more.wait_timeout_while(output.lock().expect("no poison"), PATIENCE, missing);
        let (lines, timeout) = waited.expect("no poison");
        drop(lines);
        assert!(!timeout.timed_out(), "it did not say {text:?}: {self}");
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "cannot signal {self}");
    }

    /// How it ends instead of serving; nothing if it serves after all, or is not heard of for long.
    pub fn end_of_start(self) -> Option<(ExitStatus, String)> {
        loop {
            let line = self.lines.lock().expect("no poison").recv_timeout(PATIENCE);
            match line {
                Ok(line) if line.contains("server.address") || line.contains("Dev server listening") => return None,
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Some(self.wait()),
                Err(RecvTimeoutError::Timeout) => return None,
            }
        }
    }

    /// Waits for its end; what it wrote is complete then.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("a child");
        for reader in std::mem::take(&mut self.readers) {
            reader.join().expect("reads to the end");
        }
        (status, self.output())
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} wrote:\n{}", self.child.id(), self.output())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
