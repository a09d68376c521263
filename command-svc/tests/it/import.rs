//! Imports over real HTTP: every line is answered, in order, and nothing of it is half done.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chassis::auth::Role;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Body, Method, RequestBuilder, StatusCode};
use schemas::lane::LaneSeqs;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::service::{self, Service, send, token};

const PATH: &str = "/v1/imports/products";
const WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Beside the workspace, where it is at all.
const REAL_DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");

/// An import's answer: a line each, and the totals.
#[derive(Debug)]
pub struct Answered {
    pub lines: Vec<Value>,
    pub totals: Value,
}

impl Answered {
    pub fn statuses(&self) -> Vec<&str> {
        self.lines
            .iter()
            .filter_map(|line| line["status"].as_str())
            .collect()
    }

    pub fn count(&self, status: &str) -> u64 {
        self.totals[status].as_u64().unwrap_or_default()
    }

    pub fn ensure_totals(&self, expected: [(&str, u64); 4]) -> Result<()> {
        for (status, count) in expected {
            let told = self
                .statuses()
                .iter()
                .filter(|told| **told == status)
                .count() as u64;
            ensure!(self.count(status) == count, "{status}: {}", self.totals);
            ensure!(told == count, "{status}: {told} lines");
        }
        ensure!(self.totals["lines"] == json!(self.lines.len()));
        Ok(())
    }
}

