//! Numbers that commands carry: counts of units within bounds that no sum can leave.

/// The most units of one product that can be counted.
pub const MAX_UNITS: i64 = 1_000_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("must be between 0 and {MAX_UNITS}")]
    Inventory,
    #[error("must not be 0, and at most {MAX_UNITS} in either direction")]
    Delta,
}

/// Units that a product starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inventory(i64);

/// Units that come (above 0) or go (below 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta(i64);

impl Inventory {
    pub fn parse(units: i64) -> Result<Self, NumberError> {
        if (0..=MAX_UNITS).contains(&units) {
            Ok(Self(units))
        } else {
            Err(NumberError::Inventory)
        }
    }

    pub fn units(self) -> i64 {
        self.0
    }
}

impl Delta {
    pub fn parse(units: i64) -> Result<Self, NumberError> {
        let possible = units != 0 && (-MAX_UNITS..=MAX_UNITS).contains(&units);
        if possible {
            Ok(Self(units))
        } else {
            Err(NumberError::Delta)
        }
    }

    pub fn units(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_moves_something_and_can_be_summed() {
        assert_eq!(Delta::parse(0), Err(NumberError::Delta));
        assert_eq!(Delta::parse(i64::MIN), Err(NumberError::Delta));
        assert_eq!(Delta::parse(-3).map(Delta::units), Ok(-3));
    }

    #[test]
    fn no_stock_starts_below_zero() {
        assert_eq!(Inventory::parse(-1), Err(NumberError::Inventory));
        assert_eq!(Inventory::parse(0).map(Inventory::units), Ok(0));
    }
}
