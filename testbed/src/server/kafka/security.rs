//! Settings of a broker that clients reach with SASL over TLS alone. The broker itself is a client
//! too, by PLAIN: SCRAM users are known only once it runs.

use anyhow::Result;

use super::super::{Server, Site, launch::Launch};
use crate::security::Security;

const BROKER: &str = "broker";

/// Nothing for a broker that trusts everybody.
pub(super) fn settings(site: &Site) -> Result<String> {
    let Some(security) = &site.security else {
        return Ok(String::new());
    };
    let mut store = std::fs::read(&security.server_key_file)?;
    store.extend(std::fs::read(&security.server_certificate_file)?);
    let store = site.write_secret(Server::Kafka, "server.pem", &store)?;
    let authority = site.secret(Server::Kafka, &security.ca_file, "ca.pem")?;
    let (password, user) = (&security.password, Security::USER);
    Ok(format!(
        "ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n\
         ssl.client.auth=required\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
         sasl.mechanism.inter.broker.protocol=PLAIN\n\
         listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         listener.name.sasl_ssl.plain.sasl.jaas.config=\
         org.apache.kafka.common.security.plain.PlainLoginModule required \
         username=\"{BROKER}\" password=\"{password}\" \
         user_{BROKER}=\"{password}\" user_{user}=\"{password}\";\n",
        store.display(),
        authority.display()
    ))
}

/// SCRAM users are written when the data folder is formatted.
pub(super) fn format(site: &Site, format: Launch) -> Launch {
    let Some(security) = &site.security else {
        return format;
    };
    let (user, password) = (Security::USER, &security.password);
    format
        .arg("--add-scram")
        .arg(format!("SCRAM-SHA-512=[name={user},password={password}]"))
}