pub fn all(created: u64, updated: u64, unchanged: u64, refused: u64) -> [(&'static str, u64); 4] {
    [
        ("created", created),
        ("updated", updated),
        ("unchanged", unchanged),
        ("refused", refused),
    ]
}

fn request(service: &Service, body: impl Into<Body>) -> RequestBuilder {
    let request = service
        .request(Method::POST, PATH)
        .timeout(Duration::from_secs(300));
    request
        .header(CONTENT_TYPE, "application/x-ndjson")
        .body(body)
}

pub async fn import(service: &Service, body: impl Into<Body>) -> Result<Answered> {
    read(request(service, body)).await
}

async fn read(request: RequestBuilder) -> Result<Answered> {
    let response = request.send().await?;
    ensure!(
        response.status() == StatusCode::OK,
        "{}",
        response.text().await?
    );
    let text = response.text().await?;
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let mut lines = lines?;
    let totals = lines.pop().context("an answer ends in totals")?;
    ensure!(
        totals["tidemark"].is_string(),
        "the answer broke off at {totals}"
    );
    Ok(Answered { lines, totals })
}

pub fn lamp(sku: &str) -> Value {
    json!({
        "sku": sku, "name": format!("Lamp {sku}"), "description": "A lamp.", "brand": "Lumen",
        "price": {"amount": 1999, "currency": "EUR"}, "categories": ["Home > Lamps > Desk"],
        "inventory": 3, "attributes": {"colour": "red"}
    })
}

fn with(sku: &str, member: &str, value: Value) -> Value {
    let mut line = lamp(sku);
    line[member] = value;
    line
}

pub fn body(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub fn lamps(count: usize) -> Vec<Value> {
    (0..count)
        .map(|number| lamp(&format!("L-{number}")))
        .collect()
}

pub async fn ensure_sound(service: &Service) -> Result<()> {
    let (told, rows_are_folds) = service.verify().await?;
    ensure!(rows_are_folds, "{told:?}");
    let gaps = "select l.id from lane l left join event e on e.lane = l.id
        group by l.id, l.head having count(e.seq) <> l.head";
    ensure!(
        service.db.query(gaps, &[]).await?.is_empty(),
        "a lane has gaps"
    );
    Ok(())
}

async fn ensure_covered(service: &Service, answered: &Answered) -> Result<()> {
    let token = answered.totals["tidemark"].as_str().unwrap_or_default();
    let tidemark = service::open(token)?;
    let covered: LaneSeqs = tidemark
        .entries()
        .map(|entry| (entry.lane, entry.seq))
        .collect();
    ensure!(covered.covers(&service.heads().await?), "{covered:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_lines_make_products_with_stock_and_categories() -> Result<()> {
    let service = Service::start().await?;
    let answered = import(&service, body(&lamps(120))).await?;
    answered.ensure_totals(all(120, 0, 0, 0))?;
    let numbers: Vec<u64> = answered
        .lines
        .iter()
        .filter_map(|l| l["line"].as_u64())
        .collect();
    ensure!(numbers == (1..=120).collect::<Vec<_>>());
    ensure_covered(&service, &answered).await?;
    ensure_sound(&service).await?;
    let categories = service
        .db
        .query_one("select count(*) from category", &[])
        .await?;
    ensure!(categories.get::<_, i64>(0) == 3);
    let id = answered.lines[7]["id"]
        .as_str()
        .context("a line names its product")?;
    let row = "select p.sku, s.on_hand, c.name
        from product p join stock s on s.product_id = p.id
        join product_category pc on pc.product_id = p.id join category c on c.id = pc.category_id
        where p.id::text = $1";
    let row = service.db.query_one(row, &[&id]).await?;
    let read: (String, i64, String) = (row.get(0), row.get(1), row.get(2));
    ensure!(read == ("L-7".to_owned(), 3, "Desk".to_owned()), "{read:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_file_again_is_unchanged_and_moves_no_lane() -> Result<()> {
    let service = Service::start().await?;
    import(&service, body(&lamps(120))).await?;
    let heads = service.heads().await?;
    let again = import(&service, body(&lamps(120))).await?;
    again.ensure_totals(all(0, 0, 120, 0))?;
    ensure!(service.heads().await? == heads);
    ensure_covered(&service, &again).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_change_what_differs_and_nothing_else() -> Result<()> {
    let service = Service::start().await?;
    import(&service, body(&lamps(6))).await?;
    let before = service.heads().await?.total();
    let lines = [
        with("L-0", "price", json!({"amount": 5, "currency": "EUR"})),
        with("L-1", "name", json!("Light")),
        with("L-2", "categories", json!(["Home > Lamps > Floor"])),
        with("L-3", "inventory", json!(500)),
        with("L-4", "attributes", json!({})),
    ];
    let answered = import(&service, body(&lines)).await?;
    answered.ensure_totals(all(0, 4, 1, 0))?;
    ensure!(
        answered.statuses()[3] == "unchanged",
        "an inventory counts on creation alone"
    );
    // Four changes, and a new category.
    ensure!(service.heads().await?.total() == before + 5);
    ensure_covered(&service, &answered).await?;
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_is_refused_and_stops_no_other() -> Result<()> {
    let service = Service::start().await?;
    let long = with("L-9", "description", json!("x".repeat(70_000)));
    let mut file = Vec::new();
    for line in [
        lamp("L-1").to_string().as_bytes(),
        b"{\"sku\": \"\xff\"}",
        b"{\"sku\"",
        long.to_string().as_bytes(),
        with("L-2", "colour", json!("red")).to_string().as_bytes(),
        with("L-3", "price", json!({"amount": -1, "currency": "EUR"}))
            .to_string()
            .as_bytes(),
        with(
            "L-4",
            "categories",
            json!(["1>2 > 3", "a > b > c > d > e > f > g > h > i"]),
        )
        .to_string()
        .as_bytes(),
        b"",
        with("L-5", "name", json!("tab\there"))
            .to_string()
            .as_bytes(),
        with("L-6", "name", json!("nul\u{0}"))
            .to_string()
            .as_bytes(),
        b"[1, 2]",
        lamp("L-7").to_string().as_bytes(),
    ] {
        file.extend_from_slice(line);
        file.push(b'\n');
    }
    let answered = import(&service, file).await?;
    answered.ensure_totals(all(4, 0, 0, 7))?;
    let problems: HashMap<u64, String> = answered
        .lines
        .iter()
        .filter(|line| line["status"] == "refused")
        .filter_map(|line| {
            let name = line["problem"]["type"]
                .as_str()?
                .strip_prefix("/problems/")?;
            Some((line["line"].as_u64()?, name.to_owned()))
        })
        .collect();
    let expected = [
        (2, "malformed"),
        (3, "malformed"),
        (4, "body-too-large"),
        (5, "validation"),
        (6, "validation"),
        (7, "validation"),
        (11, "validation"),
    ];
    ensure!(problems == expected.map(|(line, name)| (line, name.to_owned())).into());
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_says_twice_happens_in_order() -> Result<()> {
    let service = Service::start().await?;
    let priced = |amount: u64| with("L-1", "price", json!({"amount": amount, "currency": "EUR"}));
    let mut lines = vec![priced(1), priced(2), lamp("L-2"), priced(2), priced(3)];
    lines.extend((4..40).map(priced));
    let answered = import(&service, body(&lines)).await?;
    let first = ["created", "updated", "created", "unchanged", "updated"];
    ensure!(
        answered.statuses()[..5] == first,
        "{:?}",
        answered.statuses()
    );
    let price = "select price_amount, version from product where sku = 'L-1'";
    let row = service.db.query_one(price, &[]).await?;
    ensure!((row.get::<_, i64>(0), row.get::<_, i64>(1)) == (39, 39));
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_of_the_same_skus_at_once_make_each_product_once() -> Result<()> {
    let service = Service::start().await?;
    let lines: Vec<Value> = (0..300)
        .map(|n| {
            with(
                &format!("L-{n}"),
                "categories",
                json!([format!("Home > C{}", n % 40)]),
            )
        })
        .collect();
    let file = body(&lines);
    let all_at_once = (0..4).map(|_| import(&service, file.clone()));
    let answered = try_join_all(all_at_once).await?;
    let sum = |status| {
        answered
            .iter()
            .map(|answered| answered.count(status))
            .sum::<u64>()
    };
    ensure!(
        (sum("created"), sum("unchanged")) == (300, 900),
        "{answered:?}"
    );
    for answered in &answered {
        ensure!(answered.lines.len() == 300);
    }
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gzipped_body_of_several_members_is_the_same_body() -> Result<()> {
    let service = Service::start().await?;
    let mut members = Vec::new();
    for lines in lamps(500).chunks(300) {
        let mut encoder = GzEncoder::new(&mut members, Compression::default());
        encoder.write_all(body(lines).as_bytes())?;
        encoder.finish()?;
    }
    let request = request(&service, members).header(CONTENT_ENCODING, "gzip");
    read(request).await?.ensure_totals(all(500, 0, 0, 0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_answered_while_the_body_still_comes() -> Result<()> {
    let service = Service::start().await?;
    let (sender, receiver) = mpsc::channel::<Result<String, std::io::Error>>(1);
    let pieces = stream::unfold(receiver, |mut receiver| async {
        Some((receiver.recv().await?, receiver))
    });
    let first = format!("{}\n", lamp("L-1"));
    sender.send(Ok(first)).await?;
    let response = request(&service, Body::wrap_stream(pieces)).send().await?;
    let mut answers = response.bytes_stream();
    for number in 2..6 {
        let answer = tokio::time::timeout(WITHIN, answers.next()).await?;
        let answer: Value = serde_json::from_slice(&answer.context("an answer")??)?;
        ensure!(answer["line"] == json!(number - 1), "{answer}");
        sender
            .send(Ok(format!("{}\n", lamp(&format!("L-{number}")))))
            .await?;
    }
    drop(sender);
    let mut rest = Vec::new();
    while let Some(piece) = answers.next().await {
        rest.extend_from_slice(&piece?);
    }
    let totals = String::from_utf8(rest)?;
    ensure!(totals.contains("\"created\":5"), "{totals}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_stops_the_import_between_batches() -> Result<()> {
    let service = Service::start().await?;
    let address = service.url.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await?;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
        token(Role::Admin, Duration::from_secs(60))
    );
    client.write_all(head.as_bytes()).await?;
    for number in 0..20 {
        let lines: Vec<Value> = (0..50).map(|n| lamp(&format!("L-{number}-{n}"))).collect();
        let lines = body(&lines);
        client
            .write_all(format!("{:x}\r\n{lines}\r\n", lines.len()).as_bytes())
            .await?;
    }
    let mut answer = String::new();
    while !answer.contains("created") {
        let mut piece = [0; 1024];
        let read = client.read(&mut piece).await?;
        ensure!(read > 0, "the answer ended: {answer}");
        answer.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    drop(client);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let stopped = async {
        while service.metric("tidemark_imports_running").await? > 0.0 {
            looks.tick().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(WITHIN, stopped)
        .await
        .context("the import goes on")??;
    let halves = "select count(*) from product p left join stock s on s.product_id = p.id
        where s.product_id is null";
    let halves: i64 = service.db.query_one(halves, &[]).await?.get(0);
    ensure!(halves == 0, "{halves} products are half there");
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_admin_imports_lines_of_a_known_type() -> Result<()> {
    let service = Service::start().await?;
    let file = body(&lamps(1));
    let customer = token(Role::Customer, Duration::from_secs(60));
    let ndjson = |request: RequestBuilder| {
        request
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(file.clone())
    };
    let anonymous = ndjson(service.anonymous(Method::POST, PATH));
    send(anonymous).await?.expect_problem("unauthenticated")?;
    let customer = ndjson(service.anonymous(Method::POST, PATH).bearer_auth(customer));
    send(customer).await?.expect_problem("forbidden")?;
    let form = service
        .request(Method::POST, PATH)
        .header(CONTENT_TYPE, "text/csv");
    send(form.body(file.clone()))
        .await?
        .expect_problem("unsupported-media-type")?;
    let coded = ndjson(service.request(Method::POST, PATH)).header(CONTENT_ENCODING, "br");
    send(coded)
        .await?
        .expect_problem("unsupported-media-type")?;
    service
        .request(Method::GET, PATH)
        .send()
        .await?
        .error_for_status()
        .err()
        .context("405")?;
    ensure!(service.heads().await? == LaneSeqs::default());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_of_the_real_shops_is_lost() -> Result<()> {
    let Some(shops) = real_files(&["clothing-products", "electronics-products"])? else {
        return Ok(());
    };
    let service = Service::start().await?;
    for (name, file) in shops {
        let lines = file.lines().count();
        let answered = import(&service, file).await?;
        ensure!(answered.lines.len() == lines, "{name}: {}", answered.totals);
        for line in &answered.lines {
            let explained = line["problem"]["detail"].is_string();
            ensure!(line["status"] == "created" || explained, "{name}: {line}");
        }
        ensure!(
            answered.count("refused") == 0,
            "{name}: {}",
            answered.totals
        );
    }
    ensure_sound(&service).await
}

/// None, and a message, on a machine without the data.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to learn of it"
)]
fn real_files(names: &[&str]) -> Result<Option<Vec<(String, String)>>> {
    let folder = Path::new(REAL_DATA);
    if !folder.exists() {
        eprintln!("skipped: there is no {}", folder.display());
        return Ok(None);
    }
    let read = |name: &&str| {
        let file = std::fs::File::open(folder.join(format!("{name}.ndjson.gz")))?;
        let mut text = String::new();
        MultiGzDecoder::new(file).read_to_string(&mut text)?;
        anyhow::Ok(((*name).to_owned(), text))
    };
    names.iter().map(read).collect::<Result<_>>().map(Some)
}
