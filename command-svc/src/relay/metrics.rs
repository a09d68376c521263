//! Metrics of the relay.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const PUBLISHED: &str = "tidemark_relay_published_total";
const REFUSED: &str = "tidemark_relay_refused_total";
const LAG: &str = "tidemark_relay_lag_events";
const OWNED: &str = "tidemark_relay_owned_partitions";
const PARTITIONS: &str = "tidemark_relay_partitions";
const PRODUCER_STARTS: &str = "tidemark_relay_producer_starts_total";

pub fn describe() {
    describe_counter!(PUBLISHED, Unit::Count, "Events that Kafka has acknowledged");
    describe_counter!(
        REFUSED,
        Unit::Count,
        "Events that Kafka refused; readers fill these gaps"
    );
    describe_gauge!(
        LAG,
        Unit::Count,
        "Committed events of owned lanes that Kafka has not settled"
    );
    describe_gauge!(OWNED, Unit::Count, "Partitions that this process publishes");
    describe_gauge!(
        PARTITIONS,
        Unit::Count,
        "Partitions of the events topic; owned by all processes together, or something stands"
    );
    describe_counter!(
        PRODUCER_STARTS,
        Unit::Count,
        "Producers made; more than one per start is a failure"
    );
}

pub fn published() {
    counter!(PUBLISHED).increment(1);
}

pub fn refused() {
    counter!(REFUSED).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 events behind")]
pub fn lag(events: u64) {
    gauge!(LAG).set(events as f64);
}

#[expect(clippy::cast_precision_loss, reason = "at most 64 partitions")]
pub fn owned(partitions: usize) {
    gauge!(OWNED).set(partitions as f64);
}

/// As last seen in Kafka.
pub fn partitions(partitions: i32) {
    gauge!(PARTITIONS).set(f64::from(partitions));
}

pub fn producer_started() {
    counter!(PRODUCER_STARTS).increment(1);
}
