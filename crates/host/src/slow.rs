//! A body that must arrive in time: who sends a byte now and then would hold a connection, and the memory of what
//! came so far, for as long as they like.
//!
//! Used by the guard in front of every router. Reading fails with [`TooSlow`] once the time is over, whether bytes
//! still come or not, and [`InTime::is_late`] remembers it: the guard answers 408, whatever the router made of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::future::BoxFuture;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tradepost_marketplace::doors::Sleeper;

/// How long a body may take from its first byte asked for to its last. A megabyte takes a modem that long.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The body did not arrive in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body did not arrive in time")]
pub(crate) struct TooSlow;

/// Tells, after the request, whether its body was too slow.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lateness(Arc<AtomicBool>);

impl Lateness {
    pub(crate) fn is_late(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body with a time limit, counted from the first poll.
pub(crate) struct InTime {
    body: Body,
    sleeper: Arc<dyn Sleeper>,
    limit: Duration,
    end: Option<BoxFuture<'static, ()>>,
    lateness: Lateness,
}

impl InTime {
    pub(crate) fn new(body: Body, limit: Duration, sleeper: Arc<dyn Sleeper>) -> (Self, Lateness) {
        let lateness = Lateness::default();
        (Self { body, sleeper, limit, end: None, lateness: lateness.clone() }, lateness)
    }
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let end = this.end.get_or_insert_with(|| this.sleeper.sleep(this.limit));
        // First the clock: a byte that always just came must not keep the door open.
        if end.as_mut().poll(context).is_ready() {
            this.lateness.0.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(Box::new(TooSlow))));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt, StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    /// Sleeps until it is told that the time is over.
    #[derive(Default)]
    struct ByHand(Arc<AtomicBool>);

    impl Sleeper for ByHand {
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            let over = Arc::clone(&self.0);
            Box::pin(std::future::poll_fn(
                move |_| if over.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending },
            ))
        }
    }

    /// A byte at each poll, for ever.
    fn trickle() -> Body {
        Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from_static(b"a"))))
    }

    #[test]
    fn a_body_that_trickles_is_cut_when_the_time_is_over() {
        let sleeper = ByHand::default();
        let over = Arc::clone(&sleeper.0);
        let (mut body, lateness) = InTime::new(trickle(), BODY_TIMEOUT, Arc::new(sleeper));
        for _ in 0..10 {
            assert!(body.frame().now_or_never().unwrap().unwrap().is_ok());
        }
        assert!(!lateness.is_late());
        over.store(true, Ordering::Relaxed);
        let error = body.frame().now_or_never().unwrap().unwrap().unwrap_err();
        assert!(error.downcast_ref::<TooSlow>().is_some() && lateness.is_late());
    }

    #[test]
    fn a_body_that_never_comes_is_cut_too_and_one_in_time_is_whole() {
        let sleeper = ByHand::default();
        let over = Arc::clone(&sleeper.0);
        let sleeper: Arc<dyn Sleeper> = Arc::new(sleeper);
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let (mut body, lateness) = InTime::new(never, BODY_TIMEOUT, Arc::clone(&sleeper));
        assert!(body.frame().now_or_never().is_none());
        let whole = Body::from_stream(stream::iter(["in", " ", "time"]).map(Ok::<_, Infallible>));
        let (whole, in_time) = InTime::new(whole, BODY_TIMEOUT, sleeper);
        assert_eq!(whole.collect().now_or_never().unwrap().unwrap().to_bytes(), "in time");
        over.store(true, Ordering::Relaxed);
        assert!(body.frame().now_or_never().unwrap().unwrap().is_err());
        assert!(lateness.is_late() && !in_time.is_late());
    }
}
