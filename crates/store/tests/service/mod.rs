//! A service of AWS's, played on a socket by a script, and a clock that is moved by hand.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the bench")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tradepost_marketplace::doors::Clock;
use tradepost_marketplace::http_door::{HttpDoor, Network};

/// Time, moved by hand.
#[derive(Clone)]
pub struct Hand(pub Arc<Mutex<Timestamp>>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Hand {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new("2026-11-21T08:00:00Z".parse().unwrap())))
    }

    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }
}

/// A request as it came: head and body.
#[derive(Debug, Clone)]
pub struct Seen {
    pub head: String,
    pub body: String,
}

/// A service on a socket: answers by its script, then always the last; each answer needs a permit.
pub struct Service {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    pub permits: Arc<Semaphore>,
}

type Script = Arc<Mutex<VecDeque<(u16, String)>>>;

impl Service {
    pub async fn start(script: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, permits) = (Arc::new(Mutex::default()), Arc::new(Semaphore::new(1_000)));
        let script: Script = Arc::new(Mutex::new(script.into()));
        let service = Self { url, seen, permits };
        let (seen, permits) = (service.seen.clone(), service.permits.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), permits.clone(), script.clone()));
            }
        });
        service
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// From here on answers wait for [`Semaphore::add_permits`].
    pub fn hold(&self) {
        self.permits.forget_permits(1_000);
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, permits: Arc<Semaphore>, script: Script) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        seen.lock().unwrap().push(Seen { head, body: String::from_utf8(body).unwrap() });
        permits.acquire().await.unwrap().forget();
        let (status, text) = {
            let mut script = script.lock().unwrap();
            let next = script.front().cloned().unwrap();
            if script.len() > 1 {
                script.pop_front();
            }
            next
        };
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

pub fn network() -> HttpDoor {
    Arc::new(Network::new("test").unwrap())
}
