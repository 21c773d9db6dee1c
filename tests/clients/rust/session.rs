//! A session of the AWS SDK for Rust: endpoint, credentials and the region come from the environment, the other region and the
//! credentials of somebody without rights from the arguments. What it saw goes to the standard output as JSON.

use std::env;
use std::error::Error;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_kms::config::{BehaviorVersion, Region};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeySpec, KeyState, KeyUsageType, MacAlgorithmSpec, SigningAlgorithmSpec};
use aws_sdk_kms::{Client, Config};
use aws_smithy_http_client::Builder;
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PLAINTEXT: &[u8] = b"from rust";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [elsewhere, stranger_id, stranger_secret] = arguments.as_slice() else {
        return Err("usage: rust-sdk-session REGION ACCESS_KEY_ID SECRET_ACCESS_KEY".into());
    };
    let own = (env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?);
    let region = env::var("AWS_DEFAULT_REGION")?;
    let here = client(&region, &own.0, &own.1)?;
    let there = client(elsewhere, &own.0, &own.1)?;
    let stranger = client(&region, stranger_id, stranger_secret)?;

    let answer = json!({
        "encryption": encryption(&here).await?,
        "data_key": data_key(&here).await?,
        "signature": signature(&here).await?,
        "mac": mac(&here).await?,
        "regions": regions(&here, &there, elsewhere).await?,
        "errors": errors(&here, &stranger).await?,
    });
    println!("{answer}");
    Ok(())
}

/// A client of one region, over plain HTTP.
fn client(region: &str, id: &str, secret: &str) -> Result<Client> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(env::var("AWS_ENDPOINT_URL")?)
        .credentials_provider(Credentials::from_keys(id, secret, None))
        .http_client(Builder::new().build_http())
        .build();
    Ok(Client::from_conf(config))
}

async fn new_key(kms: &Client, spec: KeySpec, usage: KeyUsageType) -> Result<String> {
    let created = kms.create_key().key_spec(spec).key_usage(usage).send().await?;
    Ok(created.key_metadata.ok_or("no metadata")?.key_id)
}

async fn new_symmetric_key(kms: &Client) -> Result<String> {
    new_key(kms, KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt).await
}

async fn encryption(kms: &Client) -> Result<serde_json::Value> {
    let key = new_symmetric_key(kms).await?;
    let sealed = kms.encrypt().key_id(&key).plaintext(Blob::new(PLAINTEXT)).encryption_context("purpose", "rust").send().await?;
    let blob = sealed.ciphertext_blob.ok_or("no ciphertext")?;
    let opened = kms.decrypt().ciphertext_blob(blob).encryption_context("purpose", "rust").send().await?;
    Ok(json!({ "opened": opened.plaintext.is_some_and(|text| text.as_ref() == PLAINTEXT), "by": opened.key_id == sealed.key_id }))
}

async fn data_key(kms: &Client) -> Result<serde_json::Value> {
    let key = new_symmetric_key(kms).await?;
    let made = kms.generate_data_key().key_id(&key).key_spec(DataKeySpec::Aes256).send().await?;
    let plaintext = made.plaintext.ok_or("no plaintext")?;
    let opened = kms.decrypt().key_id(&key).ciphertext_blob(made.ciphertext_blob.ok_or("no ciphertext")?).send().await?;
    Ok(json!({ "bytes": plaintext.as_ref().len(), "opened": opened.plaintext.as_ref() == Some(&plaintext) }))
}

async fn signature(kms: &Client) -> Result<serde_json::Value> {
    let key = new_key(kms, KeySpec::EccNistP384, KeyUsageType::SignVerify).await?;
    let algorithm = SigningAlgorithmSpec::EcdsaSha384;
    let signed = kms.sign().key_id(&key).message(Blob::new(PLAINTEXT)).signing_algorithm(algorithm.clone()).send().await?;
    let signature = signed.signature.ok_or("no signature")?;
    let verify = |message: &[u8]| {
        let request = kms.verify().key_id(&key).message(Blob::new(message)).signature(signature.clone());
        request.signing_algorithm(algorithm.clone()).send()
    };
    let verified = verify(PLAINTEXT).await?.signature_valid;
    let Err(refused) = verify(b"another").await else { return Err("a signature of another message is valid".into()) };
    Ok(json!({ "verified": verified, "of_another_message": refused.into_service_error().is_kms_invalid_signature_exception() }))
}

