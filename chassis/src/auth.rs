//! Who is asking: a bearer token (JWT, HS256) becomes a `Principal`.
//!
//! No token is anonymous; a token that is not valid is 401, never anonymous, so that an expired
//! session is noticed. A secret that could be guessed signs and verifies nothing.

mod crypto;

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{FromRequest, HttpRequest, web};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use schemas::problem::ProblemType;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;
use crate::problem::ApiError;

/// How far the clocks of issuers may differ, in seconds.
const LEEWAY_SECONDS: u64 = 5;
/// As many as the digest of HS256 has, which is what RFC 7518 asks for.
const MIN_SECRET_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the bearer tokens is shorter than {MIN_SECRET_BYTES} bytes")]
pub struct ShortSecret;

#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error(transparent)]
    Secret(#[from] ShortSecret),
    #[error("sign the bearer token")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    Anonymous,
    Customer(Uuid),
    Admin(Uuid),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    Customer,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: Uuid,
    role: Role,
    exp: u64,
}

/// Checks bearer tokens. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    pub fn new(secret: &SecretString) -> Result<Self, ShortSecret> {
        crypto::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_aud = false;
        validation.validate_nbf = true;
        let key = DecodingKey::from_secret(long_enough(secret)?);
        Ok(Self { key, validation })
    }

    /// Reads the value of an `Authorization` header.
    pub fn verify(&self, authorization: &HeaderValue) -> Result<Principal, ApiError> {
        let token = authorization
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| unauthenticated("the Authorization header holds no bearer token"))?;
        let claims = decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| {
                unauthenticated("the bearer token is not valid or has expired").caused_by(error)
            })?
            .claims;
        Ok(match claims.role {
            Role::Admin => Principal::Admin(claims.sub),
            Role::Customer => Principal::Customer(claims.sub),
        })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// A token for tools and tests.
pub fn mint(
    secret: &SecretString,
    role: Role,
    sub: Uuid,
    ttl: Duration,
) -> Result<String, MintError> {
    crypto::install();
    let now = u64::try_from(clock::now().timestamp()).unwrap_or_default();
    let claims = Claims {
        sub,
        role,
        exp: now + ttl.as_secs(),
    };
    let key = EncodingKey::from_secret(long_enough(secret)?);
    Ok(encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}

fn long_enough(secret: &SecretString) -> Result<&[u8], ShortSecret> {
    let bytes = secret.expose_secret().as_bytes();
    (bytes.len() >= MIN_SECRET_BYTES)
        .then_some(bytes)
        .ok_or(ShortSecret)
}

impl Principal {
    /// `sub` of the token; none for the anonymous.
    pub fn id(self) -> Option<Uuid> {
        match self {
            Self::Anonymous => None,
            Self::Customer(id) | Self::Admin(id) => Some(id),
        }
    }

    pub fn is_admin(self) -> bool {
        matches!(self, Self::Admin(_))
    }

    /// Anybody with a token.
    pub fn require_authenticated(self) -> Result<Uuid, ApiError> {
        self.id()
            .ok_or_else(|| unauthenticated("a bearer token is needed"))
    }

    pub fn require_admin(self) -> Result<Uuid, ApiError> {
        match self {
            Self::Admin(id) => Ok(id),
            Self::Customer(_) => Err(forbidden("only admins may do that")),
            Self::Anonymous => Err(unauthenticated("a bearer token of an admin is needed")),
        }
    }

    pub fn require_customer(self) -> Result<Uuid, ApiError> {
        match self {
            Self::Customer(id) => Ok(id),
            Self::Admin(_) => Err(forbidden("only customers may do that")),
            Self::Anonymous => Err(unauthenticated("a bearer token of a customer is needed")),
        }
    }

    /// The customer themself, or any admin.
    pub fn require_self_or_admin(self, customer: Uuid) -> Result<(), ApiError> {
        match self {
            Self::Admin(_) => Ok(()),
            Self::Customer(id) if id == customer => Ok(()),
            Self::Customer(_) => Err(forbidden("this belongs to another customer")),
            Self::Anonymous => Err(unauthenticated("a bearer token is needed")),
        }
    }
}

impl FromRequest for Principal {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(authorization) = request.headers().get(AUTHORIZATION) else {
            return ready(Ok(Self::Anonymous));
        };
        let verifier = request.app_data::<web::Data<Verifier>>();
        let missing = || ApiError::internal("no token verifier was given to the server");
        ready(
            verifier
                .ok_or_else(missing)
                .and_then(|verifier| verifier.verify(authorization)),
        )
    }
}

