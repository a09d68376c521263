//! Members of REST bodies and of import lines become values of the domain, or all of their
//! violations are told at once.
//!
//! One rule for both, but for control characters: REST refuses them, and imports, whose texts will
//! not be corrected by hand, turn them into blanks. A sku is never changed into another.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use schemas::money::Money;
use schemas::problem::Violation;
use schemas::rest::command::{MoneyBody, Patch};
use schemas::text::without_controls;

use crate::domain::Violations;
use crate::domain::attributes::Attributes;
use crate::domain::number::Inventory;
use crate::domain::text::{Brand, CategoryName, Description, Name, Sku, cleaned_lines};
use crate::domain::violations::pointer_step;

/// What is wrong with a body.
#[derive(Debug)]
pub struct Invalid(pub Vec<Violation>);

impl From<Vec<Violation>> for Invalid {
    fn from(violations: Vec<Violation>) -> Self {
        Self(violations)
    }
}

/// What becomes of control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controls {
    Refused,
    Blanked,
}

/// Parses member after member, and gathers what is wrong with them.
#[derive(Debug)]
pub struct Fields {
    controls: Controls,
    violations: Violations,
}

impl Fields {
    pub fn of_rest_body() -> Self {
        Self {
            controls: Controls::Refused,
            violations: Violations::default(),
        }
    }

    pub fn of_import_line() -> Self {
        Self {
            controls: Controls::Blanked,
            violations: Violations::default(),
        }
    }

    pub fn sku(&mut self, text: &str) -> Option<Sku> {
        self.take("/sku", Sku::parse(text))
    }

    pub fn name(&mut self, text: &str) -> Option<Name> {
        let text = self.line(text);
        self.take("/name", Name::parse(&text))
    }

    pub fn description(&mut self, text: &str) -> Option<Description> {
        let text = self.lines(text);
        self.take("/description", Description::parse(&text))
    }

    pub fn brand(&mut self, text: &str) -> Option<Brand> {
        let text = self.line(text);
        self.take("/brand", Brand::parse(&text))
    }

    pub fn category_name(&mut self, text: &str) -> Option<CategoryName> {
        let text = self.line(text);
        self.take("/name", CategoryName::parse(&text))
    }

    pub fn inventory(&mut self, units: i64) -> Option<Inventory> {
        self.take("/inventory", Inventory::parse(units))
    }

    /// At a pointer; empty where the body is the money.
    pub fn money(&mut self, pointer: &str, body: &MoneyBody) -> Option<Money> {
        let amount = Money::new(body.amount, "EUR");
        let currency = Money::new(0, &body.currency);
        self.take(&format!("{pointer}/amount"), amount);
        self.take(&format!("{pointer}/currency"), currency);
        Money::new(body.amount, &body.currency).ok()
    }

    pub fn attributes(&mut self, given: BTreeMap<String, String>) -> Option<Attributes> {
        let mut texts = BTreeMap::new();
        for (name, value) in given {
            let (name, value) = (
                self.line(&name).into_owned(),
                self.lines(&value).into_owned(),
            );
            if texts.insert(name.clone(), value).is_some() {
                let pointer = format!("/attributes/{}", pointer_step(&name));
                self.add(&pointer, "the name is given more than once");
            }
        }
        self.take_all(Attributes::parse(texts))
    }

    /// A member that has a value and cannot be cleared.
    pub fn required<B>(&mut self, pointer: &str, member: Patch<B>) -> Option<B> {
        match member {
            Patch::Absent => None,
            Patch::Null => {
                self.add(pointer, "must not be null");
                None
            }
            Patch::Value(value) => Some(value),
        }
    }

    /// Keeps what was parsed, or notes why it could not be.
    pub fn take<T, E: Display>(&mut self, pointer: &str, parsed: Result<T, E>) -> Option<T> {
        self.violations.take(pointer, parsed)
    }

    /// Keeps what was parsed, or notes all that was found within it.
    pub fn take_all<T>(&mut self, parsed: Result<T, Vec<Violation>>) -> Option<T> {
        self.violations.take_all(parsed)
    }

    pub fn add(&mut self, pointer: &str, message: &str) {
        self.violations.add(pointer, message);
    }

    /// What was built, unless anything was wrong.
    pub fn into_result<T>(self, built: Option<T>) -> Result<T, Vec<Violation>> {
        self.violations.into_result(built)
    }

    /// A text of one line, as it is to be parsed.
    fn line<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.controls {
            Controls::Refused => Cow::Borrowed(text),
            Controls::Blanked => without_controls(text),
        }
    }

    /// The same of several lines.
    fn lines<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.controls {
            Controls::Refused => Cow::Borrowed(text),
            Controls::Blanked => cleaned_lines(text),
        }
    }
}

/// A member that null clears.
pub fn clearable<B: Default>(member: Patch<B>) -> Option<B> {
    match member {
        Patch::Absent => None,
        Patch::Null => Some(B::default()),
        Patch::Value(value) => Some(value),
    }
}
