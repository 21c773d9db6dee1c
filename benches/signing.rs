//! How often one core signs and verifies with keys of each spec, beside what OpenSSL does in the same run (`openssl speed`).
//!
//! `cargo bench -p claviger-crypto`; docs/performance.md has the figures. Without OpenSSL its column is empty.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use claviger_crypto::material::{OpenMaterial, generate};
use claviger_types::{KeySpec, KeyUsage, MessageType, SigningAlgorithm};

const MEASURED_FOR: Duration = Duration::from_secs(2);
const MESSAGE: &[u8] = b"a message of sixty-four bytes, which every algorithm hashes first";

/// Spec, algorithm, and what `openssl speed` calls it.
const KINDS: [(KeySpec, SigningAlgorithm, Option<&str>); 9] = [
    (KeySpec::Rsa2048, SigningAlgorithm::RsassaPkcs1V15Sha256, Some("rsa2048")),
    (KeySpec::Rsa3072, SigningAlgorithm::RsassaPkcs1V15Sha256, Some("rsa3072")),
    (KeySpec::Rsa4096, SigningAlgorithm::RsassaPkcs1V15Sha256, Some("rsa4096")),
    (KeySpec::EccNistP256, SigningAlgorithm::EcdsaSha256, Some("ecdsap256")),
    (KeySpec::EccNistP384, SigningAlgorithm::EcdsaSha384, Some("ecdsap384")),
    (KeySpec::EccNistP521, SigningAlgorithm::EcdsaSha512, Some("ecdsap521")),
    (KeySpec::EccSecgP256k1, SigningAlgorithm::EcdsaSha256, None),
    (KeySpec::EccNistEdwards25519, SigningAlgorithm::Ed25519Sha512, Some("ed25519")),
    (KeySpec::MlDsa65, SigningAlgorithm::MlDsaShake256, None),
];

#[expect(clippy::print_stdout, reason = "it is what a benchmark is for")]
fn main() {
    println!("| spec | signatures/s | openssl | ratio | verifications/s |\n|---|---|---|---|---|");
    for (spec, algorithm, openssl) in KINDS {
        let Ok(OpenMaterial::Signing(key)) = generate(spec).and_then(|made| OpenMaterial::open(spec, KeyUsage::SignVerify, made)) else {
            panic!("no key of {spec}");
        };
        let signature = key.sign(algorithm, MessageType::Raw, MESSAGE).expect("it signs");
        let signed = per_second(|| drop(black_box(key.sign(algorithm, MessageType::Raw, black_box(MESSAGE)))));
        let verified = per_second(|| {
            let verified = key.verify(algorithm, MessageType::Raw, black_box(MESSAGE), &signature);
            assert!(matches!(verified, Ok(true)));
        });
        let theirs = openssl.and_then(openssl_signs_per_second);
        let shown = |value: Option<f64>, digits: usize| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"));
        println!("| {spec} | {signed:.0} | {} | {} | {verified:.0} |", shown(theirs, 0), shown(theirs.map(|theirs| signed / theirs), 2));
    }
}

fn per_second(mut once: impl FnMut()) -> f64 {
    let (start, mut times) = (Instant::now(), 0_u32);
    while start.elapsed() < MEASURED_FOR {
        once();
        times += 1;
    }
    f64::from(times) / start.elapsed().as_secs_f64()
}

/// The last but one figure of the line that names the algorithm in words: signatures a second.
fn openssl_signs_per_second(name: &str) -> Option<f64> {
    let output = Command::new("openssl").args(["speed", "-seconds", "2", name]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let figures: Vec<&str> = text.lines().last()?.split_whitespace().collect();
    figures.get(figures.len().checked_sub(2)?)?.parse().ok()
}
