//! Which settings go together, and what is said of those that do not.

use clap::Parser;
use rdkafka::consumer::BaseConsumer;
use rstest::rstest;

use super::*;

#[derive(Debug, Parser)]
struct Service {
    #[command(flatten)]
    kafka: KafkaArgs,
}

fn brokers(options: &[&str]) -> Result<KafkaBrokers, BrokersError> {
    let options = std::iter::once("service").chain(options.iter().copied());
    KafkaBrokers::new(&Service::parse_from(options).kafka)
}

const SASL: [&str; 4] = [
    "--kafka-security-protocol=SASL_SSL",
    "--kafka-sasl-mechanism=SCRAM-SHA-512",
    "--kafka-sasl-username=tidemark",
    "--kafka-sasl-password=swordfish",
];

#[rstest]
#[case::all_of_sasl(&SASL, "SASL_SSL")]
#[case::small_letters(&["--kafka-security-protocol=ssl"], "SSL")]
fn a_client_of_the_library_can_be_made(#[case] options: &[&str], #[case] protocol: &str) {
    let made = match brokers(options) {
        Ok(brokers) => brokers,
        // A machine without authorities of its own cannot verify anybody.
        Err(BrokersError::Tls(TlsError::NoSystemRoots)) => return,
        Err(error) => panic!("{protocol}: {error}"),
    };
    let config = made.client_config();
    assert_eq!(
        config.get("security.protocol"),
        Some(protocol.to_lowercase().as_str())
    );
    config.create::<BaseConsumer>().unwrap();
}

#[test]
fn scram_works_without_tls_and_plain_does_not() {
    let mut options = SASL;
    options[0] = "--kafka-security-protocol=SASL_PLAINTEXT";
    let config = brokers(&options).unwrap().client_config();
    config.create::<BaseConsumer>().unwrap();
    options[1] = "--kafka-sasl-mechanism=PLAIN";
    let refused = brokers(&options).unwrap_err();
    assert!(
        matches!(refused, BrokersError::PasswordInClear),
        "{refused}"
    );
}

#[rstest]
#[case::a_password_without_sasl(&["--kafka-sasl-password=x"], "KAFKA_SASL_PASSWORD is set")]
#[case::a_user_without_sasl(
    &["--kafka-security-protocol=SSL", "--kafka-sasl-username=x"],
    "KAFKA_SASL_USERNAME is set"
)]
#[case::an_authority_without_tls(&["--kafka-ssl-ca-file=/ca.pem"], "KAFKA_SSL_CA_FILE is set")]
#[case::half_an_identity(
    &["--kafka-security-protocol=SSL", "--kafka-ssl-key-file=/key.pem"],
    "given together"
)]
#[case::no_mechanism(
    &["--kafka-security-protocol=SASL_PLAINTEXT"],
    "KAFKA_SASL_MECHANISM is not set"
)]
#[case::an_empty_password(
    &[
        "--kafka-security-protocol=SASL_PLAINTEXT", "--kafka-sasl-mechanism=SCRAM-SHA-256",
        "--kafka-sasl-username=x", "--kafka-sasl-password=",
    ],
    "KAFKA_SASL_PASSWORD is not set"
)]
fn settings_that_contradict_each_other_are_refused(#[case] options: &[&str], #[case] reason: &str) {
    let refused = brokers(options).unwrap_err().to_string();
    assert!(refused.contains(reason), "{refused}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let options = [
        "--kafka-security-protocol=SSL",
        "--kafka-ssl-ca-file=/nowhere/ca.pem",
    ];
    let refused = brokers(&options).unwrap_err();
    let told = crate::telemetry::Chain(&refused).to_string();
    assert!(told.contains("/nowhere/ca.pem"), "{told}");
}

#[test]
fn no_secret_is_ever_printed() {
    let printed = format!("{:?}", brokers(&SASL));
    assert!(!printed.contains("swordfish"), "{printed}");
}
