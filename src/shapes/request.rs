//! All requests as one type, and the way from an operation's name and a body to it.

use std::fmt;

use crate::decode::without_base64_escapes;
use crate::{
    ApiError, CreateKeyRequest, DataKeyRequest, DecryptRequest, DescribeKeyRequest, EncryptRequest, GenerateRandomRequest,
    KeySwitchRequest, ListKeysRequest, Operation, ReEncryptRequest, ReplicateKeyRequest,
};

/// A request that satisfies the model and asks for nothing that is not implemented. `Debug` shows the operation only.
#[expect(missing_docs, reason = "each variant is the operation of its name")]
pub enum Request {
    CreateKey(CreateKeyRequest),
    Decrypt(DecryptRequest),
    DescribeKey(DescribeKeyRequest),
    DisableKey(KeySwitchRequest),
    EnableKey(KeySwitchRequest),
    Encrypt(EncryptRequest),
    GenerateDataKey(DataKeyRequest),
    GenerateDataKeyWithoutPlaintext(DataKeyRequest),
    GenerateRandom(GenerateRandomRequest),
    ListKeys(ListKeysRequest),
    ReEncrypt(ReEncryptRequest),
    ReplicateKey(ReplicateKeyRequest),
}

impl Request {
    /// Decodes and checks the body of `operation`. The body stays the caller's, to zeroize.
    ///
    /// # Errors
    /// SerializationException, ValidationException, TagException, UnsupportedOperationException, and for a KeyId that is
    /// none NotFoundException or InvalidArnException.
    pub fn parse(operation: Operation, body: &[u8]) -> Result<Self, ApiError> {
        let unescaped = if operation.request_is_secret() { without_base64_escapes(body) } else { None };
        let body = unescaped.as_ref().map_or(body, |bytes| bytes.as_slice());
        Ok(match operation {
            Operation::CreateKey => Self::CreateKey(CreateKeyRequest::parse(body)?),
            Operation::Decrypt => Self::Decrypt(DecryptRequest::parse(body)?),
            Operation::DescribeKey => Self::DescribeKey(DescribeKeyRequest::parse(body)?),
            Operation::DisableKey => Self::DisableKey(KeySwitchRequest::parse(body)?),
            Operation::EnableKey => Self::EnableKey(KeySwitchRequest::parse(body)?),
            Operation::Encrypt => Self::Encrypt(EncryptRequest::parse(body)?),
            Operation::GenerateDataKey => Self::GenerateDataKey(DataKeyRequest::parse(body)?),
            Operation::GenerateDataKeyWithoutPlaintext => Self::GenerateDataKeyWithoutPlaintext(DataKeyRequest::parse(body)?),
            Operation::GenerateRandom => Self::GenerateRandom(GenerateRandomRequest::parse(body)?),
            Operation::ListKeys => Self::ListKeys(ListKeysRequest::parse(body)?),
            Operation::ReEncrypt => Self::ReEncrypt(ReEncryptRequest::parse(body)?),
            Operation::ReplicateKey => Self::ReplicateKey(ReplicateKeyRequest::parse(body)?),
        })
    }

    /// Which operation this asks for.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::CreateKey(_) => Operation::CreateKey,
            Self::Decrypt(_) => Operation::Decrypt,
            Self::DescribeKey(_) => Operation::DescribeKey,
            Self::DisableKey(_) => Operation::DisableKey,
            Self::EnableKey(_) => Operation::EnableKey,
            Self::Encrypt(_) => Operation::Encrypt,
            Self::GenerateDataKey(_) => Operation::GenerateDataKey,
            Self::GenerateDataKeyWithoutPlaintext(_) => Operation::GenerateDataKeyWithoutPlaintext,
            Self::GenerateRandom(_) => Operation::GenerateRandom,
            Self::ListKeys(_) => Operation::ListKeys,
            Self::ReEncrypt(_) => Operation::ReEncrypt,
            Self::ReplicateKey(_) => Operation::ReplicateKey,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Request", self.operation())
    }
}
