//! For tests: a clock that is set, a log that fails on demand, the contract every log keeps.
