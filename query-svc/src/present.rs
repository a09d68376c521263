//! Documents as readers get them: the one place that maps views to REST bodies.

use schemas::rest::command::MoneyBody;
use schemas::rest::query::{Product, ProductCategory};
use schemas::view::ProductDocument;
use schemas::view::products::CategoryOfProduct;

pub fn product(document: ProductDocument) -> Product {
    Product {
        id: document.product_id,
        sku: document.sku,
        name: document.name,
        description: document.description,
        brand: document.brand,
        price: MoneyBody {
            amount: document.price.amount,
            currency: document.price.currency.code().to_owned(),
        },
        categories: document.categories.into_iter().map(category).collect(),
        attributes: document.attributes,
        listed: document.listed,
        available: document.available,
        in_stock: document.in_stock,
        avg_rating: document.avg_rating,
        num_reviews: document.num_reviews,
        rating_histogram: document.rating_histogram,
        created_at: document.created_at,
        updated_at: document.updated_at,
    }
}

fn category(category: CategoryOfProduct) -> ProductCategory {
    ProductCategory {
        id: category.id,
        name: category.name,
        path: category.path,
    }
}
