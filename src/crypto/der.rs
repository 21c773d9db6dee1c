//! Just enough DER (X.690) to check what aws-lc leaves to its callers: that nothing follows a key, that a curve is named, and
//! what an RSA key's modulus and exponent are. Keys themselves are parsed by aws-lc.

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// Whether `bytes` are one SEQUENCE and nothing more.
pub(crate) fn is_one_sequence(bytes: &[u8]) -> bool {
    matches!(element(bytes, SEQUENCE), Some((_, [])))
}

/// The AlgorithmIdentifier of a SubjectPublicKeyInfo (RFC 5280, section 4.1), of which nothing else is checked.
pub(crate) fn algorithm_identifier(public_key: &[u8]) -> Option<&[u8]> {
    let (contents, []) = element(public_key, SEQUENCE)? else { return None };
    element(contents, SEQUENCE).map(|(identifier, _)| identifier)
}

/// An RSA public key's numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RsaNumbers {
    /// Length of the modulus.
    pub(crate) modulus_bits: usize,
    /// The public exponent.
    pub(crate) exponent: u64,
}

impl RsaNumbers {
    /// Reads an `RSAPublicKey` (RFC 8017, appendix A.1.1); nothing when it is none, or when its exponent has more than 64 bits.
    pub(crate) fn of_public_key(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = element(bytes, SEQUENCE)? else { return None };
        let (modulus, rest) = unsigned(numbers)?;
        let (exponent, []) = unsigned(rest)? else { return None };
        let leading = modulus.first()?.leading_zeros() as usize;
        if exponent.len() > 8 {
            return None;
        }
        let exponent = exponent.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        Some(Self { modulus_bits: modulus.len() * 8 - leading, exponent })
    }
}

/// A positive INTEGER without its leading zero, and what follows it.
fn unsigned(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (number, rest) = element(bytes, INTEGER)?;
    match number {
        [0, number @ ..] if number.first().is_some_and(|&byte| byte >= 0x80) => Some((number, rest)),
        [first, ..] if (1..0x80).contains(first) => Some((number, rest)),
        _ => None,
    }
}

/// The contents of the element with `tag` that `bytes` start with, and what follows it. Lengths are as short as can be and
/// below 64 KiB.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest)).filter(|&(length, _)| length >= 0x80)?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    // A length that a shorter form could say is not DER; two bytes say from 256 on.
    if found != tag || bytes[1] == 0x82 && length < 0x100 {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sequence_is_all_there_is() {
        let long = [&[0x30, 0x82, 1, 0][..], &[0; 256]].concat();
        for good in [&[0x30, 0][..], &[0x30, 2, 5, 0], &long] {
            assert!(is_one_sequence(good));
            assert!(!is_one_sequence(&[good, &[0]].concat()));
            assert!(!is_one_sequence(&good[..good.len() - 1]));
        }
        for bad in
            [&[][..], &[0x30], &[0x31, 0], &[0x30, 0x80, 0, 0], &[0x30, 0x81, 2, 5, 0], &[0x30, 0x82, 0, 2, 5, 0], &[0x30, 0x83, 0, 0, 0]]
        {
            assert!(!is_one_sequence(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_algorithm_comes_first() {
        assert_eq!(algorithm_identifier(&[0x30, 7, 0x30, 2, 5, 0, 3, 1, 0]), Some(&[5, 0][..]));
        for bad in [&[0x30, 7, 0x30, 2, 5, 0, 3, 1, 0, 0][..], &[0x30, 0], &[0x30, 2, 5, 0], &[]] {
            assert_eq!(algorithm_identifier(bad), None);
        }
    }

    #[test]
    fn numbers_of_a_public_key() {
        let key = |modulus: &[u8], exponent: &[u8]| {
            let number = |bytes: &[u8]| [&[INTEGER, u8::try_from(bytes.len()).unwrap()], bytes].concat();
            let numbers = [number(modulus), number(exponent)].concat();
            [vec![SEQUENCE, u8::try_from(numbers.len()).unwrap()], numbers].concat()
        };
        let read = |modulus, exponent| RsaNumbers::of_public_key(&key(modulus, exponent));
        assert_eq!(read(&[0, 0x80, 1], &[1, 0, 1]), Some(RsaNumbers { modulus_bits: 16, exponent: 65537 }));
        assert_eq!(read(&[1, 1], &[3]), Some(RsaNumbers { modulus_bits: 9, exponent: 3 }));
        for (modulus, exponent) in [(&[0x80][..], &[3][..]), (&[0, 1], &[3]), (&[1], &[0]), (&[1], &[]), (&[], &[3]), (&[1], &[1; 9])] {
            assert_eq!(read(modulus, exponent), None);
        }
    }
}
