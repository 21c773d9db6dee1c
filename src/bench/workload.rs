//! Whole requests as bytes, made once before the measurement, and what their answers must show.

use std::hash::{BuildHasher, RandomState};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_shapes::Operation;
use claviger_types::limits::RANDOM_BYTES_MAX;
use serde_json::{Value, json};

use crate::Load;

/// Keys made by the generator say so, in their description and by this tag.
pub(crate) const MARK: &str = "claviger-bench";
/// Sixteen digits for the run, sixteen for the request.
const INVOCATION_DIGITS: usize = 32;

/// What the requests are made of.
pub(crate) struct Ingredients {
    /// The keys used in turn; at least one.
    pub(crate) keys: Vec<Key>,
    pub(crate) plaintext: Vec<u8>,
}

/// A key of the run, and the plaintext under it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    /// As base64.
    pub(crate) ciphertext: String,
}

/// A request, ready to be sent.
#[derive(Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    /// Where the invocation id of a write goes.
    invocation_at: Option<usize>,
    expect: Expect,
}

/// What a successful answer shows.
#[derive(Clone)]
struct Expect {
    member: &'static str,
    /// The member's text, where only one is right.
    text: Option<String>,
}

impl Request {
    /// One request for `operation`, as any client of the API makes it.
    pub(crate) fn new(operation: Operation, body: &Value, host: &str) -> Self {
        let body = body.to_string();
        let mut head = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: TrentService.{operation}\r\n\
             Content-Length: {}\r\n",
            body.len()
        );
        let invocation_at = operation.is_write().then(|| {
            head.push_str("amz-sdk-invocation-id: ");
            let at = head.len();
            head.push_str(&"0".repeat(INVOCATION_DIGITS));
            head.push_str("\r\n");
            at
        });
        Self { bytes: format!("{head}\r\n{body}").into_bytes(), invocation_at, expect: Expect { member: member(operation), text: None } }
    }

    fn expecting(mut self, text: &str) -> Self {
        self.expect.text = Some(text.to_owned());
        self
    }

    /// The bytes to send, in `scratch` if this one differs from all others.
    pub(crate) fn bytes<'a>(&'a self, scratch: &'a mut Vec<u8>, invocations: &mut Invocations) -> &'a [u8] {
        let Some(at) = self.invocation_at else { return &self.bytes };
        scratch.clear();
        scratch.extend_from_slice(&self.bytes);
        if let Some(place) = scratch.get_mut(at..at + INVOCATION_DIGITS) {
            place.copy_from_slice(invocations.next().as_bytes());
        }
        scratch
    }

    /// Whether a successful answer says what it should.
    pub(crate) fn is_answered_by(&self, body: &[u8]) -> bool {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let shown = answer.get(self.expect.member);
        self.expect.text.as_deref().map_or(shown.is_some(), |text| shown.and_then(Value::as_str) == Some(text))
    }
}

/// Invocation ids that nobody else uses: a random run, then a count.
pub(crate) struct Invocations {
    run: u64,
    count: u64,
}

impl Invocations {
    pub(crate) fn new() -> Self {
        // A fresh `RandomState` hashes nothing to a random number.
        Self { run: RandomState::new().hash_one(()), count: 0 }
    }

    fn next(&mut self) -> String {
        self.count += 1;
        format!("{:016x}{:016x}", self.run, self.count)
    }
}

/// All requests of one load: by its operations, then by key.
pub(crate) struct Workload {
    pub(crate) requests: Vec<Vec<Request>>,
    /// Which of the operations comes when.
    pub(crate) cycle: Vec<usize>,
}

impl Workload {
    pub(crate) fn new(load: &Load, ingredients: &Ingredients, host: &str) -> Self {
        let requests = load.operations().map(|(_, operation)| {
            let all = ingredients.keys.iter().map(|key| request(operation, key, &ingredients.plaintext, host));
            // Where the key makes no difference one request is enough.
            if uses_key(operation) { all.collect() } else { all.take(1).collect() }
        });
        Self { requests: requests.collect(), cycle: load.cycle() }
    }
}

const fn uses_key(operation: Operation) -> bool {
    !matches!(operation, Operation::CreateKey | Operation::ListKeys | Operation::GenerateRandom)
}

