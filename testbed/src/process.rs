//! Processes by identity: a pid is only ours while its start time is the one that was noted, since
//! pids are used again. Signals go to whole trees: PostgreSQL's children lead their own groups and
//! Elasticsearch is a launcher with the server below it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

/// Set for every process of a stack or deployment; names the folder of what it belongs to.
pub const MARKER: &str = "TIDEMARK_STACK_DIR";

/// Set beside it for every server process; names the server.
pub const SERVER_MARKER: &str = "TIDEMARK_SERVER";

/// A process that can be told from a later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks since boot, from `/proc/<pid>/stat`.
    start_time: u64,
}

impl Identity {
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        stat(pid).map(|stat| Self {
            pid,
            start_time: stat.start_time,
        })
    }

    /// Running, that is: there, the same, and no zombie.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time && stat.state != 'Z')
    }

    /// Does nothing when the process is gone.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// The process and all below it, parents first.
    pub fn tree(self) -> Vec<Self> {
        let mut children: HashMap<i32, Vec<Self>> = HashMap::new();
        for pid in pids() {
            if let Some(stat) = stat(pid) {
                let child = Self {
                    pid,
                    start_time: stat.start_time,
                };
                children.entry(stat.parent).or_default().push(child);
            }
        }
        let mut tree = vec![self];
        let mut next = 0;
        while let Some(parent) = tree.get(next).copied() {
            tree.extend(children.remove(&parent.pid).unwrap_or_default());
            next += 1;
        }
        tree
    }
}

/// Sends a signal to each.
pub fn signal_all(processes: &[Identity], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

/// Waits until all are gone; `false` when the time is up first.
pub async fn wait_gone(processes: &[Identity], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while processes.iter().any(|process| process.is_alive()) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Server processes of the stack in `dir` that have outlived the process that started them: those that carry
/// the marker, and PostgreSQL's, which overwrite their environment but sit in their data folder.
pub fn leftovers(dir: &Path) -> Vec<Identity> {
    let marker = marker(dir);
    identities(|pid| carries(pid, &marker) || is_postgres_in(pid, dir))
}

/// Those of one server.
pub fn leftovers_of(dir: &Path, server: &str) -> Vec<Identity> {
    let markers = [marker(dir), format!("{SERVER_MARKER}={server}")];
    let data = dir.join("data").join(server);
    identities(|pid| {
        markers.iter().all(|marker| carries(pid, marker)) || is_postgres_in(pid, &data)
    })
}

/// Processes that carry the marker of this folder.
pub fn marked(dir: &Path) -> Vec<Identity> {
    let marker = marker(dir);
    identities(|pid| carries(pid, &marker))
}

fn identities(belongs: impl Fn(i32) -> bool) -> Vec<Identity> {
    pids()
        .filter(|pid| belongs(*pid))
        .filter_map(|pid| Identity::of(pid.cast_unsigned()))
        .collect()
}

fn marker(dir: &Path) -> String {
    format!("{MARKER}={}", dir.display())
}

fn carries(pid: i32, entry: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .any(|found| found == entry.as_bytes())
}

fn is_postgres_in(pid: i32, dir: &Path) -> bool {
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default();
    link("exe").ends_with("bin/postgres") && link("cwd").starts_with(dir)
}

/// What listens on a port of this machine, as `name (pid n)`, if it may be seen.
pub fn listener(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| {
            let table = fs::read_to_string(table).ok()?;
            table
                .lines()
                .skip(1)
                .find_map(|line| listening_inode(line, port))
        })?;
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    let pid = pids().find(|pid| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == socket))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("{} (pid {pid})", name.trim()))
}

fn listening_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = fields.get(1)?.rsplit(':').next()?;
    let listening = *fields.get(3)? == "0A";
    let matches = u16::from_str_radix(local, 16).is_ok_and(|local| local == port);
    (listening && matches)
        .then(|| fields.get(9).map(|inode| (*inode).to_owned()))
        .flatten()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

struct Stat {
    state: char,
    parent: i32,
    start_time: u64,
}

/// The name, in parentheses, may hold anything, so fields are counted from its end.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let start_time = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        state,
        parent,
        start_time,
    })
}

#[cfg(test)]
mod tests {
    use super::{Identity, listener};

    #[test]
    fn a_process_knows_itself_and_not_another_with_its_pid() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(
            !Identity {
                start_time: me.start_time + 1,
                ..me
            }
            .is_alive()
        );
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listener(socket.local_addr().unwrap().port()).unwrap();
        assert!(
            found.contains(&format!("pid {}", std::process::id())),
            "{found}"
        );
    }
}
