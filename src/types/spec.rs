//! Key specs, usages, origins, algorithms and states, under AWS's names.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! aws_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them, in the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// AWS's name for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ParseError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or($crate::ParseError::new(stringify!($name), "is none of AWS's values"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use aws_enum;

aws_enum! {
    /// What kind of material a key has. Variants are appended, never reordered: they are stored.
    KeySpec {
        /// AES-256-GCM.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// HMAC-SHA-224.
        Hmac224 = "HMAC_224",
        /// HMAC-SHA-256.
        Hmac256 = "HMAC_256",
        /// HMAC-SHA-384.
        Hmac384 = "HMAC_384",
        /// HMAC-SHA-512.
        Hmac512 = "HMAC_512",
        /// RSA with a modulus of 2048 bits.
        Rsa2048 = "RSA_2048",
        /// RSA with a modulus of 3072 bits.
        Rsa3072 = "RSA_3072",
        /// RSA with a modulus of 4096 bits.
        Rsa4096 = "RSA_4096",
        /// NIST P-256, secp256r1.
        EccNistP256 = "ECC_NIST_P256",
        /// NIST P-384, secp384r1.
        EccNistP384 = "ECC_NIST_P384",
        /// NIST P-521, secp521r1.
        EccNistP521 = "ECC_NIST_P521",
        /// secp256k1.
        EccSecgP256k1 = "ECC_SECG_P256K1",
        /// Edwards25519.
        EccNistEdwards25519 = "ECC_NIST_EDWARDS25519",
        /// ML-DSA-44 (FIPS 204).
        MlDsa44 = "ML_DSA_44",
        /// ML-DSA-65 (FIPS 204).
        MlDsa65 = "ML_DSA_65",
        /// ML-DSA-87 (FIPS 204).
        MlDsa87 = "ML_DSA_87",
    }
}

impl KeySpec {
    /// What keys must have in common for one to take the other's place.
    pub const fn class(self) -> KeyClass {
        match self {
            Self::SymmetricDefault => KeyClass::Symmetric,
            Self::Hmac224 | Self::Hmac256 | Self::Hmac384 | Self::Hmac512 => KeyClass::Hmac,
            Self::Rsa2048
            | Self::Rsa3072
            | Self::Rsa4096
            | Self::EccNistP256
            | Self::EccNistP384
            | Self::EccNistP521
            | Self::EccSecgP256k1
            | Self::EccNistEdwards25519
            | Self::MlDsa44
            | Self::MlDsa65
            | Self::MlDsa87 => KeyClass::Asymmetric,
        }
    }