fn request(operation: Operation, key: &Key, plaintext: &[u8], host: &str) -> Request {
    let Key { id, ciphertext } = key;
    let text = STANDARD.encode(plaintext);
    let body = match operation {
        Operation::Encrypt => json!({ "KeyId": id, "Plaintext": text }),
        Operation::Decrypt => json!({ "CiphertextBlob": ciphertext }),
        Operation::ReEncrypt => json!({ "CiphertextBlob": ciphertext, "DestinationKeyId": id }),
        Operation::GenerateDataKey | Operation::GenerateDataKeyWithoutPlaintext => json!({ "KeyId": id, "KeySpec": "AES_256" }),
        Operation::GenerateRandom => json!({ "NumberOfBytes": plaintext.len().min(RANDOM_BYTES_MAX) }),
        Operation::ListKeys => json!({ "Limit": 10 }),
        Operation::CreateKey => create_key(),
        _ => json!({ "KeyId": id }),
    };
    let request = Request::new(operation, &body, host);
    if operation == Operation::Decrypt { request.expecting(&text) } else { request }
}

/// What makes a key of the run.
pub(crate) fn create_key() -> Value {
    json!({ "Description": MARK, "Tags": [{ "TagKey": MARK, "TagValue": "load" }] })
}

/// A member that a successful answer always has.
const fn member(operation: Operation) -> &'static str {
    match operation {
        Operation::Encrypt | Operation::ReEncrypt | Operation::GenerateDataKeyWithoutPlaintext => "CiphertextBlob",
        Operation::Decrypt | Operation::GenerateDataKey | Operation::GenerateRandom => "Plaintext",
        Operation::ListKeys => "Keys",
        _ => "KeyMetadata",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients(keys: usize) -> Ingredients {
        let keys = (0..keys).map(|n| Key { id: format!("key-{n}"), ciphertext: format!("blob{n}") }).collect();
        Ingredients { keys, plaintext: vec![1; 64] }
    }

    #[test]
    fn a_request_for_each_key_and_the_right_length() {
        let load = Load::mix("decrypt=1,generate-random=1").unwrap();
        let workload = Workload::new(&load, &ingredients(3), "kms.example:8443");
        assert_eq!(workload.requests.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
        let (mut scratch, mut invocations) = (Vec::new(), Invocations::new());
        let bytes = workload.requests[0][2].bytes(&mut scratch, &mut invocations);
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"CiphertextBlob":"blob2"}"#);
        assert!(head.starts_with("POST / HTTP/1.1\r\nHost: kms.example:8443\r\n"), "{head}");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(head.contains("X-Amz-Target: TrentService.Decrypt\r\n"), "{head}");
    }

    #[test]
    fn every_write_has_an_invocation_id_of_its_own() {
        let load = Load::each("create-key").unwrap().remove(0);
        let workload = Workload::new(&load, &ingredients(1), "h");
        let request = &workload.requests[0][0];
        let mut invocations = Invocations::new();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let first = String::from_utf8(request.bytes(&mut first, &mut invocations).to_vec()).unwrap();
        let second = String::from_utf8(request.bytes(&mut second, &mut invocations).to_vec()).unwrap();
        let id = |text: &str| text.lines().find_map(|line| line.strip_prefix("amz-sdk-invocation-id: ").map(str::to_owned)).unwrap();
        assert_eq!(id(&first).len(), INVOCATION_DIGITS);
        assert_ne!(id(&first), id(&second));
        assert_eq!(first.replace(&id(&first), ""), second.replace(&id(&second), ""), "nothing else differs");
    }

    #[test]
    fn answers_are_judged() {
        let key = Key { id: "k".to_owned(), ciphertext: "blob".to_owned() };
        let decrypt = request(Operation::Decrypt, &key, b"abc", "h");
        assert!(decrypt.is_answered_by(br#"{"KeyId":"k","Plaintext":"YWJj"}"#));
        assert!(!decrypt.is_answered_by(br#"{"KeyId":"k","Plaintext":"YWJk"}"#));
        assert!(!decrypt.is_answered_by(br#"{"KeyId":"k"}"#) && !decrypt.is_answered_by(b"") && !decrypt.is_answered_by(b"\xff"));
        let encrypt = request(Operation::Encrypt, &key, b"abc", "h");
        assert!(encrypt.is_answered_by(br#"{"CiphertextBlob":"AA=="}"#) && !encrypt.is_answered_by(b"{}"));
    }
}
