//! A key that could be guessed ends the process, which says which one it is.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// The process with one variable, and servers that are not there.
async fn start(variable: &str, value: &str) -> Output {
    let process = Command::new(env!("CARGO_BIN_EXE_command-svc"))
        .env("BIND", "127.0.0.1:0")
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .env("KAFKA_BOOTSTRAP", "127.0.0.1:1")
        .env(variable, value)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(ENDS_WITHIN, process).await;
    ended
        .expect("the process ends")
        .expect("the process starts")
}

fn assert_refused(output: &Output, variable: &str, reason: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains(variable) && told.contains(reason), "{told}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(!printed.contains("listening"), "{printed}");
}

#[tokio::test]
async fn an_empty_or_short_secret_of_bearer_tokens_ends_the_process_with_the_reason() {
    for secret in ["", "swordfish", "thirty-one bytes for the tests!"] {
        let output = start("JWT_SECRET", secret).await;
        assert_refused(&output, "JWT_SECRET", "shorter than 32 bytes");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(secret.is_empty() || !told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn a_missing_or_short_tidemark_key_ends_the_process_with_the_reason() {
    let output = start("TIDEMARK_KEYS", "").await;
    assert_refused(&output, "TIDEMARK_KEYS", "needs at least one key");
    let output = start("TIDEMARK_KEYS", "1:000102030405060708090a0b0c0d0e0f").await;
    assert_refused(&output, "TIDEMARK_KEYS", "key 1 is shorter than 32 bytes");
}
