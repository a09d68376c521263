//! Violations: everything that is wrong with a body is reported at once, each at its JSON pointer.

use std::fmt::Display;

use schemas::problem::Violation;

/// No more are reported: a large body could be wrong in tens of thousands of places.
const MAX_VIOLATIONS: usize = 100;

/// What was found wrong so far, at most `MAX_VIOLATIONS`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Keeps what was parsed, or notes why it could not be.
    pub fn take<T, E: Display>(&mut self, pointer: &str, parsed: Result<T, E>) -> Option<T> {
        parsed
            .map_err(|error| self.add(pointer, &error.to_string()))
            .ok()
    }

    /// Keeps what was parsed, or notes all that was found within it.
    pub fn take_all<T>(&mut self, parsed: Result<T, Vec<Violation>>) -> Option<T> {
        let keep = |found: Vec<Violation>| {
            let room = MAX_VIOLATIONS.saturating_sub(self.0.len());
            self.0.extend(found.into_iter().take(room));
        };
        parsed.map_err(keep).ok()
    }

    pub fn add(&mut self, pointer: &str, message: &str) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation::new(pointer, message));
        }
    }

    /// What was built, unless anything was wrong.
    pub fn into_result<T>(self, built: Option<T>) -> Result<T, Vec<Violation>> {
        match built {
            Some(built) if self.0.is_empty() => Ok(built),
            _ => Err(self.0),
        }
    }
}

/// A member's name as a step of a JSON pointer (RFC 6901).
pub fn pointer_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told() {
        let mut violations = Violations::default();
        let good = violations.take::<_, &str>("/a", Ok(1));
        let bad: Option<i32> = violations.take("/b", Err("no"));
        assert_eq!((good, bad), (Some(1), None));
        violations.add("/c", "neither");
        let found = violations.into_result(Some(())).unwrap_err();
        assert_eq!(
            found,
            [Violation::new("/b", "no"), Violation::new("/c", "neither")]
        );
    }
}
