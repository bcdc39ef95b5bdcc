//! For tests: a private PostgreSQL.

mod cluster;

pub use cluster::{Cluster, ClusterError};
