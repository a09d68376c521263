//! Gathering: a body is told everything that is wrong with it at once, each at its JSON pointer.

use std::fmt::Display;

use schemas::problem::Violation;

/// What was found wrong so far.
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
        parsed.map_err(|found| self.0.extend(found)).ok()
    }

    pub fn add(&mut self, pointer: &str, message: &str) {
        self.0.push(Violation::new(pointer, message));
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
