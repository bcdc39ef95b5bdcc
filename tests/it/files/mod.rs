//! The files of an embedded ledger, and the schemas of one on PostgreSQL: whole after an orderly
//! end, one ledger's all of them or refused, backed up and restored.

mod audits;
mod backup;
mod belonging;
mod schemas;
mod whole;
mod world;
