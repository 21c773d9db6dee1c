//! Just enough DER (X.690) to write an envelope.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// `[n]` of something primitive.
pub(crate) const fn primitive(n: u8) -> u8 {
    0x80 | n
}

/// `[n]` round other elements.
pub(crate) const fn constructed(n: u8) -> u8 {
    0xa0 | n
}

/// An element with these contents, one behind the other.
pub(crate) fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length = contents.iter().map(|part| part.len()).sum::<usize>();
    let mut element = Vec::with_capacity(length + 10);
    element.push(tag);
    put_length(&mut element, length);
    contents.iter().for_each(|part| element.extend_from_slice(part));
    element
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let be = length.to_be_bytes();
    if length < 0x80 {
        return out.push(be[be.len() - 1]);
    }
    let digits = &be[length.leading_zeros() as usize / 8..];
    out.push(0x80 | digits.len().to_be_bytes()[size_of::<usize>() - 1]);
    out.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_can_be() {
        let head = |length: usize| element(OCTET_STRING, &[&vec![0; length]])[..].split_at_checked(6).unwrap().0.to_vec();
        assert_eq!(element(NULL, &[]), [5, 0]);
        assert_eq!(element(SEQUENCE, &[&[1], &[2, 3]]), [0x30, 3, 1, 2, 3]);
        assert_eq!(head(0x7f)[..2], [4, 0x7f]);
        assert_eq!(head(0x80)[..3], [4, 0x81, 0x80]);
        assert_eq!(head(0x100)[..4], [4, 0x82, 1, 0]);
        assert_eq!(head(0x1_0000)[..5], [4, 0x83, 1, 0, 0]);
    }
}
