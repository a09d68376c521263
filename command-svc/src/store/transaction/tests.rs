//! Which transactions are tried again, and for how long.

use std::time::Duration;

use chassis::clock;
use deadpool_postgres::PoolError;
use rstest::rstest;

use super::*;

type Error = TransactionError<Expired>;

/// A reason that passes.
#[derive(Debug, thiserror::Error)]
#[error("expired")]
struct Expired;

impl AbortReason for Expired {
    fn label(&self) -> &'static str {
        "expired"
    }

    fn is_transient(&self) -> bool {
        true
    }
}

const UNKEYED: Repeat = Repeat::Command { keyed: false };
const KEYED: Repeat = Repeat::Command { keyed: true };
const BUDGET: Duration = Duration::from_secs(2);

fn attempts(repeat: Repeat) -> Attempts {
    Attempts::new(Deadline::within(BUDGET), repeat, |_| ())
}

/// A connection that broke.
fn lost() -> StoreError {
    StoreError::Borrow(PoolError::Closed)
}

/// A programming error.
fn mistake() -> StoreError {
    StoreError::Abandoned
}

#[rstest]
fn a_command_is_repeated_where_nothing_was_committed_and_it_may_pass(
    #[values(UNKEYED, KEYED)] command: Repeat,
    #[values(
        Fault::LockTimeout,
        Fault::Deadlock,
        Fault::Serialization,
        Fault::UniqueViolation,
        Fault::ConnectionLost,
        Fault::Timeout,
        Fault::Other
    )]
    fault: Fault,
) {
    let passes = matches!(
        fault,
        Fault::LockTimeout | Fault::Deadlock | Fault::Serialization
    );
    let is_lost = fault == Fault::ConnectionLost;
    assert_eq!(command.allows(fault, false, true), passes || is_lost);
    assert_eq!(command.allows(fault, false, false), passes);
    // Whatever broke it within COMMIT, only a key shows the outcome.
    assert_eq!(command.allows(fault, true, true), command == KEYED);
    assert_eq!(command.allows(fault, true, false), command == KEYED);
}

#[rstest]
fn what_is_idempotent_is_repeated_on_all_but_a_mistake(
    #[values(false, true)] is_unknown: bool,
    #[values(false, true)] may_reconnect: bool,
) {
    for fault in [
        Fault::LockTimeout,
        Fault::Deadlock,
        Fault::Serialization,
        Fault::UniqueViolation,
        Fault::ConnectionLost,
        Fault::Timeout,
    ] {
        assert!(Repeat::Idempotent.allows(fault, is_unknown, may_reconnect));
    }
    assert!(!Repeat::Idempotent.allows(Fault::Other, is_unknown, may_reconnect));
}

#[tokio::test(start_paused = true)]
async fn a_command_takes_a_third_connection_and_no_fourth() {
    let mut attempts = attempts(UNKEYED);
    for _ in 0..2 {
        attempts.again::<Expired>(lost().into()).await.unwrap();
    }
    let given_up = attempts.again::<Expired>(lost().into()).await.unwrap_err();
    assert!(matches!(given_up, TransactionError::Store(_)));
}

#[rstest]
#[case::of_a_command(UNKEYED, || TransactionError::Aborted(Expired))]
#[case::of_an_import(Repeat::Idempotent, || lost().into())]
#[tokio::test(start_paused = true)]
async fn tries_end_before_the_deadline(#[case] repeat: Repeat, #[case] error: fn() -> Error) {
    let (began, mut attempts) = (clock::instant(), attempts(repeat));
    let mut tries = 0;
    while attempts.again(error()).await.is_ok() {
        tries += 1;
    }
    assert!(tries > 5, "{tries}");
    assert!(began.elapsed() < BUDGET, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_ends_a_command_without_a_key() {
    let mut attempts = attempts(UNKEYED);
    let given_up = attempts.again::<Expired>(TransactionError::Unknown(lost()));
    let given_up = given_up.await.unwrap_err();
    assert!(matches!(given_up, TransactionError::Unknown(_)));
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_unknown_stays_so(#[values(KEYED, Repeat::Idempotent)] repeat: Repeat) {
    let mut attempts = attempts(repeat);
    assert!(!attempts.may_be_committed());
    let unknown = TransactionError::Unknown(lost());
    attempts.again::<Expired>(unknown).await.unwrap();
    assert!(attempts.may_be_committed());
    let given_up = attempts.again::<Expired>(mistake().into()).await;
    let given_up = given_up.unwrap_err();
    assert!(matches!(given_up, TransactionError::Unknown(_)));
    assert_eq!(given_up.label(), "other");
}
