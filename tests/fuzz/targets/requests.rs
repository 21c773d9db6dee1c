//! The bodies of the API's requests.

use claviger_shapes::{Operation, Request, sts::StsRequest};

use crate::first_line;

/// More than the longest text of an error: AWS's messages list all that is wrong, and repeat what is not secret.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The body of a request of KMS; before it, the operation and a line feed. It becomes a request of that operation, or an error that
/// is the client's.
pub fn kms_request(input: &[u8]) -> bool {
    let Some((operation, body)) = first_line(input) else { return false };
    let Some(operation) = Operation::from_name(operation) else { return false };
    match Request::parse(operation, body) {
        Ok(request) => {
            assert_eq!(request.operation(), operation);
            true
        }
        Err(error) => {
            assert_eq!(error.code.http_status(), 400, "{error}");
            assert!(error.message.len() <= MESSAGE_BYTES_MAX, "an error of {} bytes", error.message.len());
            false
        }
    }
}

/// A form of STS.
pub fn sts_form(input: &[u8]) -> bool {
    match StsRequest::parse(input) {
        Ok(StsRequest::GetCallerIdentity) => true,
        Err(error) => {
            let body = error.to_body("id");
            assert!(body.len() < 2048 && !body.contains('\0'), "{body}");
            false
        }
    }
}
