//! The emulator on a file: reopened, locked, killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tradepost_marketplace::doors::{Environment as _, ProcessEnvironment};
use tradepost_store::embedded::EmbeddedError;
use tradepost_store::{Embedded, Where, Write};

use crate::{Task, bench_at, key, listener, task};

const CHILD_FILE: &str = "TRADEPOST_TEST_CHILD_FILE";
const LINES_BEFORE_THE_KILL: usize = 5;

fn in_use(result: &Result<Embedded, EmbeddedError>) -> bool {
    matches!(result, Err(EmbeddedError::InUse { .. }))
}

async fn start(path: &Path) -> Result<Embedded, EmbeddedError> {
    Embedded::start(Where::File(path.to_owned()), listener().await).await
}

#[tokio::test]
async fn a_file_is_reopened_and_nobody_shares_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let bench = bench_at(Where::File(path.clone())).await;
    bench.store.commit(vec![Write::create(&task("p", "s")).unwrap()]).await.unwrap();
    assert!(in_use(&start(&path).await));
    bench.embedded.stop().await;

    let again = bench_at(Where::File(path.clone())).await;
    assert_eq!(again.store.get::<Task>(&key("p", "s")).await.unwrap().unwrap().version, 1);
    drop(again);
    start(&path).await.unwrap();

    let nowhere = start(&folder.path().join("no/such/folder/store")).await;
    assert!(matches!(nowhere, Err(EmbeddedError::File { .. })), "{nowhere:?}");
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "on_a_file::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(CHILD_FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let answered: Vec<String> = lines
        .filter_map(|line| line.split_once("committed ").map(|(_, sk)| sk.to_owned()))
        .take(LINES_BEFORE_THE_KILL)
        .collect();
    assert_eq!(answered.len(), LINES_BEFORE_THE_KILL);
    assert!(in_use(&start(&path).await), "the child holds the file");
    child.kill().unwrap();
    child.wait().unwrap();

    let bench = bench_at(Where::File(path)).await;
    for sk in answered {
        // Both halves of each transaction are there.
        assert!(bench.store.get::<Task>(&key("p", &sk)).await.unwrap().is_some(), "{sk}");
        assert!(bench.store.get::<Task>(&key("q", &sk)).await.unwrap().is_some(), "{sk}");
    }
    let halves =
        (bench.store.query("p", "", 9).await.unwrap().len(), bench.store.query("q", "", 9).await.unwrap().len());
    assert_eq!(halves.0, halves.1);
}

/// The child of the test above; alone it does nothing.
#[tokio::test]
#[ignore = "run by a_kill_loses_nothing_that_was_answered"]
async fn writes_until_it_is_killed() {
    let Some(path) = ProcessEnvironment.var(CHILD_FILE) else { return };
    let bench = bench_at(Where::File(PathBuf::from(path))).await;
    for n in 0_u32.. {
        let sk = format!("{n:06}");
        let pair = vec![Write::create(&task("p", &sk)).unwrap(), Write::create(&task("q", &sk)).unwrap()];
        bench.store.commit(pair).await.unwrap();
        println!("committed {sk}");
    }
}
