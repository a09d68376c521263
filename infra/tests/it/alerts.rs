//! The alerts, by Prometheus' own tool: each fires on what it is for, and not on what is next to it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring")
}

fn promtool(arguments: &[&str]) {
    let run = Command::new("promtool")
        .args(arguments)
        .current_dir(monitoring())
        .output()
        .expect("promtool is installed: it comes with Debian's package prometheus");
    let told = String::from_utf8_lossy(&run.stdout);
    let failed = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}{failed}");
}

#[test]
fn every_rule_is_well_formed() {
    promtool(&["check", "rules", "alerts.yaml"]);
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    promtool(&["test", "rules", "alerts_test.yaml"]);
}

#[test]
fn every_alert_is_tested() {
    let read = |file| std::fs::read_to_string(monitoring().join(file)).unwrap();
    let (rules, tests) = (read("alerts.yaml"), read("alerts_test.yaml"));
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(!alerts.is_empty(), "there are no alerts");
    for alert in alerts {
        let fires = format!("alertname: {alert}\n");
        assert!(tests.contains(&fires), "no test has {alert} fire");
    }
}
