//! Events and a log of them, for this crate's tests.
