//! `/v1/imports/…`: a streamed body in, a streamed answer out, in step with each other.
//!
//! The import itself runs on the shared runtime; this side only moves pieces of the body there,
//! and answers back. The response's header leaves before the first line is read.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use chassis::auth::Principal;
use chassis::problem::ApiError;
use chassis::server::Correlation;
use chassis::tidemark::{Session, Tides};
use futures::{Stream, StreamExt, stream};
use schemas::event::Meta;
use schemas::problem::{Problem, ProblemType};
use schemas::rest::import::{LineAnswer, ProductUpsert};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::described::Problems;
use crate::config::{IMPORT_RETRY_AFTER_MS, PIECES_IN_FLIGHT};
use crate::import::{Client, Coding, Imports, Piece, Stopped};

const NDJSON: &str = "application/x-ndjson";
/// Media types under which lines are sent.
const TAKEN: [&str; 5] = [
    NDJSON,
    "application/ndjson",
    "application/jsonl",
    "application/octet-stream",
    "",
];
const GZIP: [&str; 2] = ["gzip", "x-gzip"];

/// Upserts products by sku from a stream of lines (NDJSON, may be gzipped).
///
/// Answers a line for each line, in order, and totals at the end with a tidemark that covers all.
/// A member that is left out leaves what is stored alone, null or an empty value clears it;
/// `attributes` and `categories` are replaced as a whole. A new product needs sku, name and price.
/// Missing categories are made; `inventory` counts where a product is made; a bad line is refused
/// and stops no other. Read the answers while sending: 4 MiB of them are kept, those of some 50,000
/// lines; where more wait and none is read for 10 s, the rest of the lines is not imported, and the
/// last answer is the problem `answers-not-read` in place of the totals. An answer without totals
/// was cut off: send the file again, products that are there already are `unchanged`.
#[utoipa::path(
    post, path = "/v1/imports/products", tag = "imports",
    request_body(content = ProductUpsert, content_type = "application/x-ndjson"),
    responses((status = 200, body = LineAnswer, content_type = "application/x-ndjson"), Problems)
)]
pub async fn import_products(request: ImportRequest) -> HttpResponse {
    let (piece_sender, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
    let (answers, answer_receiver) = mpsc::channel(PIECES_IN_FLIGHT);
    let ImportRequest {
        payload,
        coding,
        imports,
        meta,
        session,
        tides,
        permit,
    } = request;
    let tidemark = session
        .tidemark()
        .expect("no request is accepted before the epoch is known");
    let client = Client {
        pieces,
        coding,
        answers,
        tidemark,
        tides,
        meta,
    };
    imports.spawn(client, permit);
    actix_web::rt::spawn(forward(payload, piece_sender));
    HttpResponse::Ok()
        .content_type(NDJSON)
        .streaming(answer(answer_receiver))
}

/// Ends with the body, or when the import takes no more of it.
async fn forward(mut payload: Payload, pieces: Sender<Piece>) {
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| {
            tracing::debug!(error = %error, "failed to read the body of an import");
            Stopped::Body
        });
        let broke_off = piece.is_err();
        if pieces.send(piece).await.is_err() || broke_off {
            return;
        }
    }
}

fn answer(answers: Receiver<Result<Bytes, Stopped>>) -> impl Stream<Item = Result<Bytes, Stopped>> {
    stream::unfold(answers, |mut answers| async {
        let next = answers.recv().await?;
        Some((next, answers))
    })
}

/// An admin's request to import, before its body is looked at.
pub struct ImportRequest {
    payload: Payload,
    coding: Coding,
    imports: Imports,
    meta: Meta,
    session: Session,
    tides: Tides,
    permit: OwnedSemaphorePermit,
}

impl FromRequest for ImportRequest {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Self::read(request, payload))
    }
}

impl ImportRequest {
    fn read(request: &HttpRequest, payload: &mut Payload) -> Result<Self, ApiError> {
        let admin = Principal::from_request(request, payload)
            .into_inner()?
            .require_admin()?;
        let coding = check_headers(request)?;
        let missing = |what: &str| ApiError::internal(format!("no {what} were configured"));
        let imports = request
            .app_data::<web::Data<Imports>>()
            .ok_or_else(|| missing("imports"))?;
        let tides = request
            .app_data::<web::Data<Tides>>()
            .ok_or_else(|| missing("tides"))?;
        let permit = imports.admit().ok_or_else(busy)?;
        let session = Session::from_request(request, payload)
            .into_inner()
            .unwrap_or_default();
        let correlation = Correlation::from_request(request, payload).into_inner();
        let Correlation {
            request_id,
            traceparent,
        } = correlation.unwrap_or_default();
        Ok(Self {
            payload: payload.take(),
            coding,
            imports: imports.get_ref().clone(),
            meta: Meta {
                principal: Some(admin),
                request_id: Some(request_id),
                traceparent,
            },
            session,
            tides: tides.get_ref().clone(),
            permit,
        })
    }
}

fn check_headers(request: &HttpRequest) -> Result<Coding, ApiError> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let refused = |detail: &str| Err(ApiError::new(ProblemType::UnsupportedMediaType, detail));
    let essence = header(CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .unwrap_or("");
    if !TAKEN.contains(&essence.trim().to_ascii_lowercase().as_str()) {
        return refused("send application/x-ndjson");
    }
    let coding = header(CONTENT_ENCODING)
        .unwrap_or("identity")
        .to_ascii_lowercase();
    match coding.as_str() {
        "identity" => Ok(Coding::Identity),
        coding if GZIP.contains(&coding) => Ok(Coding::Gzip),
        _ => refused("send the body gzipped or without a content coding"),
    }
}

fn busy() -> ApiError {
    let detail = "too many imports are running";
    Problem::new(ProblemType::TooManyRequests, detail)
        .retry_after_ms(IMPORT_RETRY_AFTER_MS)
        .into()
}
