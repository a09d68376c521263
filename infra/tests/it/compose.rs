//! The container variant has the same settings.

use testbed::stack::{ELASTICSEARCH_SETTINGS, KAFKA_SETTINGS, POSTGRES_SETTINGS, Ports};

const COMPOSE: &str = include_str!("../../docker/compose.yaml");

fn assert_has(line: &str) {
    assert!(
        COMPOSE
            .lines()
            .any(|found| found.trim().replace('"', "") == line),
        "no line {line}"
    );
}

#[test]
fn every_setting_of_the_servers_is_in_the_compose_file() {
    for (name, value) in POSTGRES_SETTINGS {
        assert_has(&format!("- {name}={value}"));
    }
    for (name, value) in KAFKA_SETTINGS {
        assert_has(&format!(
            "KAFKA_{}: {value}",
            name.replace('.', "_").to_uppercase()
        ));
    }
    for (name, value) in ELASTICSEARCH_SETTINGS {
        assert_has(&format!("{name}: {value}"));
    }
}

#[test]
fn the_ports_are_those_of_up() {
    let ports = Ports::FIXED;
    assert_has(&format!("- 127.0.0.1:{}:5432", ports.postgres));
    assert_has(&format!("- 127.0.0.1:{0}:{0}", ports.kafka));
    assert_has(&format!("- 127.0.0.1:{}:9200", ports.elasticsearch));
}
