//! COSE_Sign1 (RFC 9052, section 4.2), tagged or not, in the one form that Nitro gives it: ES384 in the protected header, nothing in the
//! other one, the payload inside.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use minicbor::Decoder;
use minicbor::data::Tag;

use crate::AttestationError;
use crate::error::Flaw;

const COSE_SIGN1_TAG: Tag = Tag::new(18);
/// The label of the algorithm in a header, and ES384 (RFC 9053, section 2.1).
const ALGORITHM_LABEL: u64 = 1;
const ES384: i64 = -35;
/// Two numbers of 48 bytes.
const SIGNATURE_BYTES: usize = 96;

/// The parts of a signed document, none of them verified.
pub(crate) struct CoseSign1<'a> {
    protected: &'a [u8],
    pub(crate) payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> CoseSign1<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, AttestationError> {
        let mut decoder = Decoder::new(bytes);
        if matches!(decoder.datatype(), Ok(minicbor::data::Type::Tag)) && decoder.tag().ok() != Some(COSE_SIGN1_TAG) {
            return Err(flawed("tag", Flaw::Value));
        }
        if decoder.array().map_err(of_type("array"))? != Some(4) {
            return Err(flawed("array", Flaw::Length));
        }
        let protected = decoder.bytes().map_err(of_type("protected header"))?;
        check_protected(protected)?;
        if decoder.map().map_err(of_type("unprotected header"))? != Some(0) {
            return Err(flawed("unprotected header", Flaw::Length));
        }
        let payload = decoder.bytes().map_err(of_type("payload"))?;
        let signature = decoder.bytes().map_err(of_type("signature"))?;
        if signature.len() != SIGNATURE_BYTES {
            return Err(flawed("signature", Flaw::Length));
        }
        if decoder.position() != bytes.len() {
            return Err(flawed("signature", Flaw::Trailing));
        }
        Ok(Self { protected, payload, signature })
    }

    /// Whether the owner of this key (a DER SubjectPublicKeyInfo, of P-384) signed it.
    pub(crate) fn verify(&self, public_key: &[u8]) -> Result<(), AttestationError> {
        let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key);
        key.verify(&self.signed(), self.signature).map_err(|_| AttestationError::Signature)
    }

    /// What is signed: `Sig_structure` (RFC 9052, section 4.4), without additional data.
    fn signed(&self) -> Vec<u8> {
        const CONTEXT: &[u8] = b"\x84\x6aSignature1";
        const NO_ADDITIONAL_DATA: u8 = 0x40;
        let mut signed = Vec::with_capacity(CONTEXT.len() + self.protected.len() + self.payload.len() + 16);
        signed.extend_from_slice(CONTEXT);
        put_bytes(&mut signed, self.protected);
        signed.push(NO_ADDITIONAL_DATA);
        put_bytes(&mut signed, self.payload);
        signed
    }
}

/// Exactly `{1: -35}`.
fn check_protected(protected: &[u8]) -> Result<(), AttestationError> {
    let mut decoder = Decoder::new(protected);
    let header = (decoder.map(), decoder.u64(), decoder.i64());
    match header {
        (Ok(Some(1)), Ok(ALGORITHM_LABEL), Ok(ES384)) if decoder.position() == protected.len() => Ok(()),
        _ => Err(AttestationError::Algorithm),
    }
}

/// A byte string as short as CBOR can say it.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    const BYTE_STRING: u8 = 0x40;
    let length = bytes.len() as u64;
    let be = length.to_be_bytes();
    let (information, skipped) = match length {
        0..24 => (be[7], 8),
        24..0x100 => (24, 7),
        0x100..0x1_0000 => (25, 6),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 0),
    };
    out.push(BYTE_STRING | information);
    out.extend_from_slice(&be[skipped..]);
    out.extend_from_slice(bytes);
}

const fn flawed(part: &'static str, flaw: Flaw) -> AttestationError {
    AttestationError::Cose { part, flaw }
}

fn of_type(part: &'static str) -> impl Fn(minicbor::decode::Error) -> AttestationError {
    move |_| flawed(part, Flaw::Type)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same bytes as minicbor writes, at every form of the length.
    #[test]
    fn byte_strings_are_as_short_as_can_be() {
        for length in [0, 1, 23, 24, 255, 256, 65_535, 65_536] {
            let (bytes, mut ours) = (vec![7; length], Vec::new());
            put_bytes(&mut ours, &bytes);
            let mut theirs = minicbor::Encoder::new(Vec::new());
            theirs.bytes(&bytes).unwrap();
            assert_eq!(ours, theirs.into_writer());
        }
    }
}
