//! Every operation on a region in memory: shapes, errors, order of checks, retries, races.

mod access;
mod alias_races;
mod aliases;
mod cryptography;
mod grants;
mod key_states;
mod keys;
mod labels;
mod lifecycles;
mod listing;
mod once;
mod policies;
mod races;
mod recipients;
mod replica_authority;
mod replicas;
mod replicate;
mod revoked;
mod scheduler;
mod simulate;
mod withheld;
