//! From the text of an enum member, which the model's constraint has accepted, to a value: some of AWS's values are not supported.

use std::str::FromStr;

use crate::decode::Text;
use crate::{ApiError, ErrorCode};

/// The value, or the refusal of one that the model has and Claviger has not.
pub(crate) fn choice<T: FromStr>(name: &str, Text(text): &Text<'_>) -> Result<T, ApiError> {
    text.parse().map_err(|_| {
        let why = match text.as_ref() {
            "SM2" | "SM2PKE" | "SM2DSA" => ": AWS has it in the China Regions only",
            "AWS_CLOUDHSM" | "EXTERNAL_KEY_STORE" => ": there are no custom key stores",
            "RSAES_PKCS1_V1_5" => ": AWS withdrew it in October 2023",
            _ => "",
        };
        ApiError::new(ErrorCode::UnsupportedOperation, format!("{name} {text} is not supported{why}."))
    })
}

/// The value of an optional member.
pub(crate) fn optional<T: FromStr>(name: &str, text: Option<&Text<'_>>) -> Result<Option<T>, ApiError> {
    text.map(|text| choice(name, text)).transpose()
}
