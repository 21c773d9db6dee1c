//! The Authorization header: `AWS4-HMAC-SHA256 Credential=<id>/<day>/<region>/<service>/aws4_request, SignedHeaders=a;b,
//! Signature=<hex>`, parsed strictly: each part once, nothing else, in any order.

use crate::SignatureError;
use crate::access_key::AccessKeyId;

/// The algorithm's name (SigV4A has another).
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of every credential scope.
pub(crate) const TERMINATOR: &str = "aws4_request";

/// The parts of the header, as they stand there.
pub(crate) struct Authorization<'a> {
    pub(crate) credential: Credential<'a>,
    pub(crate) signed_headers: &'a str,
    pub(crate) signature: [u8; 32],
}

/// Who signed, and for what.
pub(crate) struct Credential<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) day: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) terminator: &'a str,
}

impl<'a> Authorization<'a> {
    pub(crate) fn parse(header: &'a str) -> Result<Self, SignatureError> {
        const ALGORITHM_WANTED: SignatureError = SignatureError::Incomplete("The Authorization header must begin with AWS4-HMAC-SHA256.");
        let parts = header.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' ')).ok_or(ALGORITHM_WANTED)?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in parts.split(',') {
            const NO_PAIR: SignatureError = SignatureError::Incomplete("The Authorization header has a part that is no key=value pair.");
            let (key, value) = part.trim_matches(' ').split_once('=').ok_or(NO_PAIR)?;
            let place = match key {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(SignatureError::Incomplete("The Authorization header has an unknown part.")),
            };
            if place.replace(value).is_some() {
                return Err(SignatureError::Incomplete("The Authorization header has a part twice."));
            }
        }
        const CREDENTIAL: SignatureError = SignatureError::Incomplete("Authorization header requires 'Credential' parameter.");
        const SIGNED_HEADERS: SignatureError = SignatureError::Incomplete("Authorization header requires 'SignedHeaders' parameter.");
        const SIGNATURE: SignatureError = SignatureError::Incomplete("Authorization header requires 'Signature' parameter.");
        Ok(Self {
            credential: Credential::parse(credential.ok_or(CREDENTIAL)?)?,
            signed_headers: signed_headers.ok_or(SIGNED_HEADERS)?,
            signature: parse_signature(signature.ok_or(SIGNATURE)?)?,
        })
    }
}

impl<'a> Credential<'a> {
    fn parse(text: &'a str) -> Result<Self, SignatureError> {
        const SHAPE: SignatureError =
            SignatureError::Incomplete("Credential must be <access key id>/<YYYYMMDD>/<region>/<service>/aws4_request.");
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(SHAPE);
        let found = Self { access_key_id: next()?, day: next()?, region: next()?, service: next()?, terminator: next()? };
        if parts.next().is_some() || !AccessKeyId::is_shaped(found.access_key_id) {
            return Err(SHAPE);
        }
        Ok(found)
    }
}

/// 64 lower-case hexadecimal digits: one spelling for each signature.
fn parse_signature(text: &str) -> Result<[u8; 32], SignatureError> {
    const SHAPE: SignatureError = SignatureError::Incomplete("Signature must be 64 lower-case hexadecimal digits.");
    let mut bytes = [0; 32];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(SHAPE);
    }
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SHAPE)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> String {
        let signature = "ab".repeat(32);
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEEXAMPLE01/20150830/eu-west-1/kms/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
        )
    }

    #[test]
    fn parts_come_in_any_order_with_or_without_spaces() {
        let text = good();
        let tight = text.replace(", ", ",");
        let (algorithm, parts) = text.split_once(' ').unwrap();
        let mut reversed: Vec<_> = parts.split(", ").collect();
        reversed.reverse();
        let reversed = format!("{algorithm} {}", reversed.join(", "));
        for text in [text.as_str(), &tight, &reversed] {
            let parsed = Authorization::parse(text).unwrap();
            assert_eq!(parsed.credential.access_key_id, "AKIDEXAMPLEEXAMPLE01");
            let Credential { day, region, service, terminator, .. } = parsed.credential;
            assert_eq!([day, region, service, terminator], ["20150830", "eu-west-1", "kms", "aws4_request"]);
            assert_eq!(parsed.signed_headers, "host;x-amz-date");
            assert_eq!(parsed.signature, [0xab; 32]);
        }
    }

    #[test]
    fn anything_else_is_incomplete() {
        let cases: [fn(&str) -> String; 12] = [
            |_| String::new(),
            |text| text.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            |text| text.replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
            |_| "Basic YTpi".to_owned(),
            |text| text.replace(", Signature", ", Sign"),
            |text| text.replace("SignedHeaders=host;x-amz-date, ", ""),
            |text| format!("{text}, SignedHeaders=host"),
            |text| format!("{text},"),
            |text| text.replace("/kms/", "/"),
            |text| text.replace("/kms/", "/kms/extra/"),
            |text| text.replace("AKIDEXAMPLEEXAMPLE01", ""),
            |text| text.replace("abab", "ABAB"),
        ];
        for change in cases {
            let text = change(&good());
            assert!(matches!(Authorization::parse(&text), Err(SignatureError::Incomplete(_))), "{text}");
        }
    }
}
