-- The catalogue as normalized rows: each is the fold of its stream's events.

create table category (
    id uuid primary key,
    name text not null,
    parent_id uuid references category (id),
    retired boolean not null default false,
    -- Stream version of its last event.
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create unique index category_name on category (parent_id, name) nulls not distinct
where not retired;

create table product (
    id uuid primary key,
    sku text not null unique,
    name text not null,
    description text not null,
    brand text not null,
    price_amount bigint not null check (price_amount >= 0),
    price_currency text not null,
    attributes jsonb not null,
    listed boolean not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
) with (fillfactor = 80);

create table product_category (
    product_id uuid not null references product (id),
    category_id uuid not null references category (id),
    -- Keeps the order in which the client named them.
    place smallint not null,
    primary key (product_id, category_id)
);
create index product_category_category on product_category (category_id);

create table stock (
    product_id uuid primary key references product (id),
    on_hand bigint not null,
    reserved bigint not null check (reserved >= 0),
    version bigint not null,
    updated_at timestamptz not null,
    check (on_hand >= reserved)
) with (fillfactor = 80);
