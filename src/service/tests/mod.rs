//! Every operation on a region in memory: shapes, errors, order of checks, retries, races.

mod access;
mod cryptography;
mod key_states;
mod keys;
mod listing;
mod once;
mod races;
mod replicas;
mod replicate;
mod revoked;
