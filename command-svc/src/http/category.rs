//! `/v1/categories`: its routes and bodies; how categories and their refusals look.

use actix_web::{HttpResponse, web};
use chassis::clock;
use chassis::problem::ApiError;
use schemas::event::CategoryRef;
use schemas::event::category::CategoryPath;
use schemas::id::CategoryId;
use schemas::problem::{Problem, ProblemType};
use schemas::rest::command::{self as rest, Patch};

use super::described::{CommandHeaders, Problems};
use super::request::{CommandBody, CommandRequest};
use crate::domain::category::{
    Category, CategoryCommand, CategoryRefusal, ChangeCategory, MAX_DEPTH, PlaceRefusal,
    Surroundings,
};
use crate::execute::{Resource, ToProblem};
use crate::parse::{Fields, Invalid};

/// Adds a category to the tree, as a root or below another.
#[utoipa::path(
    post, path = "/v1/categories", tag = "categories", params(CommandHeaders),
    request_body = rest::CreateCategory,
    responses((status = 201, body = rest::Category, headers(
        ("ETag" = String), ("Location" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn create(request: CommandRequest, body: CommandBody) -> Result<HttpResponse, ApiError> {
    let id = CategoryId(clock::new_id());
    let wish = CategoryCommand::try_from((id, body.parse::<rest::CreateCategory>()?))?;
    request.execute::<Category>(id, wish, body.bytes()).await
}

/// Renames a category, moves it with all below it, or both (JSON merge patch).
#[utoipa::path(
    patch, path = "/v1/categories/{id}", tag = "categories",
    params(("id" = CategoryId, Path), CommandHeaders),
    request_body(content = rest::ChangeCategory, content_type = "application/merge-patch+json"),
    responses((status = 200, body = rest::Category, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn change(
    request: CommandRequest,
    id: web::Path<CategoryId>,
    body: CommandBody,
) -> Result<HttpResponse, ApiError> {
    let wish = ChangeCategory::try_from(body.parse::<rest::ChangeCategory>()?)?;
    request
        .execute::<Category>(*id, CategoryCommand::Change(wish), body.bytes())
        .await
}

/// Retires a category; refused while products or living categories are in it.
#[utoipa::path(
    delete, path = "/v1/categories/{id}", tag = "categories",
    params(("id" = CategoryId, Path), CommandHeaders),
    responses((status = 200, body = rest::Category, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn retire(
    request: CommandRequest,
    id: web::Path<CategoryId>,
) -> Result<HttpResponse, ApiError> {
    request
        .execute::<Category>(*id, CategoryCommand::Retire, &[])
        .await
}

impl TryFrom<(CategoryId, rest::CreateCategory)> for CategoryCommand {
    type Error = Invalid;

    fn try_from((id, body): (CategoryId, rest::CreateCategory)) -> Result<Self, Invalid> {
        let mut fields = Fields::of_rest_body();
        let name = fields.category_name(&body.name);
        let parent_id = body.parent_id.map(CategoryId);
        let create = name.map(|name| Self::Create {
            id,
            name,
            parent_id,
        });
        Ok(fields.into_result(create)?)
    }
}

impl TryFrom<rest::ChangeCategory> for ChangeCategory {
    type Error = Invalid;

    fn try_from(body: rest::ChangeCategory) -> Result<Self, Invalid> {
        let mut fields = Fields::of_rest_body();
        let name = fields.required("/name", body.name);
        let name = name.and_then(|name| fields.category_name(&name));
        let parent_id = match body.parent_id {
            Patch::Absent => None,
            Patch::Null => Some(None),
            Patch::Value(id) => Some(Some(CategoryId(id))),
        };
        Ok(fields.into_result(Some(Self { name, parent_id }))?)
    }
}

impl Resource for Category {
    type Body = rest::Category;

    fn location(&self) -> Option<String> {
        Some(format!("/v1/categories/{}", self.id))
    }

    fn present(&self, around: &Surroundings) -> rest::Category {
        rest::Category {
            id: self.id,
            name: self.name.clone(),
            parent_id: self.parent_id,
            path: path(self, around),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// Below the parent that a command has named, or where the category was before.
fn path(category: &Category, around: &Surroundings) -> CategoryPath {
    let path_of = |id| around.places.get(id).map(|place| place.path.clone());
    let stays = || {
        let mut path = path_of(category.id).unwrap_or_default();
        path.pop();
        path
    };
    let above = category
        .parent_id
        .map(|id| path_of(id).unwrap_or_else(stays));
    let mut path = above.unwrap_or_default();
    path.push(CategoryRef {
        id: category.id,
        name: category.name.clone(),
    });
    path
}

impl ToProblem for CategoryRefusal {
    fn to_problem(&self) -> Problem {
        match self {
            Self::NoSuchCategory => Problem::new(ProblemType::NotFound, "no category has this id"),
            Self::NameTaken => Problem::new(
                ProblemType::CategoryNameTaken,
                "choose another name or another parent",
            ),
            Self::InUse => Problem::new(
                ProblemType::CategoryInUse,
                "move its products and categories elsewhere first",
            ),
            Self::Retired(id) => retired(*id),
            Self::Cycle => Problem::new(
                ProblemType::CategoryCycle,
                "the new parent is the category or below it",
            ),
            Self::TooDeep => Problem::new(
                ProblemType::CategoryTooDeep,
                "the category would be deeper than the tree may be",
            )
            .with("max_depth", MAX_DEPTH),
            Self::Place(refusal) => refusal.to_problem(),
        }
    }
}

impl ToProblem for PlaceRefusal {
    fn to_problem(&self) -> Problem {
        match self {
            Self::Unknown(id) => Problem::new(
                ProblemType::UnknownCategory,
                "no category has one of the given ids",
            )
            .with("category_id", id),
            Self::Retired(id) => retired(*id),
        }
    }
}

fn retired(id: CategoryId) -> Problem {
    let detail = "a retired category cannot be changed";
    Problem::new(ProblemType::CategoryRetired, detail).with("category_id", id)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    const LAMPS: CategoryId = CategoryId(Uuid::from_u128(7));

    #[rstest]
    #[case(CategoryRefusal::NoSuchCategory, ProblemType::NotFound, json!({}))]
    #[case(CategoryRefusal::NameTaken, ProblemType::CategoryNameTaken, json!({}))]
    #[case(CategoryRefusal::InUse, ProblemType::CategoryInUse, json!({}))]
    #[case(CategoryRefusal::Cycle, ProblemType::CategoryCycle, json!({}))]
    #[case(CategoryRefusal::TooDeep, ProblemType::CategoryTooDeep, json!({"max_depth": 8}))]
    #[case(
        CategoryRefusal::Retired(LAMPS),
        ProblemType::CategoryRetired,
        json!({"category_id": LAMPS})
    )]
    #[case(
        PlaceRefusal::Retired(LAMPS).into(),
        ProblemType::CategoryRetired,
        json!({"category_id": LAMPS})
    )]
    #[case(
        PlaceRefusal::Unknown(LAMPS).into(),
        ProblemType::UnknownCategory,
        json!({"category_id": LAMPS})
    )]
    fn a_refusal_names_its_type_and_what_it_is_about(
        #[case] refusal: CategoryRefusal,
        #[case] problem_type: ProblemType,
        #[case] members: Value,
    ) {
        let problem = refusal.to_problem();
        assert!(problem.is(problem_type), "{problem:?}");
        assert_eq!(Value::from(problem.members), members);
    }
}
