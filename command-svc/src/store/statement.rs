//! The statements of the write side, by the files that hold them: `sql/<table>/<verb>.sql`.
//!
//! Those of an aggregate stand beside its rows, in `Persisted::STATEMENTS`.

/// A statement and its name in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    pub name: &'static str,
    pub text: &'static str,
}

/// Statements by the paths of their files, and a list of them all.
macro_rules! statements {
    ($(#[$doc:meta])* $list:ident: $($name:ident = $path:literal),+ $(,)?) => {
        $(pub const $name: $crate::store::Statement = $crate::store::Statement {
            name: $path,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/src/store/sql/", $path, ".sql"
            )),
        };)+

        $(#[$doc])*
        pub const $list: &[$crate::store::Statement] = &[$($name),+];
    };
}

pub(super) use statements;

statements! {
    /// What transactions need, besides the statements of each table.
    COMMON:
    CATEGORY_LOCK_TREE = "category/lock_tree",
    CATEGORY_LOCK_TREE_SHARED = "category/lock_tree_shared",
    CATEGORY_PLACES = "category/places",
    CATEGORY_SURROUNDINGS = "category/surroundings",
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
}

statements! {
    /// What `snapshot` reads, besides a page of each table.
    SNAPSHOT:
    EVENT_GAPS = "event/gaps",
    EVENT_OF_STREAMS = "event/of_streams",
    EVENT_ORPHANS = "event/orphans",
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
