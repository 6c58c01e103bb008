//! A plain server on the loopback address, for development, tests and containers; stops cleanly on SIGINT
//! and SIGTERM, letting open requests finish. Fails when the port is taken.

use std::net::Ipv4Addr;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

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
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    tracing::info!("stopped");
    Ok(())
}
