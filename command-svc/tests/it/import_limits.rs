//! What imports may take: memory of the service, and patience with a client that does not read.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chassis::auth::Role;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Body, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::service::{Service, token};

const PATH: &str = "/v1/imports/products";
const MAX_RESIDENT_BYTES: u64 = 300 * 1024 * 1024;
const AT_ONCE: usize = 8;
/// A line that a transaction takes to the lanes, and that stays there while they are held.
const PRODUCT: &str =
    "{\"sku\": \"L-1\", \"name\": \"Lamp\", \"price\": {\"amount\": 5, \"currency\": \"EUR\"}}\n";

/// A product, followed by this number of lines that are refused.
fn empty_objects(lines: usize) -> (Vec<u8>, &'static str) {
    let body = format!("{PRODUCT}{}", "{}\n".repeat(lines));
    (body.into_bytes(), "identity")
}

/// A product, and then a line of so many MiB, in a thousandth of them.
fn bomb(mebibytes: usize) -> Result<(Vec<u8>, &'static str)> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(PRODUCT.as_bytes())?;
    for _ in 0..mebibytes {
        encoder.write_all(&[0; 1024 * 1024])?;
    }
    Ok((encoder.finish()?, "gzip"))
}

/// Sends it in small pieces, and counts the lines of its answer.
async fn import(service: &Service, (body, coding): (Vec<u8>, &'static str)) -> Result<usize> {
    let pieces: Vec<_> = body.chunks(32 * 1024).map(<[u8]>::to_vec).collect();
    let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let answer = service
        .request(Method::POST, PATH)
        .header(CONTENT_TYPE, "application/x-ndjson")
        .header(CONTENT_ENCODING, coding)
        .timeout(Duration::from_secs(600))
        .body(Body::wrap_stream(pieces))
        .send()
        .await?;
    ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
    let (mut lines, mut pieces) = (0, answer.bytes_stream());
    while let Some(piece) = pieces.next().await {
        lines += piece?.iter().filter(|byte| **byte == b'\n').count();
    }
    Ok(lines)
}

/// Eight imports at once, half of them bombs, while no transaction gets on.
async fn stay_small(lines: usize, mebibytes: usize) -> Result<()> {
    let service = Service::start().await?;
    let other = service.hold("lane").await?;
    let bomb = bomb(mebibytes)?;
    let bodies = (0..AT_ONCE).map(|number| match number % 2 {
        0 => empty_objects(lines),
        _ => bomb.clone(),
    });
    let answered = try_join_all(bodies.map(|body| import(&service, body))).await?;
    for (number, answered) in answered.into_iter().enumerate() {
        // The product, what follows it, and the totals.
        let expected = 2 + if number % 2 == 0 { lines } else { 1 };
        ensure!(answered == expected, "import {number}: {answered} lines");
    }
    let peak = service.peak_resident_bytes()?;
    ensure!(peak < MAX_RESIDENT_BYTES, "{} MiB resident", peak >> 20);
    other.batch_execute("commit").await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_short_lines_and_bombs_at_once_take_little_memory() -> Result<()> {
    stay_small(20_000, 128).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "full size: half a minute of full load; just nightly runs it"]
async fn a_million_lines_and_bombs_of_a_gibibyte_at_once_take_little_memory() -> Result<()> {
    stay_small(1_000_000, 1_024).await
}

/// A client that sends all its lines, each refused and so many bytes long, before it reads: the
/// answers.
async fn send_then_read(service: &Service, lines: usize, line_bytes: usize) -> Result<Vec<Value>> {
    let mut client = client_with_little_room(service).await?;
    let line = format!("{}\n", json!({"name": "x".repeat(line_bytes)}));
    let host = service.url.trim_start_matches("http://");
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        token(Role::Admin, Duration::from_secs(600)),
        lines * line.len()
    );
    client.write_all(head.as_bytes()).await?;
    for _ in 0..lines {
        client.write_all(line.as_bytes()).await?;
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    let (head, chunks) = answer.split_once("\r\n\r\n").context("an answer")?;
    ensure!(head.contains(" 200 "), "{head}");
    let answers = joined(chunks)?;
    let answers = answers.lines().map(serde_json::from_str);
    Ok(answers.collect::<Result<_, _>>()?)
}

/// What the chunks of an answer hold.
fn joined(mut chunks: &str) -> Result<String> {
    let mut joined = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n").context("a chunk has a length")?;
        let length = usize::from_str_radix(length, 16)?;
        if length == 0 {
            return Ok(joined);
        }
        let (chunk, rest) = rest.split_at_checked(length).context("a whole chunk")?;
        joined.push_str(chunk);
        chunks = rest.strip_prefix("\r\n").context("a chunk ends")?;
    }
}

/// So that answers which are not read wait in the service.
async fn client_with_little_room(service: &Service) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(16 * 1024)?;
    let address = service.url.trim_start_matches("http://");
    Ok(socket.connect(address.parse()?).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_send_everything_before_it_reads_while_answers_are_kept_for_it() -> Result<()>
{
    const LINES: usize = 10_000;
    let service = Service::start().await?;
    let answers = send_then_read(&service, LINES, 6_000).await?;
    let (totals, answers) = answers.split_last().context("an answer has totals")?;
    ensure!(
        answers.len() == LINES && totals["refused"] == LINES,
        "{totals}"
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_too_late_is_told_which_lines_were_not_imported() -> Result<()> {
    const LINES: usize = 60_000;
    let service = Service::start().await?;
    let told = send_then_read(&service, LINES, 2_000);
    let told = tokio::time::timeout(Duration::from_secs(50), told).await;
    let answers = told.context("it hangs")??;
    let (last, answers) = answers.split_last().context("an answer has an end")?;
    ensure!(
        last["problem"]["type"] == "/problems/answers-not-read",
        "{last}"
    );
    ensure!(
        last["lines"] == answers.len() && answers.len() < LINES,
        "{last}"
    );
    for (number, answer) in (1..).zip(answers) {
        ensure!(
            answer["line"] == number && answer["status"] == "refused",
            "{answer}"
        );
    }
    service.stop().await
}
