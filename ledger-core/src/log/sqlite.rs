//! The embedded log: one SQLite file in WAL mode with `synchronous=FULL`.
