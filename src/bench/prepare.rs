//! What a measurement needs before it can begin, made through the API like everything else: keys, a ciphertext under each.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_shapes::Operation;
use serde_json::{Value, json};

use crate::BenchError;
use crate::client::{Client, Endpoints, Patience};
use crate::workload::{Ingredients, Invocations, Key, Request, create_key};

/// Clients that make keys at the same time.
const CLIENTS_MAX: usize = 32;
/// Preparing may meet an election, and is not measured.
const PATIENCE: Patience = Patience { retries: 6, timeout: Duration::from_secs(30) };

/// A client that reads answers.
pub(crate) struct Caller {
    client: Client,
    host: String,
    invocations: Invocations,
}

impl Caller {
    pub(crate) fn new(endpoints: &Arc<Endpoints>, index: usize) -> Self {
        let client = Client::new(Arc::clone(endpoints), PATIENCE, index);
        Self { client, host: host_of(endpoints), invocations: Invocations::new() }
    }

    /// Makes a request, with retries, and reads the answer.
    pub(crate) async fn call(&mut self, operation: Operation, body: &Value) -> Result<Value, BenchError> {
        let request = Request::new(operation, body, &self.host);
        self.send(operation, &request).await?;
        serde_json::from_slice(self.client.body()).map_err(|_| BenchError::Answer(operation.as_str()))
    }

    /// Makes a request, with retries, and says how long the answer's body is.
    pub(crate) async fn send(&mut self, operation: Operation, request: &Request) -> Result<usize, BenchError> {
        let mut scratch = Vec::new();
        let called = self.client.call(request.bytes(&mut scratch, &mut self.invocations)).await;
        if !called.ok {
            let code = called.failed.last().map(|code| code.clone().into_owned()).unwrap_or_default();
            return Err(BenchError::Prepare { operation: operation.as_str(), code });
        }
        if !request.is_answered_by(self.client.body()) {
            return Err(BenchError::Answer(operation.as_str()));
        }
        Ok(self.client.body().len())
    }
}

/// The authority of the first node.
pub(crate) fn host_of(endpoints: &Endpoints) -> String {
    let url = endpoints.urls.first().map(String::as_str).unwrap_or_default();
    url.trim_start_matches("https://").trim_end_matches('/').to_owned()
}

/// Makes `keys` keys and encrypts `plaintext_bytes` bytes under each.
pub(crate) async fn prepare(endpoints: &Arc<Endpoints>, keys: usize, plaintext_bytes: usize) -> Result<Ingredients, BenchError> {
    let plaintext: Vec<u8> = (0..plaintext_bytes).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
    let clients = keys.clamp(1, CLIENTS_MAX);
    let made = (0..clients).map(|index| {
        let share = (keys + clients - 1 - index) / clients;
        make(Caller::new(endpoints, index), share, &plaintext)
    });
    let keys = futures::future::try_join_all(made).await?.concat();
    Ok(Ingredients { keys, plaintext })
}

async fn make(mut caller: Caller, count: usize, plaintext: &[u8]) -> Result<Vec<Key>, BenchError> {
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        let created = caller.call(Operation::CreateKey, &create_key()).await?;
        let id = text(&created["KeyMetadata"]["KeyId"], Operation::CreateKey)?;
        let input = json!({ "KeyId": id, "Plaintext": STANDARD.encode(plaintext) });
        let encrypted = caller.call(Operation::Encrypt, &input).await?;
        keys.push(Key { id, ciphertext: text(&encrypted["CiphertextBlob"], Operation::Encrypt)? });
    }
    Ok(keys)
}

fn text(value: &Value, operation: Operation) -> Result<String, BenchError> {
    value.as_str().map(str::to_owned).ok_or(BenchError::Answer(operation.as_str()))
}
