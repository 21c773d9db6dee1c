//! Everything that reads bytes which a client or a peer chose, each as a function of bytes: a *target*.
//!
//! `main.rs` runs every target on its seeds and on mutations of them (`make test`); `libfuzzer.rs` runs one for as long as one
//! likes, guided by coverage (`make fuzz`). A new target is a function in `targets`, a row of [`TARGETS`] and a directory of
//! seeds. What a target must hold is said at its function; that it does not panic and how much memory it may take at once, here.
//!
//! This crate is for tests alone: nothing imports it.

pub mod corpus;
mod heap;
mod json;
pub mod mutation;
pub mod targets;

use targets::{attestations, certificates, keys, names, peers, policies, requests, sealed, signatures, states};

/// Something that reads bytes.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of the directory of its seeds.
    pub name: &'static str,
    /// Reads the bytes and holds what follows to what must be so; panics if it is not. Says whether they were taken for what they
    /// should be.
    pub read: fn(&[u8]) -> bool,
    /// How many mutations `make test` tries: a few seconds' worth.
    pub mutations: u32,
    /// The most that reading may have on the heap at any moment, with what it returns.
    pub heap: Heap,
}

/// A limit of memory for an input of some length.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    /// For an empty input, bytes.
    pub base: usize,
    /// More for each byte of it.
    pub per_byte: usize,
}

impl Heap {
    /// Of what reads text or DER, or keeps what it reads in little more room than that took.
    const SMALL: Self = Self { base: 64 << 10, per_byte: 16 };
    /// Of policy documents and JSON: a member of two characters becomes a text or a node of a tree.
    const TREE: Self = Self { base: 256 << 10, per_byte: 128 };
    /// Of our own encodings: the decoder takes a length at its word up to the limit of a record, and then sees that it is not so.
    const RECORD: Self = Self { base: claviger_types::limits::RECORD_BYTES_MAX + (1 << 20), per_byte: 64 };
}

macro_rules! target {
    ($module:ident::$name:ident, $mutations:expr, $heap:ident) => {
        Target { name: stringify!($name), read: $module::$name, mutations: $mutations, heap: Heap::$heap }
    };
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target!(keys::blob, 100_000, SMALL),
    target!(keys::private_key, 12_000, SMALL),
    target!(keys::public_key, 100_000, SMALL),
    target!(keys::wrapped_material, 5_000, SMALL),
    target!(keys::region_batch, 10_000, RECORD),
    target!(signatures::signature, 25_000, SMALL),
    target!(signatures::sigv4, 150_000, SMALL),
    target!(requests::kms_request, 150_000, TREE),
    target!(requests::sts_form, 200_000, SMALL),
    target!(policies::policy, 3_000, TREE),
    target!(names::name, 300_000, SMALL),
    target!(certificates::certificate, 100_000, SMALL),
    target!(certificates::revocation_list, 100_000, SMALL),
    target!(attestations::attestation, 20_000, SMALL),
    target!(peers::node_message, 300_000, RECORD),
    target!(peers::region_message, 300_000, RECORD),
    target!(states::command, 100_000, RECORD),
    target!(states::record, 400_000, RECORD),
    target!(sealed::sealed_record, 100_000, SMALL),
    target!(sealed::backup, 50_000, RECORD),
];

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Reads `input`, within the limit of memory. Says whether it was taken, and the most bytes that were on the heap.
    pub fn run(&self, input: &[u8]) -> (bool, usize) {
        let limit = self.heap.base + self.heap.per_byte * input.len();
        let (mut taken, mut most) = heap::most_of(|| (self.read)(input));
        if most > limit {
            // What is made once in a process is no input's fault.
            (taken, most) = heap::most_of(|| (self.read)(input));
        }
        assert!(most <= limit, "{} took {most} bytes at once for an input of {} bytes, more than {limit}", self.name, input.len());
        (taken, most)
    }
}

/// The first line of an input and what is behind it.
fn first_line(input: &[u8]) -> Option<(&str, &[u8])> {
    let at = input.iter().position(|&byte| byte == b'\n')?;
    Some((std::str::from_utf8(&input[..at]).ok()?, &input[at + 1..]))
}