    /// What keys of this spec may be for (rules page, section 3).
    pub const fn usages(self) -> &'static [KeyUsage] {
        match self {
            Self::SymmetricDefault => &[KeyUsage::EncryptDecrypt],
            Self::Hmac224 | Self::Hmac256 | Self::Hmac384 | Self::Hmac512 => &[KeyUsage::GenerateVerifyMac],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[KeyUsage::EncryptDecrypt, KeyUsage::SignVerify],
            Self::EccNistP256 | Self::EccNistP384 | Self::EccNistP521 => &[KeyUsage::SignVerify, KeyUsage::KeyAgreement],
            Self::EccSecgP256k1 | Self::EccNistEdwards25519 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => &[KeyUsage::SignVerify],
        }
    }

    /// The algorithms of Encrypt and Decrypt; none unless keys of this spec may encrypt.
    pub const fn encryption_algorithms(self) -> &'static [EncryptionAlgorithm] {
        match self {
            Self::SymmetricDefault => &[EncryptionAlgorithm::SymmetricDefault],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[EncryptionAlgorithm::RsaesOaepSha1, EncryptionAlgorithm::RsaesOaepSha256],
            _ => &[],
        }
    }

    /// The algorithms of Sign and Verify; none unless keys of this spec may sign.
    pub const fn signing_algorithms(self) -> &'static [SigningAlgorithm] {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[
                SigningAlgorithm::RsassaPkcs1V15Sha256,
                SigningAlgorithm::RsassaPkcs1V15Sha384,
                SigningAlgorithm::RsassaPkcs1V15Sha512,
                SigningAlgorithm::RsassaPssSha256,
                SigningAlgorithm::RsassaPssSha384,
                SigningAlgorithm::RsassaPssSha512,
            ],
            Self::EccNistP256 | Self::EccSecgP256k1 => &[SigningAlgorithm::EcdsaSha256],
            Self::EccNistP384 => &[SigningAlgorithm::EcdsaSha384],
            Self::EccNistP521 => &[SigningAlgorithm::EcdsaSha512],
            Self::EccNistEdwards25519 => &[SigningAlgorithm::Ed25519Sha512, SigningAlgorithm::Ed25519PhSha512],
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => &[SigningAlgorithm::MlDsaShake256],
            Self::SymmetricDefault | Self::Hmac224 | Self::Hmac256 | Self::Hmac384 | Self::Hmac512 => &[],
        }
    }

    /// The algorithm of GenerateMac and VerifyMac, of the specs that have one.
    pub const fn mac_algorithm(self) -> Option<MacAlgorithm> {
        match self {
            Self::Hmac224 => Some(MacAlgorithm::HmacSha224),
            Self::Hmac256 => Some(MacAlgorithm::HmacSha256),
            Self::Hmac384 => Some(MacAlgorithm::HmacSha384),
            Self::Hmac512 => Some(MacAlgorithm::HmacSha512),
            _ => None,
        }
    }

    /// AWS's older, shorter list of specs (`CustomerMasterKeySpec`) lacks the newest.
    pub const fn is_customer_master_key_spec(self) -> bool {
        !matches!(self, Self::EccNistEdwards25519 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87)
    }
}

/// AWS's classes of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyClass {
    /// Symmetric encryption keys.
    Symmetric,
    /// Keys with a public half.
    Asymmetric,
    /// Keys of message authentication codes.
    Hmac,
}

