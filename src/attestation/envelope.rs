//! The envelope of an answer: CMS EnvelopedData (RFC 5652, section 6) with one recipient, as AWS's KMS makes it.
//!
//! A fresh AES-256 key encrypts the content in CBC mode (RFC 3565), the recipient's RSA key encrypts that key with RSAES-OAEP (RFC 3560,
//! RFC 4055). Nothing in it authenticates the content: whoever reads it got it over a connection that does.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::EnvelopeError;
use crate::der::{INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, constructed, element, primitive};
use crate::recipient_key::RecipientKey;

const BLOCK_BYTES: usize = 16;

/// id-envelopedData, 1.2.840.113549.1.7.3.
const ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// id-data, 1.2.840.113549.1.7.1.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// id-RSAES-OAEP, 1.2.840.113549.1.1.7.
const RSAES_OAEP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07];
/// id-mgf1, 1.2.840.113549.1.1.8.
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// id-sha256, 2.16.840.1.101.3.4.2.1.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// id-aes256-CBC, 2.16.840.1.101.3.4.1.42.
const AES256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
/// Of EnvelopedData whose recipients are not all of version 0, and of a recipient that a key identifier names.
const VERSION_2: &[u8] = &[2];

/// Encrypts `plaintext` for `recipient`: a ContentInfo.
pub(crate) fn seal(recipient: &RecipientKey, plaintext: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let mut content_key = Zeroizing::new([0; 32]);
    let mut iv = [0; BLOCK_BYTES];
    rand::fill(&mut *content_key).map_err(|_| EnvelopeError::Random)?;
    rand::fill(&mut iv).map_err(|_| EnvelopeError::Random)?;
    let encrypted_key = recipient.encrypt(&content_key)?;
    let content = encrypt_content(&content_key, iv, plaintext)?;

    let version = element(INTEGER, &[VERSION_2]);
    let key_transport = element(
        SEQUENCE,
        &[
            &version,
            &element(primitive(0), &[&recipient.identifier]),
            &algorithm(RSAES_OAEP, &oaep_parameters()),
            &element(OCTET_STRING, &[&encrypted_key]),
        ],
    );
    let encrypted_content = element(
        SEQUENCE,
        &[
            &element(OBJECT_IDENTIFIER, &[DATA]),
            &algorithm(AES256_CBC, &element(OCTET_STRING, &[&iv])),
            &element(primitive(0), &[&content]),
        ],
    );
    let enveloped = element(SEQUENCE, &[&version, &element(SET, &[&key_transport]), &encrypted_content]);
    Ok(element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[ENVELOPED_DATA]), &element(constructed(0), &[&enveloped])]))
}

/// In place, in a buffer that has room for the padding: no copy of the plaintext is left behind.
fn encrypt_content(key: &[u8; 32], iv: [u8; BLOCK_BYTES], plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let failed = |_| EnvelopeError::Content;
    let key = UnboundCipherKey::new(&AES_256, key).map_err(failed)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(failed)?;
    let mut content = Zeroizing::new(Vec::with_capacity(plaintext.len() + BLOCK_BYTES));
    content.extend_from_slice(plaintext);
    key.less_safe_encrypt(&mut *content, EncryptionContext::Iv128(FixedLength::from(iv))).map_err(failed)?;
    Ok(content)
}

/// SHA-256 in both places, no label (RFC 4055, section 4.1).
fn oaep_parameters() -> Vec<u8> {
    let sha256 = algorithm(SHA256, &element(NULL, &[]));
    let mgf1 = algorithm(MGF1, &sha256);
    element(SEQUENCE, &[&element(constructed(0), &[&sha256]), &element(constructed(1), &[&mgf1])])
}

fn algorithm(identifier: &[u8], parameters: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[identifier]), parameters])
}
