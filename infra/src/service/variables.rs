//! What services are told of the servers: the environment variables of their `--help`.

use std::path::PathBuf;

use testbed::{namespace::Surroundings, stack::Security};

use super::Service;

/// Variables that every service reads; only command-svc may write to PostgreSQL.
pub(super) fn variables(surroundings: &Surroundings, service: Service) -> Vec<(String, String)> {
    let Surroundings {
        endpoints,
        database,
        prefix,
    } = surroundings;
    let database_url = match service {
        Service::CommandSvc => endpoints.database_url(database),
        Service::Projector | Service::QuerySvc => endpoints.reader_url(database),
    };
    let addresses = [
        ("DATABASE_URL", database_url),
        ("KAFKA_BOOTSTRAP", endpoints.kafka.clone()),
        ("ELASTICSEARCH_URL", endpoints.elasticsearch.clone()),
        ("TIDEMARK_PREFIX", prefix.clone()),
    ];
    let secured = endpoints.security.iter().flat_map(secured_variables);
    let all = addresses.into_iter().chain(secured);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn secured_variables(security: &Security) -> Vec<(&'static str, String)> {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    vec![
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL".to_owned()),
        ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
        ("KAFKA_SASL_USERNAME", Security::USER.to_owned()),
        ("KAFKA_SASL_PASSWORD", security.password.clone()),
        ("KAFKA_SSL_CA_FILE", path(&security.ca_file)),
        (
            "KAFKA_SSL_CERTIFICATE_FILE",
            path(&security.client_certificate_file),
        ),
        ("KAFKA_SSL_KEY_FILE", path(&security.client_key_file)),
        ("ELASTICSEARCH_CA_FILE", path(&security.ca_file)),
        ("ELASTICSEARCH_USERNAME", Security::USER.to_owned()),
        ("ELASTICSEARCH_PASSWORD", security.password.clone()),
    ]
}
