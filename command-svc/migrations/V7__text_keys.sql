-- What skus and names of categories are unique by. Rust computes these keys (schemas::text): no SQL
-- folds case and composition the same everywhere. A row that has none was written by a release
-- without keys, or before; each process that starts gives such rows theirs.
alter table product add column sku_key text;
create unique index product_by_sku_key on product (sku_key);
create index product_without_sku_key on product (sku) where sku_key is null;

alter table category add column name_key text;
create unique index category_by_name_key on category (parent_id, name_key) nulls not distinct
where not retired and name_key is not null;