aws_enum! {
    /// What a key is for. Variants are appended, never reordered: they are stored.
    KeyUsage {
        /// Encrypt and decrypt.
        EncryptDecrypt = "ENCRYPT_DECRYPT",
        /// Sign and verify.
        SignVerify = "SIGN_VERIFY",
        /// Generate and verify MACs.
        GenerateVerifyMac = "GENERATE_VERIFY_MAC",
        /// Derive shared secrets.
        KeyAgreement = "KEY_AGREEMENT",
    }
}
aws_enum! {
    /// Where material comes from. Variants are appended, never reordered: they are stored.
    Origin {
        /// Generated by Claviger.
        AwsKms = "AWS_KMS",
        /// Imported.
        External = "EXTERNAL",
    }
}
aws_enum! {
    /// An encryption algorithm of the API.
    EncryptionAlgorithm {
        /// The one algorithm of symmetric keys.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// RSAES-OAEP (RFC 8017) with SHA-1 and MGF1 with SHA-1, without a label.
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        /// RSAES-OAEP (RFC 8017) with SHA-256 and MGF1 with SHA-256, without a label.
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
    }
}
aws_enum! {
    /// A signing algorithm of the API.
    SigningAlgorithm {
        /// RSASSA-PSS, salt as long as the hash.
        RsassaPssSha256 = "RSASSA_PSS_SHA_256",
        /// RSASSA-PSS, salt as long as the hash.
        RsassaPssSha384 = "RSASSA_PSS_SHA_384",
        /// RSASSA-PSS, salt as long as the hash.
        RsassaPssSha512 = "RSASSA_PSS_SHA_512",
        /// RSASSA-PKCS1-v1_5.
        RsassaPkcs1V15Sha256 = "RSASSA_PKCS1_V1_5_SHA_256",
        /// RSASSA-PKCS1-v1_5.
        RsassaPkcs1V15Sha384 = "RSASSA_PKCS1_V1_5_SHA_384",
        /// RSASSA-PKCS1-v1_5.
        RsassaPkcs1V15Sha512 = "RSASSA_PKCS1_V1_5_SHA_512",
        /// ECDSA, signatures in DER.
        EcdsaSha256 = "ECDSA_SHA_256",
        /// ECDSA, signatures in DER.
        EcdsaSha384 = "ECDSA_SHA_384",
        /// ECDSA, signatures in DER.
        EcdsaSha512 = "ECDSA_SHA_512",
        /// Pure ML-DSA with an empty context (FIPS 204).
        MlDsaShake256 = "ML_DSA_SHAKE_256",
        /// Ed25519 (RFC 8032).
        Ed25519Sha512 = "ED25519_SHA_512",
        /// Ed25519ph (RFC 8032) with an empty context.
        Ed25519PhSha512 = "ED25519_PH_SHA_512",
    }
}
aws_enum! {
    /// What the message of Sign and Verify is.
    MessageType {
        /// The message.
        Raw = "RAW",
        /// Its digest.
        Digest = "DIGEST",
        /// The 64-byte message representative mu of ML-DSA (FIPS 204, section 6.2), made outside.
        ExternalMu = "EXTERNAL_MU",
    }
}
aws_enum! {
    /// A MAC algorithm of the API.
    MacAlgorithm {
        /// HMAC (RFC 2104) with SHA-224.
        HmacSha224 = "HMAC_SHA_224",
        /// HMAC with SHA-256.
        HmacSha256 = "HMAC_SHA_256",
        /// HMAC with SHA-384.
        HmacSha384 = "HMAC_SHA_384",
        /// HMAC with SHA-512.
        HmacSha512 = "HMAC_SHA_512",
    }
}
aws_enum! {
    /// A key agreement algorithm of the API.
    KeyAgreementAlgorithm {
        /// Elliptic curve Diffie-Hellman with cofactor 1 (NIST SP 800-56A): the x coordinate.
        Ecdh = "ECDH",
    }
}
aws_enum! {
    /// What GenerateDataKeyPair makes.
    DataKeyPairSpec {
        /// RSA with a modulus of 2048 bits.
        Rsa2048 = "RSA_2048",
        /// RSA with a modulus of 3072 bits.
        Rsa3072 = "RSA_3072",
        /// RSA with a modulus of 4096 bits.
        Rsa4096 = "RSA_4096",
        /// NIST P-256.
        EccNistP256 = "ECC_NIST_P256",
        /// NIST P-384.
        EccNistP384 = "ECC_NIST_P384",
        /// NIST P-521.
        EccNistP521 = "ECC_NIST_P521",
        /// secp256k1.
        EccSecgP256k1 = "ECC_SECG_P256K1",
        /// Edwards25519.
        EccNistEdwards25519 = "ECC_NIST_EDWARDS25519",
    }
}

impl DataKeyPairSpec {
    /// The spec of keys with such material.
    pub const fn key_spec(self) -> KeySpec {
        match self {
            Self::Rsa2048 => KeySpec::Rsa2048,
            Self::Rsa3072 => KeySpec::Rsa3072,
            Self::Rsa4096 => KeySpec::Rsa4096,
            Self::EccNistP256 => KeySpec::EccNistP256,
            Self::EccNistP384 => KeySpec::EccNistP384,
            Self::EccNistP521 => KeySpec::EccNistP521,
            Self::EccSecgP256k1 => KeySpec::EccSecgP256k1,
            Self::EccNistEdwards25519 => KeySpec::EccNistEdwards25519,
        }
    }
}

