//! For tests: one material of every spec, made once, and keys that other programs encoded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use claviger_types::KeySpec;
use serde::Deserialize;

use crate::{SecretBytes, material};

/// A material of `spec`, the same for all tests of the process: RSA keys take long to make.
pub(crate) fn material(spec: KeySpec) -> SecretBytes {
    static MATERIALS: LazyLock<BTreeMap<KeySpec, SecretBytes>> =
        LazyLock::new(|| KeySpec::ALL.iter().map(|&spec| (spec, material::generate(spec).unwrap())).collect());
    MATERIALS[&spec].duplicate().unwrap()
}

/// `tests/vectors/private-keys-v1.json`, which says itself how it was made.
#[derive(Deserialize)]
pub(crate) struct Foreign {
    #[serde(with = "hex_bytes")]
    pub(crate) message: Vec<u8>,
    pub(crate) keys: Vec<ForeignKey>,
    pub(crate) refused: Vec<Refused>,
}

#[derive(Deserialize)]
pub(crate) struct ForeignKey {
    spec: String,
    pub(crate) encodings: BTreeMap<String, String>,
    #[serde(with = "hex_bytes")]
    pub(crate) public_key: Vec<u8>,
    pub(crate) signatures: BTreeMap<String, String>,
    pub(crate) ciphertexts: BTreeMap<String, String>,
    pub(crate) peer: Option<ForeignPeer>,
}

#[derive(Deserialize)]
pub(crate) struct ForeignPeer {
    #[serde(with = "hex_bytes")]
    pub(crate) public_key: Vec<u8>,
    #[serde(with = "hex_bytes")]
    pub(crate) secret: Vec<u8>,
}

#[derive(Deserialize)]
pub(crate) struct Refused {
    spec: String,
    pub(crate) what: String,
    #[serde(with = "hex_bytes")]
    pub(crate) bytes: Vec<u8>,
}

impl Foreign {
    pub(crate) fn load() -> Self {
        let loaded: Self = serde_json::from_str(include_str!("../../tests/vectors/private-keys-v1.json")).unwrap();
        assert_eq!((loaded.keys.len(), loaded.refused.len()), (11, 7));
        loaded
    }
}

impl ForeignKey {
    pub(crate) fn spec(&self) -> KeySpec {
        self.spec.parse().unwrap()
    }

    /// Its canonical bytes, from one of the encodings.
    pub(crate) fn canonical(&self) -> SecretBytes {
        crate::import::parse(self.spec(), &hex::decode(&self.encodings["python"]).unwrap()).unwrap()
    }
}

impl Refused {
    pub(crate) fn spec(&self) -> KeySpec {
        self.spec.parse().unwrap()
    }
}

mod hex_bytes {
    use serde::{Deserialize, Deserializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
