//! The least that a function on Vercel can be: what `cargo bench --bench start` compares ours with.

use serde_json::json;
use vercel_runtime::{Error, Request, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| Ok::<_, Error>(json!({ "message": "hello" })))).await
}
