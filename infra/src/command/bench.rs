//! `tidemark bench`: figures of a throw-away Tidemark beside those of its floor.

use anyhow::Result;

use crate::{
    bench::{self, options::Options},
    output,
};

pub(super) async fn run(options: Options) -> Result<()> {
    let report = bench::run(&options).await?;
    output::line(if options.json {
        report.to_json()
    } else {
        report.to_table()
    });
    Ok(())
}
