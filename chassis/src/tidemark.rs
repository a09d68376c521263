//! The tidemark in HTTP: what a request presents, and what every response carries.
//!
//! The server's middleware opens the tokens of a request before any handler runs and signs the
//! `Session` into every response: also a 404, a panic, a refusal. Handlers only ever raise it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use schemas::id::Epoch;
use schemas::lane::Position;
use schemas::problem::ProblemType;
use schemas::tidemark::{Keyring, MAX_TOKENS, Presented as Opened, Tidemark};

use crate::problem::ApiError;

pub static TIDEMARK: HeaderName = HeaderName::from_static("tidemark");

/// The epoch of this history, known once the service has asked PostgreSQL or the topic for it.
/// Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct EpochHandle(Arc<OnceLock<Epoch>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the epoch is {found} but this process started with {started}")]
pub struct EpochChanged {
    pub started: Epoch,
    pub found: Epoch,
}

impl EpochHandle {
    /// Sets it, once. Another one later means another history: the process has to end.
    pub fn set(&self, found: Epoch) -> Result<(), EpochChanged> {
        let started = *self.0.get_or_init(|| found);
        if started == found {
            Ok(())
        } else {
            Err(EpochChanged { started, found })
        }
    }

    pub fn get(&self) -> Option<Epoch> {
        self.0.get().copied()
    }
}

/// Opens and signs tokens of this history. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tides {
    keyring: Arc<Keyring>,
    epoch: EpochHandle,
}

/// What the tokens of a request say, merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    pub tidemark: Tidemark,
    /// How many tokens there were; 0 needs no cover.
    pub tokens: usize,
    /// Those of another epoch, an unknown key or a future version: the read then needs the heads
    /// at its arrival.
    pub foreign: Vec<String>,
}

impl Tides {
    pub fn new(keyring: Keyring, epoch: EpochHandle) -> Self {
        Self {
            keyring: Arc::new(keyring),
            epoch,
        }
    }

    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch.get()
    }

    pub fn sign(&self, tidemark: &Tidemark) -> String {
        self.keyring.sign(tidemark)
    }

    /// Opens all tokens of a request: up to 8, comma-separated, over all its header lines.
    pub fn open(&self, headers: &HeaderMap, epoch: Epoch) -> Result<Presented, ApiError> {
        let mut presented = Presented {
            tidemark: Tidemark::new(epoch),
            tokens: 0,
            foreign: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for line in headers.get_all(&TIDEMARK) {
            let line = line
                .to_str()
                .map_err(|error| not_ours("no text").caused_by(error))?;
            let tokens = line.split(',').map(str::trim);
            for token in tokens.filter(|token| !token.is_empty()) {
                presented.tokens += 1;
                if presented.tokens > MAX_TOKENS {
                    let detail = format!("a request carries at most {MAX_TOKENS} tidemarks");
                    return Err(ApiError::new(ProblemType::Malformed, detail));
                }
                if !seen.insert(token) {
                    continue;
                }
                match self.keyring.open(token, epoch) {
                    Ok(Opened::Ours(tidemark)) => presented.tidemark.merge(&tidemark),
                    Ok(Opened::Foreign(_)) => presented.foreign.push(token.to_owned()),
                    Err(error) => return Err(not_ours(&error.to_string())),
                }
            }
        }
        Ok(presented)
    }
}

fn not_ours(why: &str) -> ApiError {
    ApiError::new(ProblemType::TidemarkMalformed, why)
}

/// What the response of a request will say: what was presented, raised by what was shown.
///
/// Cheap to clone and safe to hand to another thread; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Session {
    cell: Arc<Mutex<Said>>,
}

#[derive(Debug, Default)]
struct Said {
    tidemark: Option<Tidemark>,
    /// Foreign tokens that nobody has read the heads for: the client gets them back beside its new
    /// one, so that a later read does.
    owed: Vec<String>,
}

impl Session {
    pub fn raise(&self, position: Position) {
        self.update(|tidemark| tidemark.raise(position));
    }

    /// Raises `G`.
    pub fn raise_offset(&self, offset: u64) {
        self.update(|tidemark| tidemark.raise_offset(offset));
    }

    pub fn merge(&self, other: &Tidemark) {
        self.update(|tidemark| tidemark.merge(other));
    }

    /// For what else there is to do, such as pruning what every view covers.
    pub fn update(&self, change: impl FnOnce(&mut Tidemark)) {
        if let Some(tidemark) = self.lock().tidemark.as_mut() {
            change(tidemark);
        }
    }