async fn mac(kms: &Client) -> Result<serde_json::Value> {
    let key = new_key(kms, KeySpec::Hmac256, KeyUsageType::GenerateVerifyMac).await?;
    let algorithm = MacAlgorithmSpec::HmacSha256;
    let made = kms.generate_mac().key_id(&key).message(Blob::new(PLAINTEXT)).mac_algorithm(algorithm.clone()).send().await?;
    let mac = made.mac.ok_or("no MAC")?;
    let bytes = mac.as_ref().len();
    let verified = kms.verify_mac().key_id(&key).message(Blob::new(PLAINTEXT)).mac(mac).mac_algorithm(algorithm).send().await?;
    Ok(json!({ "bytes": bytes, "verified": verified.mac_valid }))
}

async fn regions(here: &Client, there: &Client, elsewhere: &str) -> Result<serde_json::Value> {
    let created = here.create_key().multi_region(true).send().await?;
    let key = created.key_metadata.ok_or("no metadata")?.key_id;
    let sealed = here.encrypt().key_id(&key).plaintext(Blob::new(PLAINTEXT)).send().await?;
    here.replicate_key().key_id(&key).replica_region(elsewhere).send().await?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let state = match there.describe_key().key_id(&key).send().await {
            Ok(described) => described.key_metadata.and_then(|metadata| metadata.key_state),
            Err(error) if is(&error, |error| error.is_not_found_exception()) => None,
            Err(error) => return Err(error.into()),
        };
        if state == Some(KeyState::Enabled) {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("the replica is {state:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let opened = there.decrypt().ciphertext_blob(sealed.ciphertext_blob.ok_or("no ciphertext")?).send().await?;
    let region = opened.key_id.as_deref().and_then(|arn| arn.split(':').nth(3)).map(str::to_owned);
    Ok(json!({ "opened": opened.plaintext.is_some_and(|text| text.as_ref() == PLAINTEXT), "in": region }))
}

/// The errors that the SDK has types for, and one that it has none for: of that it knows the name.
async fn errors(kms: &Client, stranger: &Client) -> Result<serde_json::Value> {
    let key = new_symmetric_key(kms).await?;
    let unknown = refusal(kms.describe_key().key_id("11111111-2222-3333-4444-555555555555").send().await)?;
    let not_a_ciphertext = refusal(kms.decrypt().ciphertext_blob(Blob::new(vec![1; 200])).send().await)?;
    let denied = refusal(stranger.encrypt().key_id(&key).plaintext(Blob::new(PLAINTEXT)).send().await)?;
    kms.disable_key().key_id(&key).send().await?;
    let disabled = refusal(kms.encrypt().key_id(&key).plaintext(Blob::new(PLAINTEXT)).send().await)?;
    Ok(json!({
        "NotFoundException": is(&unknown, |error| error.is_not_found_exception()),
        "InvalidCiphertextException": is(&not_a_ciphertext, |error| error.is_invalid_ciphertext_exception()),
        "DisabledException": is(&disabled, |error| error.is_disabled_exception()),
        "AccessDeniedException": is(&denied, |error| error.code() == Some("AccessDeniedException")),
        "with_a_message": is(&disabled, |error| error.message().is_some_and(|message| message.contains(&key))),
    }))
}

fn refusal<T: Debug, E>(outcome: std::result::Result<T, SdkError<E>>) -> Result<SdkError<E>> {
    outcome.err().ok_or_else(|| "what must be refused was done".into())
}

/// Whether the service answered with such an error.
fn is<E>(error: &SdkError<E>, such: impl FnOnce(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(such)
}
