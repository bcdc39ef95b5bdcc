//! The JSON of `interfaces.md`: parsed in one pass, every fault named by its field.
