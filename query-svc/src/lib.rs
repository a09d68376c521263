//! query-svc
