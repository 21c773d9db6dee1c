//! The constraints of AWS's model (botocore 1.43, kms 2014-11-01), under the names of its shapes.
//!
//! Values that Claviger does not implement are here too: a request with one of them is refused as unsupported, and one
//! with a value that is not here as invalid. `model_tests` compares all of this with the model.

use claviger_types::limits::{
    ALIAS_NAME_BYTES_MAX, DESCRIPTION_CHARS_MAX, GRANT_NAME_CHARS_MAX, GRANT_TOKEN_CHARS_MAX, IMPORT_DESCRIPTION_CHARS_MAX,
    KEY_REF_BYTES_MAX, MARKER_CHARS_MAX, PRINCIPAL_ID_CHARS_MAX, REGION_BYTES_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX,
};

use crate::constraint::TextShape;

pub(crate) const KEY_ID: TextShape = TextShape::length(1, KEY_REF_BYTES_MAX);
pub(crate) const DESCRIPTION: TextShape = TextShape::length(0, DESCRIPTION_CHARS_MAX);
pub(crate) const TAG_KEY: TextShape = TextShape::length(1, TAG_KEY_CHARS_MAX);
pub(crate) const TAG_VALUE: TextShape = TextShape::length(0, TAG_VALUE_CHARS_MAX);
pub(crate) const CUSTOM_KEY_STORE_ID: TextShape = TextShape::length(1, 64);
pub(crate) const GRANT_TOKEN: TextShape = TextShape::length(1, GRANT_TOKEN_CHARS_MAX);
pub(crate) const GRANT_ID: TextShape = TextShape::length(1, 128);
/// The model sets no limit; a list in which no operation occurs twice has no more.
pub(crate) const GRANT_OPERATIONS_MAX: usize = GRANT_OPERATIONS.len();
/// The model sets no limit; it has one value for the items.
pub(crate) const DRY_RUN_MODIFIERS_MAX: usize = 10;
/// The greatest Limit of any operation that lists; most have a smaller one of their own, which the model's text alone says.
pub(crate) const LIMIT_MAX: i32 = 1000;
pub(crate) const ATTESTATION_DOCUMENT_BYTES_MAX: usize = 262_144;

pub(crate) const POLICY: TextShape = TextShape::pattern(1, 131_072, r"[\u0009\u000A\u000D\u0020-\u00FF]+", |text| {
    !text.is_empty() && text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
});
pub(crate) const POLICY_NAME: TextShape =
    TextShape::pattern(1, 128, r"[\w]+", |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
pub(crate) const PRINCIPAL_ID: TextShape = TextShape::pattern(1, PRINCIPAL_ID_CHARS_MAX, r"^[\w+=,.@:/-]+$", |text| {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
});
pub(crate) const GRANT_NAME: TextShape = TextShape::pattern(1, GRANT_NAME_CHARS_MAX, "^[a-zA-Z0-9:/_-]+$", |text| {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'/' | b'_' | b'-'))
});
pub(crate) const XKS_KEY_ID: TextShape = TextShape::pattern(1, 128, "^[a-zA-Z0-9-_.]+$", |text| {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
});
pub(crate) const ALIAS_NAME: TextShape = TextShape::pattern(1, ALIAS_NAME_BYTES_MAX, "^[a-zA-Z0-9:/_-]+$", |text| {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'/' | b'_' | b'-'))
});
pub(crate) const BACKING_KEY_ID: TextShape =
    TextShape::pattern(64, 64, "^[a-f0-9]+$", |text| !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'f' | b'0'..=b'9')));
pub(crate) const KEY_MATERIAL_DESCRIPTION: TextShape =
    TextShape::pattern(0, IMPORT_DESCRIPTION_CHARS_MAX, r"^[a-zA-Z0-9:/_\s.-]+$", |text| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ":/_.- \t\n\u{b}\u{c}\r".contains(c))
    });
/// AWS PublicKeyType.
pub(crate) const PUBLIC_KEY_BYTES_MAX: usize = 8192;
pub(crate) const REGION: TextShape = TextShape::pattern(1, REGION_BYTES_MAX, r"^([a-z]+-){2,3}\d+$", is_region);
pub(crate) const MARKER: TextShape =
    TextShape::pattern(1, MARKER_CHARS_MAX, r"[\u0020-\u00FF]*", |text| text.chars().all(|c| matches!(c, ' '..='\u{ff}')));

pub(crate) const KEY_USAGE: TextShape = TextShape::one_of(&["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"]);
pub(crate) const KEY_SPEC: TextShape = TextShape::one_of(&[
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ECC_NIST_EDWARDS25519",
]);
pub(crate) const CUSTOMER_MASTER_KEY_SPEC: TextShape = TextShape::one_of(&[
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
]);
pub(crate) const ORIGIN: TextShape = TextShape::one_of(&["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"]);
pub(crate) const ENCRYPTION_ALGORITHM: TextShape =
    TextShape::one_of(&["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"]);
pub(crate) const SIGNING_ALGORITHM: TextShape = TextShape::one_of(&[
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "ECDSA_SHA_256",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "SM2DSA",
    "ML_DSA_SHAKE_256",
    "ED25519_SHA_512",
    "ED25519_PH_SHA_512",
]);
pub(crate) const MESSAGE_TYPE: TextShape = TextShape::one_of(&["RAW", "DIGEST", "EXTERNAL_MU"]);
pub(crate) const MAC_ALGORITHM: TextShape = TextShape::one_of(&["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"]);
pub(crate) const KEY_AGREEMENT_ALGORITHM: TextShape = TextShape::one_of(&["ECDH"]);
pub(crate) const DATA_KEY_PAIR_SPEC: TextShape = TextShape::one_of(&[
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SM2",
    "ECC_NIST_EDWARDS25519",
]);
pub(crate) const WRAPPING_ALGORITHM: TextShape = TextShape::one_of(&[
    "RSAES_PKCS1_V1_5",
    "RSAES_OAEP_SHA_1",
    "RSAES_OAEP_SHA_256",
    "RSA_AES_KEY_WRAP_SHA_1",
    "RSA_AES_KEY_WRAP_SHA_256",
    "SM2PKE",
]);
pub(crate) const WRAPPING_KEY_SPEC: TextShape = TextShape::one_of(&["RSA_2048", "RSA_3072", "RSA_4096", "SM2"]);
pub(crate) const EXPIRATION_MODEL: TextShape = TextShape::one_of(&["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"]);
pub(crate) const IMPORT_TYPE: TextShape = TextShape::one_of(&["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"]);
pub(crate) const INCLUDE_KEY_MATERIAL: TextShape = TextShape::one_of(&["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"]);
pub(crate) const DATA_KEY_SPEC: TextShape = TextShape::one_of(&["AES_256", "AES_128"]);
pub(crate) const DRY_RUN_MODIFIER: TextShape = TextShape::one_of(&["IGNORE_CIPHERTEXT"]);
pub(crate) const KEY_ENCRYPTION_MECHANISM: TextShape = TextShape::one_of(&["RSAES_OAEP_SHA_256"]);

pub(crate) const GRANT_OPERATION: TextShape = TextShape::one_of(GRANT_OPERATIONS);
const GRANT_OPERATIONS: &[&str] = &[
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
    "Verify",
    "GetPublicKey",
    "CreateGrant",
    "RetireGrant",
    "DescribeKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateMac",
    "VerifyMac",
    "DeriveSharedSecret",
];

/// The pattern alone; `claviger_types::Region` also knows the length.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let lower = words.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    lower && (2..=3).contains(&words.split('-').count()) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}
