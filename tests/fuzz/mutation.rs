//! Mutations of seeds, the same for the same random numbers: bits, bytes, numbers, pieces of other seeds, cuts, repetitions.

use fastrand::Rng;

use crate::json;

/// Inputs that grow by a mutation stay below this; [`blown_up`] makes the large ones.
const BYTES_MAX: usize = 64 << 10;

/// Lengths and counts where decoders go wrong.
const NUMBERS: &[u64] =
    &[0, 1, 0x7f, 0x80, 0xfa, 0xfb, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 1 << 60, u64::MAX];

/// One of the seeds, changed a few times.
///
/// # Panics
/// When there is no seed.
pub fn mutated(seeds: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let seed = rng.choice(seeds).expect("a target has seeds");
    if rng.bool()
        && let Some(input) = json::mutated(seed, rng.choice(seeds).expect("a target has seeds"), rng)
    {
        return input;
    }
    let mut input = seed.to_vec();
    // Mostly one change or two: what is changed more is refused by the first check that there is.
    let changes = 1 + rng.u32(..).trailing_ones().min(5);
    for _ in 0..changes {
        let other = rng.choice(seeds).expect("a target has seeds");
        change(&mut input, other, rng);
        input.truncate(BYTES_MAX);
    }
    input
}

/// A seed with a piece of it repeated until there are `bytes` bytes.
///
/// # Panics
/// When there is no seed.
pub fn blown_up(seeds: &[&[u8]], bytes: usize, rng: &mut Rng) -> Vec<u8> {
    let seed = rng.choice(seeds).expect("a target has seeds");
    let piece = piece(seed, rng);
    let repeated = if piece.is_empty() { &[0x30][..] } else { &seed[piece.clone()] };
    let rest = &seed[piece.end..];
    let mut input = seed[..piece.end].to_vec();
    while input.len() + rest.len() < bytes {
        input.extend_from_slice(repeated);
    }
    input.extend_from_slice(rest);
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(..=input.len());
    match rng.u8(..13) {
        0 | 1 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        2 | 3 if at < input.len() => input[at] = rng.u8(..),
        4 if at < input.len() => input[at] = input[at].wrapping_add_signed(rng.i8(-4..=4)),
        5 => write_number(input, at, rng),
        6 => {
            let noise: Vec<u8> = (0..rng.usize(1..=8)).map(|_| rng.u8(..)).collect();
            insert(input, at, &noise);
        }
        7 => drop(input.drain(piece(input, rng))),
        8 => input.truncate(at),
        9 => {
            let piece = input[piece(input, rng)].to_vec();
            for _ in 0..rng.usize(1..=4) {
                insert(input, at, &piece);
            }
        }
        10 => insert(input, at, &other[piece(other, rng)]),
        11 => {
            let piece = &other[piece(other, rng)];
            let end = input.len().min(at + piece.len());
            input.splice(at..end, piece.iter().copied());
        }
        _ => {
            input.truncate(at);
            input.extend_from_slice(&other[rng.usize(..=other.len())..]);
        }
    }
}

/// Mostly short: lengths are spread over the powers of two.
fn piece(bytes: &[u8], rng: &mut Rng) -> std::ops::Range<usize> {
    let start = rng.usize(..=bytes.len());
    let most = (1 << rng.u8(..12)).min(bytes.len() - start);
    start..start + rng.usize(..=most)
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}

/// A number over what is there: fixed, big or little, or as bincode writes it.
fn write_number(input: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let number = *rng.choice(NUMBERS).expect("there are numbers");
    let (big, little) = (number.to_be_bytes(), number.to_le_bytes());
    let written: Vec<u8> = match rng.u8(..6) {
        0 => little[..1].to_vec(),
        1 => big[6..].to_vec(),
        2 => big[4..].to_vec(),
        3 => [&[251], &little[..2]].concat(),
        4 => [&[252], &little[..4]].concat(),
        _ => [&[253], &little[..]].concat(),
    };
    let end = input.len().min(at + if rng.bool() { written.len() } else { 1 });
    input.splice(at..end, written);
}
