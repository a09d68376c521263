//! Movements of the stock of a product: route and body; how stocks and their refusals look.

use actix_web::{HttpResponse, web};
use chassis::problem::ApiError;
use schemas::id::ProductId;
use schemas::problem::{Problem, ProblemType};
use schemas::rest::command as rest;

use super::described::{CommandHeaders, Problems};
use super::request::{CommandBody, CommandRequest};
use crate::domain::number::{Delta, MAX_UNITS};
use crate::domain::stock::{Stock, StockCommand, StockRefusal};
use crate::domain::text::Reason;
use crate::execute::{Resource, ToProblem};
use crate::parse::{Fields, Invalid};

/// Moves units in or out of stock; never below what is reserved. ETag and If-Match are the
/// stock's own: selling does not change the version of the product.
#[utoipa::path(
    post, path = "/v1/products/{id}/stock-movements", tag = "products",
    params(("id" = ProductId, Path), CommandHeaders),
    request_body = rest::MoveStock,
    responses((status = 200, body = rest::Stock, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn move_stock(
    request: CommandRequest,
    id: web::Path<ProductId>,
    body: CommandBody,
) -> Result<HttpResponse, ApiError> {
    let wish = StockCommand::try_from(body.parse::<rest::MoveStock>()?)?;
    request.execute::<Stock>(*id, wish, body.bytes()).await
}

impl TryFrom<rest::MoveStock> for StockCommand {
    type Error = Invalid;

    fn try_from(body: rest::MoveStock) -> Result<Self, Invalid> {
        let mut fields = Fields::of_rest_body();
        let delta = fields.take("/delta", Delta::parse(body.delta));
        let reason = fields.take("/reason", Reason::parse(&body.reason));
        let moved = delta
            .zip(reason)
            .map(|(delta, reason)| Self::Move { delta, reason });
        Ok(fields.into_result(moved)?)
    }
}

impl Resource for Stock {
    type Body = rest::Stock;

    /// It is read with its product.
    fn location(&self) -> Option<String> {
        None
    }

    fn present(&self, (): &()) -> rest::Stock {
        rest::Stock {
            on_hand: self.on_hand,
            reserved: self.reserved,
            available: self.available(),
        }
    }
}

impl ToProblem for StockRefusal {
    fn to_problem(&self) -> Problem {
        match self {
            Self::NoSuchProduct => Problem::new(ProblemType::NotFound, "no product has this id"),
            Self::Insufficient { available } => {
                Problem::new(ProblemType::InsufficientStock, "not enough units in stock")
                    .with("available", available)
            }
            Self::Overflow => Problem::new(
                ProblemType::StockOverflow,
                "the stock would exceed the largest number that is counted",
            )
            .with("max_on_hand", MAX_UNITS),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case(StockRefusal::NoSuchProduct, ProblemType::NotFound, json!({}))]
    #[case(
        StockRefusal::Insufficient { available: 3 },
        ProblemType::InsufficientStock,
        json!({"available": 3})
    )]
    #[case(StockRefusal::Overflow, ProblemType::StockOverflow, json!({"max_on_hand": MAX_UNITS}))]
    fn a_refusal_names_its_type_and_what_it_is_about(
        #[case] refusal: StockRefusal,
        #[case] problem_type: ProblemType,
        #[case] members: Value,
    ) {
        let problem = refusal.to_problem();
        assert!(problem.is(problem_type), "{problem:?}");
        assert_eq!(Value::from(problem.members), members);
    }
}