    /// Forgets what was presented: it is of a history that is gone.
    pub fn start_over(&self) {
        let mut said = self.lock();
        said.owed.clear();
        said.tidemark = said.tidemark.take().map(|old| Tidemark::new(old.epoch()));
    }

    /// As it stands now; none only while the epoch is not known.
    pub fn tidemark(&self) -> Option<Tidemark> {
        self.lock().tidemark.clone()
    }

    /// The tidemark has the heads that a foreign token stands for.
    pub fn settle(&self) {
        self.lock().owed.clear();
    }

    pub(crate) fn start(&self, tidemark: Tidemark) {
        self.lock().tidemark = Some(tidemark);
    }

    /// As many as fit into a request beside the new token.
    pub(crate) fn owe(&self, foreign: &[String]) {
        let fit = foreign.iter().take(MAX_TOKENS - 1);
        self.lock().owed = fit.cloned().collect();
    }

    /// The header of the response; none while the epoch is not known.
    pub(crate) fn header(&self, tides: &Tides) -> Option<String> {
        let said = self.lock();
        let mut tokens = vec![tides.sign(said.tidemark.as_ref()?)];
        tokens.extend(said.owed.iter().cloned());
        Some(tokens.join(", "))
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.cell
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl FromRequest for Session {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_default()))
    }
}

impl FromRequest for Presented {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let presented = request.extensions().get::<Self>().cloned();
        ready(presented.ok_or_else(|| ApiError::internal("the server was given no tides")))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use schemas::lane::Lane;

    use super::*;
    use crate::config::DEVELOPMENT_TIDEMARK_KEYS;

    const EPOCH: Epoch = Epoch(7);

    fn tides() -> Tides {
        let keyring = DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
        Tides::new(keyring, EpochHandle::default())
    }

    fn token(epoch: Epoch, lane: u8, seq: u64) -> String {
        let mut tidemark = Tidemark::new(epoch);
        tidemark.raise(Position {
            lane: Lane::try_from(lane).unwrap(),
            seq,
        });
        tides().sign(&tidemark)
    }

    fn open(lines: &[String]) -> Result<Presented, ApiError> {
        let request = lines.iter().fold(TestRequest::default(), |request, line| {
            request.append_header(("Tidemark", line.as_str()))
        });
        tides().open(request.to_http_request().headers(), EPOCH)
    }

    #[test]
    fn tokens_are_merged_over_all_lines() {
        let lines = [
            format!("{}, {}", token(EPOCH, 1, 5), token(EPOCH, 2, 6)),
            token(EPOCH, 1, 9),
        ];
        let presented = open(&lines).unwrap();
        assert_eq!(presented.tokens, 3);
        assert_eq!(presented.tidemark.seq(Lane::try_from(1_u8).unwrap()), 9);
        assert_eq!(presented.tidemark.seq(Lane::try_from(2_u8).unwrap()), 6);
        assert!(presented.foreign.is_empty());
    }

    #[test]
    fn a_ninth_token_is_refused() {
        let lines = vec![token(EPOCH, 1, 5); 9];
        let error = open(&lines).unwrap_err();
        assert!(error.problem().is(ProblemType::Malformed));
        assert!(open(&lines[..8]).is_ok());
    }

    #[test]
    fn a_foreign_token_that_comes_again_is_kept_once() {
        let lines = vec![token(Epoch(8), 1, 5); 8];
        let presented = open(&lines).unwrap();
        assert_eq!((presented.tokens, presented.foreign.len()), (8, 1));
    }

    #[test]
    fn a_token_of_another_history_is_foreign_and_says_nothing() {
        let foreign = token(Epoch(8), 1, 5);
        let presented = open(std::slice::from_ref(&foreign)).unwrap();
        assert_eq!(presented.foreign, [foreign]);
        assert_eq!(presented.tidemark, Tidemark::new(EPOCH));
    }

    #[test]
    fn a_flipped_character_is_refused() {
        let mut line = token(EPOCH, 1, 5);
        let flipped = if line.ends_with('A') { 'B' } else { 'A' };
        line.pop();
        line.push(flipped);
        assert!(
            open(&[line])
                .unwrap_err()
                .problem()
                .is(ProblemType::TidemarkMalformed)
        );
    }

    #[test]
    fn an_epoch_is_set_once() {
        let handle = EpochHandle::default();
        assert_eq!(handle.get(), None);
        handle.set(EPOCH).unwrap();
        handle.set(EPOCH).unwrap();
        assert!(handle.set(Epoch(8)).is_err());
        assert_eq!(handle.get(), Some(EPOCH));
    }
}
