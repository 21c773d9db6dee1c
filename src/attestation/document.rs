//! The document inside: one CBOR map of known fields, read once and by its shape. Hypervisors have written maps and arrays with their
//! length and, later, without it; both are read.
//!
//! The limits are AWS's (attestation_process.md, sections 2.2 and 3.2.2), but where it has none.

use std::collections::BTreeMap;

use claviger_types::Timestamp;
use minicbor::Decoder;
use minicbor::data::Type;

use crate::AttestationError;
use crate::error::Flaw;

/// AWS has no limit; its ids have some 50 characters.
const MODULE_ID_BYTES_MAX: usize = 256;
const CERTIFICATE_BYTES_MAX: usize = 1024;
/// AWS has no limit and sends four; no longer path is verified.
const CABUNDLE_CERTIFICATES_MAX: usize = 8;
const REGISTER_INDEX_MAX: u8 = 31;
const REGISTER_BYTES: [usize; 3] = [32, 48, 64];
/// Of public_key, user_data and nonce each.
const USER_DATA_BYTES_MAX: usize = 1024;
/// What computes the registers.
const DIGEST: &str = "SHA384";

/// Platform configuration registers, by number.
pub(crate) type Registers = BTreeMap<u8, Box<[u8]>>;

/// What a document says, in its own bytes.
pub(crate) struct Document<'a> {
    pub(crate) module_id: &'a str,
    pub(crate) timestamp: Timestamp,
    /// Of an enclave.
    pub(crate) pcrs: Option<Registers>,
    /// Of an instance with a NitroTPM.
    pub(crate) nitrotpm_pcrs: Option<Registers>,
    /// Who signed it, DER.
    pub(crate) certificate: &'a [u8],
    /// From the root to the one that issued [`Self::certificate`], DER.
    pub(crate) cabundle: Vec<&'a [u8]>,
    pub(crate) public_key: Option<&'a [u8]>,
}

/// The fields as they come.
#[derive(Default)]
struct Fields<'a> {
    module_id: Option<&'a str>,
    digest: Option<()>,
    timestamp: Option<Timestamp>,
    pcrs: Option<Registers>,
    nitrotpm_pcrs: Option<Registers>,
    certificate: Option<&'a [u8]>,
    cabundle: Option<Vec<&'a [u8]>>,
    // The hypervisor writes null for what an enclave did not give.
    public_key: Option<Option<&'a [u8]>>,
    user_data: Option<Option<&'a [u8]>>,
    nonce: Option<Option<&'a [u8]>>,
}

impl<'a> Document<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, AttestationError> {
        let mut decoder = Decoder::new(bytes);
        let decoder = &mut decoder;
        let mut fields = Items(decoder.map().map_err(of_type("payload"))?);
        let mut read = Fields::default();
        // Each can be there once, and what is not known is refused: a longer map ends at its first surplus.
        while fields.another("payload", decoder)? {
            read.field(decoder)?;
        }
        if decoder.position() != bytes.len() {
            return Err(flawed("payload", Flaw::Trailing));
        }
        let missing = |field| move || flawed(field, Flaw::Missing);
        if read.pcrs.is_none() && read.nitrotpm_pcrs.is_none() {
            return Err(flawed("pcrs", Flaw::Missing));
        }
        read.digest.ok_or_else(missing("digest"))?;
        Ok(Self {
            module_id: read.module_id.ok_or_else(missing("module_id"))?,
            timestamp: read.timestamp.ok_or_else(missing("timestamp"))?,
            pcrs: read.pcrs,
            nitrotpm_pcrs: read.nitrotpm_pcrs,
            certificate: read.certificate.ok_or_else(missing("certificate"))?,
            cabundle: read.cabundle.ok_or_else(missing("cabundle"))?,
            public_key: read.public_key.flatten(),
        })
    }
}

impl<'a> Fields<'a> {
    /// The next field.
    fn field(&mut self, decoder: &mut Decoder<'a>) -> Result<(), AttestationError> {
        match decoder.str().map_err(of_type("payload"))? {
            "module_id" => once("module_id", &mut self.module_id, module_id(decoder)?),
            "digest" => once("digest", &mut self.digest, digest(decoder)?),
            "timestamp" => once("timestamp", &mut self.timestamp, timestamp(decoder)?),
            "pcrs" => once("pcrs", &mut self.pcrs, registers("pcrs", decoder)?),
            "nitrotpm_pcrs" => once("nitrotpm_pcrs", &mut self.nitrotpm_pcrs, registers("nitrotpm_pcrs", decoder)?),
            "certificate" => once("certificate", &mut self.certificate, certificate("certificate", decoder)?),
            "cabundle" => once("cabundle", &mut self.cabundle, cabundle(decoder)?),
            "public_key" => once("public_key", &mut self.public_key, user_data("public_key", 1, decoder)?),
            "user_data" => once("user_data", &mut self.user_data, user_data("user_data", 0, decoder)?),
            "nonce" => once("nonce", &mut self.nonce, user_data("nonce", 0, decoder)?),
            _ => Err(flawed("payload", Flaw::Value)),
        }
    }
}

