//! Every statement of the write side, by the file that holds it: `sql/<table>/<verb>.sql`.

/// A statement and its name in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! statements {
    ($(#[$doc:meta])* $list:ident: $($name:ident = $path:literal),+ $(,)?) => {
        $(pub const $name: Statement =
            Statement { name: $path, text: include_str!(concat!("sql/", $path, ".sql")) };)+

        $(#[$doc])*
        pub const $list: &[Statement] = &[$($name),+];
    };
}

statements! {
    /// What `Database::borrow` prepares.
    ALL:
    CATEGORY_HOLDER = "category/holder",
    CATEGORY_INSERT = "category/insert",
    CATEGORY_LOCK = "category/lock",
    CATEGORY_LOCK_TREE = "category/lock_tree",
    CATEGORY_LOCK_TREE_SHARED = "category/lock_tree_shared",
    CATEGORY_PLACES = "category/places",
    CATEGORY_SURROUNDINGS = "category/surroundings",
    CATEGORY_UPDATE = "category/update",
    EVENT_APPEND = "event/append",
    EVENT_EPOCH = "event/epoch",
    EVENT_HEADS = "event/heads",
    EVENT_LOCK_TIMEOUT = "event/lock_timeout",
    EVENT_POSITIONS = "event/positions",
    IDEMPOTENCY_CLAIM = "idempotency/claim",
    IDEMPOTENCY_EXPIRE = "idempotency/expire",
    IDEMPOTENCY_KEEP = "idempotency/keep",
    IDEMPOTENCY_SELECT = "idempotency/select",
    IMPORT_CATEGORIES = "import/categories",
    IMPORT_CLOCK = "import/clock",
    IMPORT_INSERT_CATEGORIES = "import/insert_categories",
    IMPORT_PRODUCTS = "import/products",
    PRODUCT_HOLDERS_OF_SKU = "product/holders_of_sku",
    PRODUCT_INSERT = "product/insert",
    PRODUCT_LOCK = "product/lock",
    PRODUCT_LOCK_FREE = "product/lock_free",
    PRODUCT_UPDATE = "product/update",
    PRODUCT_UPDATE_PRICES = "product/update_prices",
    PRODUCT_CATEGORY_DELETE = "product_category/delete",
    PRODUCT_CATEGORY_INSERT = "product_category/insert",
    PRODUCT_CATEGORY_SELECT = "product_category/select",
    STOCK_INSERT = "stock/insert",
    STOCK_LOCK = "stock/lock",
    STOCK_UPDATE = "stock/update",
}

statements! {
    /// What `snapshot` reads, on a connection of its own.
    SNAPSHOT:
    CATEGORY_PAGE = "category/page",
    EVENT_GAPS = "event/gaps",
    EVENT_OF_STREAMS = "event/of_streams",
    EVENT_ORPHANS = "event/orphans",
    PRODUCT_PAGE = "product/page",
    STOCK_PAGE = "stock/page",
}

statements! {
    /// What gives keys to rows without, on the connection that migrates.
    KEYS:
    CATEGORY_KEYS = "category/keys",
    CATEGORY_SET_KEYS = "category/set_keys",
    PRODUCT_KEY_HOLDERS = "product/key_holders",
    PRODUCT_SET_KEYS = "product/set_keys",
    PRODUCT_WITHOUT_KEY = "product/without_key",
}

statements! {
    /// What watches over Kafka's topics, on connections of its own.
    TOPICS:
    EVENT_BEGIN_EPOCH = "event/begin_epoch",
    TOPIC_REMEMBER = "topic/remember",
    TOPIC_REMEMBERED = "topic/remembered",
}