fn unauthenticated(detail: &str) -> ApiError {
    ApiError::new(ProblemType::Unauthenticated, detail).with_header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"tidemark\""),
    )
}

fn forbidden(detail: &str) -> ApiError {
    ApiError::new(ProblemType::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn secret() -> SecretString {
        SecretString::from("a secret of the tests, of 32 byte")
    }

    fn verify(authorization: &str) -> Result<Principal, ApiError> {
        Verifier::new(&secret())
            .unwrap()
            .verify(&HeaderValue::from_str(authorization).unwrap())
    }

    #[test]
    fn a_minted_token_is_its_principal() {
        let sub = clock::new_id();
        let token = mint(&secret(), Role::Admin, sub, HOUR).unwrap();
        assert_eq!(
            verify(&format!("Bearer {token}")).unwrap(),
            Principal::Admin(sub)
        );
        assert_eq!(
            verify(&format!("bearer  {token}")).unwrap(),
            Principal::Admin(sub)
        );
    }

    #[test]
    fn an_expired_token_is_refused() {
        let past = clock::now().timestamp() - 60;
        let claims = serde_json::json!({"sub": clock::new_id(), "role": "admin", "exp": past});
        let key = EncodingKey::from_secret(secret().expose_secret().as_bytes());
        let token = encode(&Header::default(), &claims, &key).unwrap();
        assert_eq!(
            verify(&format!("Bearer {token}"))
                .unwrap_err()
                .problem()
                .status,
            401
        );
    }

    #[test]
    fn a_token_signed_by_somebody_else_is_refused() {
        let other = SecretString::from("another secret that is long enough");
        let token = mint(&other, Role::Admin, clock::new_id(), HOUR).unwrap();
        assert_eq!(
            verify(&format!("Bearer {token}"))
                .unwrap_err()
                .problem()
                .status,
            401
        );
    }

    #[rstest]
    #[case::empty("")]
    #[case::one_byte_too_short("thirty-one bytes for the tests!")]
    fn a_secret_that_can_be_guessed_neither_verifies_nor_signs(#[case] secret: &str) {
        let secret = SecretString::from(secret);
        assert_eq!(Verifier::new(&secret).unwrap_err(), ShortSecret);
        assert!(mint(&secret, Role::Admin, clock::new_id(), HOUR).is_err());
    }

    #[rstest]
    #[case::another_scheme("Basic dXNlcjpwYXNz")]
    #[case::no_token("Bearer")]
    #[case::no_jwt("Bearer abc")]
    #[case::unsigned("Bearer eyJhbGciOiJub25lIn0.e30.")]
    fn what_is_no_token_is_refused(#[case] authorization: &str) {
        assert_eq!(verify(authorization).unwrap_err().problem().status, 401);
    }

    #[test]
    fn the_anonymous_are_asked_for_a_token_and_customers_are_forbidden() {
        let status = |result: Result<Uuid, ApiError>| result.unwrap_err().problem().status;
        assert_eq!(status(Principal::Anonymous.require_admin()), 401);
        assert_eq!(
            status(Principal::Customer(clock::new_id()).require_admin()),
            403
        );
    }

    #[test]
    fn customers_reach_only_what_is_theirs() {
        let (mine, theirs) = (clock::new_id(), clock::new_id());
        assert!(
            Principal::Customer(mine)
                .require_self_or_admin(mine)
                .is_ok()
        );
        assert!(
            Principal::Customer(mine)
                .require_self_or_admin(theirs)
                .is_err()
        );
        assert!(Principal::Admin(mine).require_self_or_admin(theirs).is_ok());
    }
}
