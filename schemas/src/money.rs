//! Money: whole minor units and a currency. Never a float.

use iso_currency::Currency;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest amount: 10^12 minor units. Sums over an order stay far inside an `i64`.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// An amount in minor units (cents) of an ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units of the currency: 1999 is 19.99 euros.
    #[schemars(range(min = 0, max = 1_000_000_000_000i64))]
    pub amount: i64,
    /// ISO 4217 code, such as `EUR`.
    #[schemars(with = "String", extend("pattern" = "^[A-Z]{3}$"))]
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("an amount is between 0 and {MAX_AMOUNT} minor units")]
    AmountOutOfRange,
    #[error("'{0}' is not an ISO 4217 currency code")]
    UnknownCurrency(String),
}

impl Money {
    /// Checks what the type alone cannot: a price is never negative nor absurd.
    pub fn new(amount: i64, currency: &str) -> Result<Self, MoneyError> {
        if !(0..=MAX_AMOUNT).contains(&amount) {
            return Err(MoneyError::AmountOutOfRange);
        }
        let currency = Currency::from_code(currency)
            .ok_or_else(|| MoneyError::UnknownCurrency(currency.to_owned()))?;
        Ok(Self { amount, currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_never_negative() {
        assert_eq!(Money::new(-1, "EUR"), Err(MoneyError::AmountOutOfRange));
    }

    #[test]
    fn a_currency_is_one_of_iso_4217() {
        assert_eq!(
            Money::new(1, "EURO"),
            Err(MoneyError::UnknownCurrency("EURO".into()))
        );
    }

    #[test]
    fn money_reads_as_it_writes() {
        let json = r#"{"amount":1999,"currency":"EUR"}"#;
        let money: Money = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&money).unwrap(), json);
    }
}
