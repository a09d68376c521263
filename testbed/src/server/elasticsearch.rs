//! Elasticsearch: one node, many small indexes, no disk watermarks.
//!
//! A stack may allow a second node, which holds data alone: the first stays the master when it goes.

use std::{
    fmt::{Display, Write},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Server, Site, launch::Launch};
use crate::{endpoints::Endpoints, security::Security, user};

/// The names of the nodes.
const FIRST_NODE: &str = "tidemark";
const SECOND_NODE: &str = "tidemark-2";

/// Kept in step with `docker/compose.yaml`; a test compares them.
pub const SETTINGS: &[(&str, &str)] = &[
    ("cluster.name", "tidemark"),
    ("node.name", FIRST_NODE),
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
    let launch = prepare_node(site, Server::Elasticsearch, &settings(site))?;
    write_secrets(site, &config(site, Server::Elasticsearch))?;
    Ok(launch.env("ES_JAVA_OPTS", "-Xms1g -Xmx1g"))
}

/// A node that joins the first.
pub(super) fn prepare_second(site: &Site) -> Result<Launch> {
    ensure!(
        site.second_elasticsearch && site.security.is_none(),
        "this stack has one node of Elasticsearch"
    );
    let launch = prepare_node(site, Server::SecondElasticsearch, &settings_of_second(site))?;
    Ok(launch.env("ES_JAVA_OPTS", "-Xms512m -Xmx512m"))
}

fn config(site: &Site, node: Server) -> PathBuf {
    site.data(node).join("config")
}

fn prepare_node(site: &Site, node: Server, settings: &str) -> Result<Launch> {
    let data = site.data(node);
    let config = config(site, node);
    for dir in [&data, &config, &data.join("logs"), &data.join("indices")] {
        user::create_dir_for(site.user, dir)?;
    }
    let home = &site.artifacts.elasticsearch;
    copy_options(
        &home.join("config/jvm.options"),
        &config.join("jvm.options"),
    )?;
    fs::write(config.join("log4j2.properties"), LOGGING)?;
    fs::write(config.join("elasticsearch.yml"), settings)?;
    Ok(
        Launch::new(home.join("bin/elasticsearch"), data.join("logs"))
            .env("ES_JAVA_HOME", &site.artifacts.jdk)
            .env("ES_PATH_CONF", &config)
            .env("ES_TMPDIR", site.scratch()),
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
    let ports = &site.ports;
    let mut text = paths(site, Server::Elasticsearch);
    let mut add = |name: &str, value: &dyn Display| {
        writeln!(text, "{name}: {value}").expect("writing to a string does not fail");
    };
    add("http.port", &ports.elasticsearch);
    add("transport.port", &ports.elasticsearch_transport);
    for (name, value) in SETTINGS {
        match *name {
            "discovery.type" if site.second_elasticsearch => {
                add("cluster.initial_master_nodes", &FIRST_NODE);
            }
            "xpack.security.enabled" if site.security.is_some() => add(name, &true),
            _ => add(name, value),
        }
    }
    if site.security.is_some() {
        text.push_str(SECURED);
    }
    text
}

/// Nobody but the first node needs to find it, so it listens on any ports.
fn settings_of_second(site: &Site) -> String {
    let first = format!("127.0.0.1:{}", site.ports.elasticsearch_transport);
    let mut text = paths(site, Server::SecondElasticsearch);
    let mut add = |name: &str, value: &str| {
        writeln!(text, "{name}: {value}").expect("writing to a string does not fail");
    };
    add("http.port", "0");
    add("transport.port", "0");
    add("discovery.seed_hosts", &first);
    add("node.roles", "data");
    for (name, value) in SETTINGS {
        match *name {
            "discovery.type" => {}
            "node.name" => add(name, SECOND_NODE),
            _ => add(name, value),
        }
    }
    text
}

fn paths(site: &Site, node: Server) -> String {
    let data = site.data(node);
    format!(
        "path.data: {}\npath.logs: {}\nnetwork.host: 127.0.0.1\n",
        data.join("indices").display(),
        data.join("logs").display(),
    )
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
    ask_health(endpoints, "wait_for_status=yellow").await
}

/// Whether the second node has joined the first.
pub(super) async fn check_joined(endpoints: &Endpoints) -> Result<()> {
    ask_health(endpoints, "wait_for_nodes=2").await
}

async fn ask_health(endpoints: &Endpoints, condition: &str) -> Result<()> {
    let server = &endpoints.elasticsearch;
    let health = format!("{server}/_cluster/health?{condition}&timeout=2s");
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(4));
    let Some(security) = &endpoints.security else {
        return ask(client.build()?.get(health)).await;
    };
    let authority = reqwest::Certificate::from_pem(&fs::read(&security.ca_file)?)?;
    let client = client.add_root_certificate(authority).build()?;
    let request = client.get(health);
    ask(request.basic_auth(Security::USER, Some(&security.password))).await
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
