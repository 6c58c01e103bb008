//! A plain server on the loopback address, for development, tests and containers; stops cleanly on SIGINT
//! and SIGTERM, letting open requests finish. Fails when the port is taken.
//!
//! The socket is ours here, so its limits are, too: so many connections, so long for the head of a request (the
//! guard limits the body). Who is over them is cut off or waits; everybody else is served.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tradepost_marketplace::doors::{Sleeper, SystemSleeper};

use crate::guard::{HEADERS_BYTES_MAX, HEADERS_MAX, PATH_BYTES_MAX, QUERY_BYTES_MAX};

/// The most connections open at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request that is read, the request line and all headers; the guard says more exactly what of
/// it may be how large.
const HEAD_BYTES_MAX: usize = HEADERS_BYTES_MAX + PATH_BYTES_MAX + QUERY_BYTES_MAX;
/// How long open requests may take to end after a signal: longer than any deadline by default.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn serve(router: Router, port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("port {port} on 127.0.0.1 cannot be taken; PORT names another"))?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tracing::info!(server.address = %listener.local_addr()?, "listening");
    accept(listener, router, HEAD_TIMEOUT, stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Serves connections until `stop`, then lets open requests finish.
async fn accept(listener: TcpListener, router: Router, head_timeout: Duration, stop: impl Future<Output = ()>) {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    protocol.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = &mut stop => break,
            next = next => next,
        };
        // A failed accept concerns one peer, not the server.
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let connection = protocol.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // Whatever ended it ended one peer's connection.
            let _ = connection.await;
            drop(slot);
        });
    }
    tokio::select! {
        () = open.shutdown() => {}
        () = SystemSleeper.sleep(STOP_TIMEOUT) => tracing::warn!("requests were cut off"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use axum::routing::get;
    use tokio::sync::oneshot;

    use super::*;

    /// Serves in a thread of its own; dropped, it stops.
    fn serving(head_timeout: Duration) -> (SocketAddr, oneshot::Sender<()>) {
        let (tell, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let router = Router::new().route("/", get(async || "here"));
                accept(listener, router, head_timeout, async { drop(stopped.await) }).await;
            });
        });
        (address.recv().unwrap(), stop)
    }

    fn answer(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end as good as any.
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn a_head_that_does_not_end_is_cut_off() {
        let (address, _stop) = serving(Duration::from_millis(20));
        let silent = TcpStream::connect(address).unwrap();
        let mut begun = TcpStream::connect(address).unwrap();
        begun.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-half").unwrap();
        // Both would be waited for without end, were they not cut.
        for stream in [silent, begun] {
            let answer = answer(stream);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        }
        let mut whole = TcpStream::connect(address).unwrap();
        whole.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        assert!(answer(whole).ends_with("here"));
    }

    #[test]
    fn a_head_that_is_too_large_is_refused() {
        let (address, _stop) = serving(HEAD_TIMEOUT);
        for (name, head) in [
            ("long", format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(2 * HEAD_BYTES_MAX))),
            ("many", format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-one: 1\r\n".repeat(HEADERS_MAX + 1))),
            ("path", format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(2 * HEAD_BYTES_MAX))),
        ] {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(head.as_bytes());
            let answer = answer(stream);
            let is_refused = ["HTTP/1.1 431", "HTTP/1.1 414", "HTTP/1.1 400"].iter().any(|it| answer.starts_with(it));
            assert!(is_refused || answer.is_empty(), "{name}: {answer}");
        }
    }
}
