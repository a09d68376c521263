//! Elasticsearch: one node, many small indexes, no disk watermarks.

use std::{fmt::Write, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{Server, Site, launch::Launch};
use crate::{
    stack::{Endpoints, Security},
    user,
};

/// Kept in step with `docker/compose.yaml`; a test compares them.
pub const SETTINGS: &[(&str, &str)] = &[
    ("cluster.name", "tidemark"),
    ("node.name", "tidemark"),
    ("discovery.type", "single-node"),
    ("xpack.security.enabled", "false"),
    ("action.auto_create_index", "false"),
    ("cluster.routing.allocation.disk.threshold_enabled", "false"),
    ("cluster.max_shards_per_node", "3000"),
];

/// To the console, which goes to the one log file; the stock settings would write several more.
const LOGGING: &str = "\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
";

pub(super) fn prepare(site: &Site) -> Result<Launch> {
    let data = site.data(Server::Elasticsearch);
    let config = data.join("config");
    for dir in [&data, &config, &data.join("logs"), &data.join("indices")] {
        user::create_dir_for(site.user, dir)?;
    }
    let home = &site.artifacts.elasticsearch;
    copy_options(
        &home.join("config/jvm.options"),
        &config.join("jvm.options"),
    )?;
    fs::write(config.join("log4j2.properties"), LOGGING)?;
    fs::write(config.join("elasticsearch.yml"), settings(site))?;
    write_secrets(site, &config)?;
    Ok(
        Launch::new(home.join("bin/elasticsearch"), data.join("logs"))
            .env("ES_JAVA_HOME", &site.artifacts.jdk)
            .env("ES_PATH_CONF", &config)
            .env("ES_TMPDIR", site.scratch())
            .env("ES_JAVA_OPTS", "-Xms1g -Xmx1g"),
    )
}

/// The server's own, without its log of the garbage collector.
fn copy_options(from: &Path, to: &Path) -> Result<()> {
    let text = fs::read_to_string(from).with_context(|| format!("reading {}", from.display()))?;
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("gc.log"))
        .collect();
    fs::write(to, kept.join("\n") + "\n").with_context(|| format!("writing {}", to.display()))
}

fn settings(site: &Site) -> String {
    let data = site.data(Server::Elasticsearch);
    let mut text = format!(
        "path.data: {}\npath.logs: {}\nnetwork.host: 127.0.0.1\nhttp.port: {}\ntransport.port: {}\n",
        data.join("indices").display(),
        data.join("logs").display(),
        site.ports.elasticsearch,
        site.ports.elasticsearch_transport,
    );
    for (name, value) in SETTINGS {
        let value = match (*name, &site.security) {
            ("xpack.security.enabled", Some(_)) => "true",
            _ => value,
        };
        writeln!(text, "{name}: {value}").expect("writing to a string does not fail");
    }
    if site.security.is_some() {
        text.push_str(SECURED);
    }
    text
}

/// Over https only; the users are those of the files, which need no index.
const SECURED: &str = "\
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.certificate: server.pem
xpack.security.http.ssl.key: server.key
xpack.security.http.ssl.certificate_authorities: ca.pem
xpack.security.authc.realms.file.users.order: 0
";

/// Elasticsearch reads certificates from its folder of settings alone.
fn write_secrets(site: &Site, config: &Path) -> Result<()> {
    let Some(security) = &site.security else {
        return Ok(());
    };
    let secrets = [
        (&security.ca_file, "ca.pem"),
        (&security.server_certificate_file, "server.pem"),
        (&security.server_key_file, "server.key"),
    ];
    for (from, name) in secrets {
        let file = site.secret(Server::Elasticsearch, from, name)?;
        fs::rename(&file, config.join(name)).context("moving a certificate")?;
    }
    let (user, password) = (Security::USER, &security.password);
    fs::write(config.join("users"), format!("{user}:{password}\n"))?;
    fs::write(config.join("users_roles"), format!("superuser:{user}\n"))?;
    Ok(())
}

pub(super) async fn check(endpoints: &Endpoints) -> Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(4));
    let Some(security) = &endpoints.security else {
        return ask(client.build()?.get(health(endpoints))).await;
    };
    let authority = reqwest::Certificate::from_pem(&fs::read(&security.ca_file)?)?;
    let client = client.add_root_certificate(authority).build()?;
    let request = client.get(health(endpoints));
    ask(request.basic_auth(Security::USER, Some(&security.password))).await
}

fn health(endpoints: &Endpoints) -> String {
    let server = &endpoints.elasticsearch;
    format!("{server}/_cluster/health?wait_for_status=yellow&timeout=2s")
}

async fn ask(request: reqwest::RequestBuilder) -> Result<()> {
    let response = request
        .send()
        .await
        .context("connecting to Elasticsearch")?;
    ensure!(
        response.status().is_success(),
        "Elasticsearch answers {}",
        response.status()
    );
    Ok(())
}
