//! The engine: one writer executes all commands one after another and appends in batches.
