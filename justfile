# Recipes for everyday work; `just` lists them.

_default:
    @just --list

# Everything that must hold before a change is taken
check:
    .ci/run

# All tests, the real servers included
test:
    cargo test --workspace

# The large versions of heavy tests, which every run has in small
nightly:
    cargo test --workspace -- --ignored

# Keep the tests' servers running between runs, until interrupted
servers:
    cargo run -p testbed -- shared

# The sample shop, with everything running
demo:
    cargo run --release -p infra -- demo

# Stop what `demo` or `up` started
down:
    cargo run --release -p infra -- down

# Format and lint
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# Write the generated JSON Schemas and OpenAPI documents anew
generate:
    UPDATE_SCHEMAS=1 cargo test -p schemas --test it the_json_schemas
    UPDATE_OPENAPI=1 cargo test -p e2e --test tidy openapi
