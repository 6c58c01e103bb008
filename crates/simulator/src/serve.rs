//! The socket: a loop of hyper's HTTP/1 around an axum router.
//!
//! The loop is our own so that a reset fault really cuts the TCP connection: the service fails, hyper
//! gives the socket back, and it is closed with a zero linger, which sends RST.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tradepost_marketplace::doors::{Sleeper as _, SystemSleeper};

use crate::{Inner, control, engine, face, lock};

/// The most bytes of a request body.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The most connections open at once; more wait.
const CONNECTIONS_MAX: usize = 1_024;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may take to end after shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Marks an answer that must never arrive: the connection is cut instead.
#[derive(Clone, Copy)]
pub(crate) struct Cut;

#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by a fault")]
struct ConnectionCut;

pub(crate) fn router(simulator: Arc<Inner>) -> Router {
    Router::new()
        .route("/_sim", any(control_face))
        .route("/_sim/{*rest}", any(control_face))
        .fallback(vercel_face)
        .with_state(simulator)
}

async fn control_face(State(simulator): State<Arc<Inner>>, request: Request) -> Response {
    control::answer(simulator, request).await
}

async fn vercel_face(State(simulator): State<Arc<Inner>>, request: Request) -> Response {
    face::answer(&simulator, request).await
}

/// The URL under which a listener is reached from this machine.
fn address(local: SocketAddr) -> String {
    let host = if local.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { local.ip() };
    format!("http://{}", SocketAddr::new(host, local.port()))
}

pub(crate) async fn serve<F>(simulator: Arc<Inner>, listener: TcpListener, shutdown: F) -> io::Result<()>
where
    F: Future<Output = ()> + Send,
{
    *lock(&simulator.address) = address(listener.local_addr()?);
    let router = router(simulator.clone());
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let background = tokio::spawn(engine::background(simulator));
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            slot = slots.clone().acquire_owned() => {
                let Ok(slot) = slot else { break };
                let accepted = tokio::select! {
                    () = &mut shutdown => break,
                    accepted = listener.accept() => accepted,
                };
                // A failed accept concerns one peer, not the server.
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let serving = connection(stream, router.clone(), stopped.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(slot);
                });
            }
        }
    }
    background.abort();
    let _ = stop.send(true);
    let all_done = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = all_done => {}
        () = SystemSleeper.sleep(SHUTDOWN_TIMEOUT) => {}
    }
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let response = match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<Cut>().is_some() { Err(ConnectionCut) } else { Ok(response) }
        }
    });
    let mut serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let stopping = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stopping => {
            std::pin::Pin::new(&mut serving).graceful_shutdown();
            (&mut serving).await
        }
    };
    if ended.is_err_and(|error| error.is_user()) {
        let stream = serving.into_parts().io.into_inner();
        let _ = stream.set_zero_linger();
    }
}
