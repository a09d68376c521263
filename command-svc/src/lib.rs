//! command-svc