/// What is left of a map or an array: so many, or all before the break.
struct Items(Option<u64>);

impl Items {
    /// Whether there is another.
    fn another(&mut self, field: &'static str, decoder: &mut Decoder<'_>) -> Result<bool, AttestationError> {
        match &mut self.0 {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if decoder.datatype().map_err(of_type(field))? == Type::Break => {
                decoder.set_position(decoder.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

fn once<T>(field: &'static str, slot: &mut Option<T>, value: T) -> Result<(), AttestationError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(flawed(field, Flaw::Twice)),
    }
}

fn module_id<'a>(decoder: &mut Decoder<'a>) -> Result<&'a str, AttestationError> {
    let id = decoder.str().map_err(of_type("module_id"))?;
    if id.is_empty() || id.len() > MODULE_ID_BYTES_MAX { Err(flawed("module_id", Flaw::Length)) } else { Ok(id) }
}

fn digest(decoder: &mut Decoder<'_>) -> Result<(), AttestationError> {
    if decoder.str().map_err(of_type("digest"))? == DIGEST { Ok(()) } else { Err(flawed("digest", Flaw::Value)) }
}

fn timestamp(decoder: &mut Decoder<'_>) -> Result<Timestamp, AttestationError> {
    match decoder.u64().map_err(of_type("timestamp"))? {
        0 => Err(flawed("timestamp", Flaw::Value)),
        millis => Ok(Timestamp::from_millis(millis)),
    }
}

fn registers(field: &'static str, decoder: &mut Decoder<'_>) -> Result<Registers, AttestationError> {
    let mut items = Items(decoder.map().map_err(of_type(field))?);
    let mut registers = Registers::new();
    // No more than there are numbers for them, for none is there twice.
    while items.another(field, decoder)? {
        let index = decoder.u8().map_err(of_type(field))?;
        let content = decoder.bytes().map_err(of_type(field))?;
        if index > REGISTER_INDEX_MAX {
            return Err(flawed(field, Flaw::Value));
        }
        if !REGISTER_BYTES.contains(&content.len()) {
            return Err(flawed(field, Flaw::Length));
        }
        if registers.insert(index, content.into()).is_some() {
            return Err(flawed(field, Flaw::Twice));
        }
    }
    if registers.is_empty() { Err(flawed(field, Flaw::Length)) } else { Ok(registers) }
}

fn certificate<'a>(field: &'static str, decoder: &mut Decoder<'a>) -> Result<&'a [u8], AttestationError> {
    let der = decoder.bytes().map_err(of_type(field))?;
    if der.is_empty() || der.len() > CERTIFICATE_BYTES_MAX { Err(flawed(field, Flaw::Length)) } else { Ok(der) }
}

fn cabundle<'a>(decoder: &mut Decoder<'a>) -> Result<Vec<&'a [u8]>, AttestationError> {
    let mut items = Items(decoder.array().map_err(of_type("cabundle"))?);
    let mut certificates = Vec::new();
    while items.another("cabundle", decoder)? {
        if certificates.len() == CABUNDLE_CERTIFICATES_MAX {
            return Err(flawed("cabundle", Flaw::Length));
        }
        certificates.push(certificate("cabundle", decoder)?);
    }
    if certificates.is_empty() { Err(flawed("cabundle", Flaw::Length)) } else { Ok(certificates) }
}

fn user_data<'a>(field: &'static str, bytes_min: usize, decoder: &mut Decoder<'a>) -> Result<Option<&'a [u8]>, AttestationError> {
    if decoder.datatype().map_err(of_type(field))? == Type::Null {
        return decoder.null().map(|()| None).map_err(of_type(field));
    }
    let bytes = decoder.bytes().map_err(of_type(field))?;
    if (bytes_min..=USER_DATA_BYTES_MAX).contains(&bytes.len()) { Ok(Some(bytes)) } else { Err(flawed(field, Flaw::Length)) }
}

const fn flawed(field: &'static str, flaw: Flaw) -> AttestationError {
    AttestationError::Field { field, flaw }
}

fn of_type(field: &'static str) -> impl Fn(minicbor::decode::Error) -> AttestationError {
    move |_| flawed(field, Flaw::Type)
}
