//! `testbed run-server`: gives up root, binds its life to the supervisor's, becomes the server.

use std::{os::unix::process::CommandExt, process::Command, str::FromStr};

use anyhow::{Context, Result, bail};
use nix::{
    sys::{prctl, signal::Signal},
    unistd::{self, Gid, Pid, Uid},
};

use crate::cli::RunServer;

pub fn run(args: &RunServer) -> Result<()> {
    unistd::setsid().context("leaving the supervisor's session")?;
    if let (Some(uid), Some(gid)) = (args.uid, args.gid) {
        let gid = Gid::from_raw(gid);
        unistd::setgroups(&[gid]).context("giving up root's groups")?;
        unistd::setgid(gid).context("giving up root's group")?;
        unistd::setuid(Uid::from_raw(uid)).context("giving up root")?;
    }
    // After giving up root, which would undo it.
    prctl::set_pdeathsig(Signal::from_str(&args.on_orphaned)?)
        .context("binding the server to its supervisor")?;
    if unistd::getppid() != Pid::from_raw(args.parent) {
        bail!("the supervisor has ended");
    }
    let (program, rest) = args.program.split_first().context("no program was named")?;
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}
