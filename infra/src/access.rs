//! How tools reach the servers of a stack: clients that know its secrets.

use std::time::Duration;

use anyhow::Result;
use chassis::{
    config::{
        ElasticsearchAccessArgs, ElasticsearchArgs, KafkaArgs, KafkaSecurityArgs, SaslMechanism,
        SecurityProtocol,
    },
    elasticsearch::Elasticsearch,
    kafka::KafkaBrokers,
};
use testbed::stack::{Endpoints, Security};

/// For clients of Kafka.
pub fn brokers(endpoints: &Endpoints) -> Result<KafkaBrokers> {
    let Some(security) = &endpoints.security else {
        return Ok(KafkaBrokers::plain(endpoints.kafka.as_str()));
    };
    let security = KafkaSecurityArgs {
        protocol: SecurityProtocol::SaslSsl,
        mechanism: Some(SaslMechanism::ScramSha512),
        sasl_username: Some(Security::USER.to_owned()),
        sasl_password: Some(security.password.as_str().into()),
        ca_file: Some(security.ca_file.clone()),
        certificate_file: Some(security.client_certificate_file.clone()),
        key_file: Some(security.client_key_file.clone()),
    };
    let args = KafkaArgs {
        bootstrap: endpoints.kafka.clone(),
        partitions: 1,
        security,
    };
    Ok(KafkaBrokers::new(&args)?)
}

/// A client of Elasticsearch.
pub fn elasticsearch(endpoints: &Endpoints, timeout: Duration) -> Result<Elasticsearch> {
    let access = endpoints.security.as_ref();
    let access = access.map(|security| ElasticsearchAccessArgs {
        ca_file: Some(security.ca_file.clone()),
        api_key: None,
        username: Some(Security::USER.to_owned()),
        password: Some(security.password.as_str().into()),
    });
    let args = ElasticsearchArgs {
        url: endpoints.elasticsearch.clone(),
        access: access.unwrap_or_default(),
    };
    Ok(Elasticsearch::connect(&args, timeout)?)
}
