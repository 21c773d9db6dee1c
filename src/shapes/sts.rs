//! AWS STS, as far as it is here: GetCallerIdentity, in AWS's query protocol. A form comes in, XML goes out.
//!
//! Deliberately absent: HTTP, and who the caller is. Nothing here is secret. A form is read once and nothing of it is kept but
//! its action and version; no more of it is repeated in an answer than [`NAME_CHARS_SHOWN_MAX`].

use std::fmt::{self, Display};

use claviger_types::{AccountId, Partition, Principal};

use crate::{ApiError, ErrorCode};

/// The one version that AWS has had.
const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Largest form that is read. An SDK sends 43 bytes.
pub const FORM_BYTES_MAX: usize = 4096;
/// How much of an action's or a version's name an answer repeats.
const NAME_CHARS_SHOWN_MAX: usize = 64;

/// A request of STS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StsRequest {
    /// Who am I?
    GetCallerIdentity,
}

impl StsRequest {
    /// Parses the body of a POST of type `application/x-www-form-urlencoded`. Parameters of other names are skipped.
    ///
    /// # Errors
    /// MissingAction, InvalidAction for anything but GetCallerIdentity of version 2011-06-15, and for what is no such form
    /// MalformedQueryString, or RequestEntityTooLarge.
    pub fn parse(body: &[u8]) -> Result<Self, StsError> {
        if body.len() > FORM_BYTES_MAX {
            return Err(StsError::new("RequestEntityTooLarge", 413, format!("The form is larger than {FORM_BYTES_MAX} bytes.")));
        }
        let (mut action, mut version) = (None, None);
        for pair in body.split(|&byte| byte == b'&') {
            let (name, value) = pair.iter().position(|&byte| byte == b'=').map_or((pair, &pair[..0]), |at| (&pair[..at], &pair[at + 1..]));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let kept = match name.as_str() {
                "Action" => &mut action,
                "Version" => &mut version,
                _ => continue,
            };
            if kept.replace(value).is_some() {
                return Err(StsError::malformed("A parameter occurs twice."));
            }
        }
        let action =
            action.filter(|action| !action.is_empty()).ok_or_else(|| StsError::new("MissingAction", 400, "The form has no Action."))?;
        let version = version.as_deref().unwrap_or("NO_VERSION_SPECIFIED");
        match (action.as_str(), version) {
            ("GetCallerIdentity", VERSION) => Ok(Self::GetCallerIdentity),
            _ => {
                let message = format!("Could not find operation {} for version {}", shown(&action), shown(version));
                Err(StsError::new("InvalidAction", 400, message))
            }
        }
    }
}

/// Undoes the form's encoding: `+` is a space, `%` begins two hexadecimal digits.
fn decoded(encoded: &[u8]) -> Result<String, StsError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                digit(*high)? << 4 | digit(*low)?
            }
            (b'%', _) => return Err(StsError::malformed("A parameter has a broken escape.")),
            _ => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| StsError::malformed("A parameter is not UTF-8."))
}

fn digit(byte: u8) -> Result<u8, StsError> {
    let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digit.ok_or_else(|| StsError::malformed("A parameter has a broken escape."))
}

fn shown(text: &str) -> String {
    text.chars().take(NAME_CHARS_SHOWN_MAX).collect()
}

/// The id of a principal, as GetCallerIdentity shows it and `aws:userid` compares it. AWS makes up an id for each user and role
/// (`AIDA…`, `AROA…`); here a certificate's names are all that there is. So: of a root its account, as on AWS; of a user its name;
/// of a role's session `<role>:<session>`, which on AWS has the role's id before the colon.
pub fn user_id(principal: &Principal) -> String {
    match principal {
        Principal::Root { account } => account.to_string(),
        Principal::User { name, .. } => name.clone(),
        Principal::AssumedRole { role, session, .. } => format!("{role}:{session}"),
    }
}

/// The answer to GetCallerIdentity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The caller's ARN.
    pub arn: String,
    /// Its id: [`user_id`].
    pub user_id: String,
    /// Its account.
    pub account: AccountId,
}

impl CallerIdentity {
    /// Of a principal, in a deployment of that partition.
    pub fn of(principal: &Principal, partition: &Partition) -> Self {
        Self { arn: principal.arn(partition), user_id: user_id(principal), account: principal.account() }
    }

    /// The body of the answer.
    pub fn to_body(&self, request_id: impl Display) -> String {
        format!(
            "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\">\n  <GetCallerIdentityResult>\n    <Arn>{}</Arn>\n    \
             <UserId>{}</UserId>\n    <Account>{}</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    \
             <RequestId>{}</RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n",
            Xml(&self.arn),
            Xml(&self.user_id),
            self.account,
            Xml(request_id),
        )
    }
}

/// An error of STS as the client sees it. Its codes are those of AWS's query protocol, which are not the API's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct StsError {
    /// The code.
    pub code: &'static str,
    /// The HTTP status.
    pub http_status: u16,
    /// The text for the client.
    pub message: String,
}

impl StsError {
    fn new(code: &'static str, http_status: u16, message: impl Into<String>) -> Self {
        Self { code, http_status, message: message.into() }
    }

    fn malformed(message: &str) -> Self {
        Self::new("MalformedQueryString", 400, message)
    }

    /// The body of the answer.
    pub fn to_body(&self, request_id: impl Display) -> String {
        let by = if self.http_status < 500 { "Sender" } else { "Receiver" };
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>{by}</Type>\n    <Code>{}</Code>\n    \
             <Message>{}</Message>\n  </Error>\n  <RequestId>{}</RequestId>\n</ErrorResponse>\n",
            self.code,
            Xml(&self.message),
            Xml(request_id),
        )
    }
}

/// What the edge refuses before it knows what is asked, in the query protocol's words: the code without `Exception`, and the
/// statuses of AWS's common errors.
impl From<ApiError> for StsError {
    fn from(error: ApiError) -> Self {
        let (code, http_status) = match error.code {
            ErrorCode::AccessDenied => ("AccessDenied", 403),
            ErrorCode::IncompleteSignature => ("IncompleteSignature", 400),
            ErrorCode::InvalidSignature => ("SignatureDoesNotMatch", 403),
            ErrorCode::MissingAuthenticationToken => ("MissingAuthenticationToken", 403),
            ErrorCode::RequestEntityTooLarge => ("RequestEntityTooLarge", 413),
            ErrorCode::RequestTimeout => ("RequestTimeout", 408),
            ErrorCode::Throttling => ("Throttling", 400),
            ErrorCode::UnrecognizedClient => ("InvalidClientTokenId", 403),
            ErrorCode::DependencyTimeout | ErrorCode::KeyUnavailable => ("ServiceUnavailable", 503),
            ErrorCode::KmsInternal => ("InternalFailure", 500),
            ErrorCode::UnsupportedMediaType => ("UnsupportedMediaType", 415),
            _ => ("ValidationError", 400),
        };
        Self { code, http_status, message: error.message }
    }
}

/// A value as the text of an element: escaped, and without what XML 1.0 cannot carry.
struct Xml<T>(T);

impl<T: Display> Display for Xml<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                '\t' | '\n' => write!(f, "{character}")?,
                // A bare carriage return would be read as a line feed.
                '\r' => f.write_str("&#13;")?,
                '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => write!(f, "{}", char::REPLACEMENT_CHARACTER)?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