aws_enum! {
    /// How material is wrapped on its way to ImportKeyMaterial (rules page, section 7). Variants are appended: they are stored in tokens.
    WrappingAlgorithm {
        /// RSAES-OAEP with SHA-1 over the material itself.
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        /// RSAES-OAEP with SHA-256 over the material itself.
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
        /// An AES-256 key under RSAES-OAEP with SHA-1, then the material under AES-KWP (RFC 5649) with that key.
        RsaAesKeyWrapSha1 = "RSA_AES_KEY_WRAP_SHA_1",
        /// The same with SHA-256.
        RsaAesKeyWrapSha256 = "RSA_AES_KEY_WRAP_SHA_256",
    }
}
aws_enum! {
    /// The key that wraps material on its way to ImportKeyMaterial.
    WrappingKeySpec {
        /// RSA with a modulus of 2048 bits.
        Rsa2048 = "RSA_2048",
        /// RSA with a modulus of 3072 bits.
        Rsa3072 = "RSA_3072",
        /// RSA with a modulus of 4096 bits.
        Rsa4096 = "RSA_4096",
    }
}
aws_enum! {
    /// Whether imported material expires.
    ExpirationModel {
        /// At its `ValidTo`.
        Expires = "KEY_MATERIAL_EXPIRES",
        /// Never.
        DoesNotExpire = "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
}
aws_enum! {
    /// Whether ImportKeyMaterial brings another material or one that the key has.
    ImportType {
        /// One that becomes the key's first, or that waits for its rotation.
        NewKeyMaterial = "NEW_KEY_MATERIAL",
        /// One that the key has or had.
        ExistingKeyMaterial = "EXISTING_KEY_MATERIAL",
    }
}
aws_enum! {
    /// Whether a material of an EXTERNAL key is there.
    ImportState {
        /// It is.
        Imported = "IMPORTED",
        /// It has expired or was deleted.
        PendingImport = "PENDING_IMPORT",
    }
}
aws_enum! {
    /// The use of a material, as ListKeyRotations shows it.
    KeyMaterialState {
        /// Decrypts only.
        NonCurrent = "NON_CURRENT",
        /// Encrypts and decrypts.
        Current = "CURRENT",
        /// Imported, and waits for RotateKeyOnDemand.
        PendingRotation = "PENDING_ROTATION",
        /// Imported in the primary region, and waits for the same in the others.
        PendingMultiRegionImportAndRotation = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION",
    }
}
aws_enum! {
    /// Why a material became current. Variants are appended, never reordered: they are stored.
    RotationType {
        /// Its time had come.
        Automatic = "AUTOMATIC",
        /// RotateKeyOnDemand.
        OnDemand = "ON_DEMAND",
    }
}
aws_enum! {
    /// The state that DescribeKey shows (rules page, section 4).
    KeyState {
        /// A replica that has not been admitted as an active member yet.
        Creating = "Creating",
        /// Usable.
        Enabled = "Enabled",
        /// Switched off by DisableKey.
        Disabled = "Disabled",
        /// A replica that an operator detached, until it has caught up.
        Unavailable = "Unavailable",
        /// Waits for its deletion.
        PendingDeletion = "PendingDeletion",
        /// A primary that waits for the deletion of its replicas, and then for its own.
        PendingReplicaDeletion = "PendingReplicaDeletion",
        /// Lacks imported material.
        PendingImport = "PendingImport",
        /// Its primary is being moved.
        Updating = "Updating",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spec_has_algorithms_for_each_of_its_usages() {
        for &spec in KeySpec::ALL {
            for usage in spec.usages() {
                assert!(match usage {
                    KeyUsage::EncryptDecrypt => !spec.encryption_algorithms().is_empty(),
                    KeyUsage::SignVerify => !spec.signing_algorithms().is_empty(),
                    KeyUsage::GenerateVerifyMac => spec.mac_algorithm().is_some(),
                    KeyUsage::KeyAgreement => spec.class() == KeyClass::Asymmetric,
                });
            }
            assert_eq!(spec.as_str().parse::<KeySpec>().unwrap(), spec);
        }
    }
}
