//! Doors for tests: a network that plays a script, a clock moved by hand, a sleeper that moves it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};

use crate::doors::{Clock, Entropy, LeaseClock, Sleeper};
use crate::http_door::{Http, HttpError};

/// What the network does with the next request.
pub(crate) enum Step {
    /// An answer with status, headers and body.
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// No answer, for this reason.
    Fail(HttpError),
    /// As the other, after so much time.
    After(Duration, Box<Step>),
}

pub(crate) fn answer(status: u16, body: &str) -> Step {
    Step::Answer(status, &[], body.to_owned())
}

pub(crate) fn not_sent() -> Step {
    Step::Fail(HttpError::NotSent("refused".to_owned()))
}

pub(crate) fn no_answer() -> Step {
    Step::Fail(HttpError::NoAnswer("reset".to_owned()))
}

/// Everything a client needs, and what it did with it.
pub(crate) struct World {
    now: Mutex<Timestamp>,
    script: Mutex<VecDeque<Step>>,
    pub(crate) requests: Mutex<Vec<(Request<Bytes>, Duration)>>,
    pub(crate) slept: Mutex<Vec<Duration>>,
    pub(crate) draw: u64,
}

impl World {
    pub(crate) fn new(script: Vec<Step>) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new("2026-11-21T08:00:00Z".parse().unwrap()),
            script: Mutex::new(script.into()),
            requests: Mutex::default(),
            slept: Mutex::default(),
            draw: 1 << 63,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += SignedDuration::try_from(by).unwrap();
    }

    pub(crate) fn lease(self: &Arc<Self>) -> LeaseClock {
        LeaseClock(Arc::clone(self) as Arc<dyn Clock>)
    }

    /// How many steps were not played.
    pub(crate) fn unspent(&self) -> usize {
        self.script.lock().unwrap().len()
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}

impl Sleeper for World {
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        self.slept.lock().unwrap().push(delay);
        self.advance(delay);
        Box::pin(async {})
    }
}

impl Entropy for World {
    fn fill(&self, buffer: &mut [u8]) {
        let bytes = self.draw.to_le_bytes();
        buffer.iter_mut().zip(bytes.iter().cycle()).for_each(|(to, from)| *to = *from);
    }
}

#[async_trait]
impl Http for World {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, HttpError> {
        self.requests.lock().unwrap().push((request, timeout));
        let mut step = self.script.lock().unwrap().pop_front().expect("a request that the script does not expect");
        loop {
            match step {
                Step::After(delay, then) => {
                    self.advance(delay);
                    step = *then;
                }
                Step::Fail(error) => return Err(error),
                Step::Answer(status, headers, body) => {
                    let mut response = Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(*name, *value);
                    }
                    return Ok(response.body(Bytes::from(body)).unwrap());
                }
            }
        }
    }
}
