//! Errors as logs show them: each once, with everything that led to it.

use std::error::Error;
use std::fmt;

/// Shows an error with all its sources: `append events: lock lane: deadlock detected`.
///
/// `tracing::error!(error = %Chain(&error), "…")`
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Tells a new failure from one that repeats: a loop that tries again for hours says each once.
#[derive(Debug, Default)]
pub struct Said {
    last: Option<String>,
}

impl Said {
    /// True where the error reads differently from the one before.
    pub fn is_news(&mut self, error: &(dyn Error + 'static)) -> bool {
        let told = Some(Chain(error).to_string());
        let is_news = self.last != told;
        self.last = told;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("append events")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn a_chain_names_every_cause() {
        let shown = Chain(&Outer(std::fmt::Error)).to_string();
        assert!(
            shown.starts_with("append events: an error occurred"),
            "{shown}"
        );
    }

    #[test]
    fn a_failure_that_repeats_is_said_once() {
        let (one, other) = (Outer(std::fmt::Error), std::io::Error::other("refused"));
        let mut said = Said::default();
        let news = [
            said.is_news(&one),
            said.is_news(&one),
            said.is_news(&other),
            said.is_news(&one),
        ];
        assert_eq!(news, [true, false, true, true]);
    }
}
