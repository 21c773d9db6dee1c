//! What the demo shows, step by step; each step checks what it says.

use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_types::Region;
use serde_json::{Value, json};

use super::deployment::{DemoIdentity, Deployment, IDENTITIES, eventually};
use super::progress::Progress;

const PLAINTEXT: &[u8] = b"what one region encrypts, the others decrypt";
/// Documents cross regions in milliseconds here; this is for a machine under load.
const CONVERGENCE: Duration = Duration::from_secs(60);

/// Runs all steps.
///
/// # Errors
/// The first step that does not hold.
pub(super) async fn run(deployment: &mut Deployment, progress: &mut Progress) -> anyhow::Result<()> {
    let regions: Vec<Region> = deployment.regions().map(|(name, _)| name.clone()).collect();
    let (first, others) = regions.split_first().context("a demo has at least one region")?;
    let created = progress
        .step(&format!("create a multi-region key in {first}"), async {
            deployment.kms(first)?.call("CreateKey", &json!({ "MultiRegion": true, "Description": "demo" })).await
        })
        .await?;
    let key = created["KeyMetadata"]["KeyId"].as_str().context("CreateKey answers with a key id")?.to_owned();
    for region in others {
        progress.step(&format!("replicate it to {region}"), replicate(deployment, &key, first, region)).await?;
    }
    let blob = progress.step(&format!("encrypt in {first}"), encrypt(deployment, &key, first)).await?;
    for region in &regions {
        progress.step(&format!("decrypt in {region}"), decrypt(deployment, &blob, region)).await?;
    }
    progress
        .step(&format!("rotate it in {first}: every region encrypts with the new material, and opens the old"), async {
            rotate(deployment, &key, &blob, &regions).await
        })
        .await?;
    if let Some(region) = others.first() {
        disable_in_one(deployment, progress, &key, &blob, region, &regions).await?;
        deny_in_one(deployment, progress, &key, &blob, region, &regions).await?;
    }
    let_in_by_a_grant(deployment, progress, &key, &blob, first, others.first()).await?;
    if deployment.nodes_per_region > 1 {
        lose_a_leader(deployment, progress, &key, first).await?;
    }
    if !others.is_empty() {
        lose_a_region(deployment, progress, &key, &blob, first, others).await?;
    }
    Ok(())
}

async fn replicate(deployment: &Deployment, key: &str, from: &Region, to: &Region) -> anyhow::Result<()> {
    let input = json!({ "KeyId": key, "ReplicaRegion": to.as_str() });
    let answer = deployment.kms(from)?.call("ReplicateKey", &input).await?;
    ensure!(answer["ReplicaKeyMetadata"]["KeyState"] == "Creating", "the replica is not shown as Creating: {answer}");
    let replica = deployment.kms(to)?;
    eventually(CONVERGENCE, "the replica is Enabled", async || {
        let described = replica.try_call("DescribeKey", &json!({ "KeyId": key })).await?;
        Ok(described.is_ok_and(|answer| answer["KeyMetadata"]["KeyState"] == "Enabled"))
    })
    .await
}

async fn encrypt(deployment: &Deployment, key: &str, region: &Region) -> anyhow::Result<String> {
    let input = json!({ "KeyId": key, "Plaintext": STANDARD.encode(PLAINTEXT), "EncryptionContext": { "demo": "yes" } });
    let answer = deployment.kms(region)?.call("Encrypt", &input).await?;
    Ok(answer["CiphertextBlob"].as_str().context("Encrypt answers with a blob")?.to_owned())
}

/// In the key's primary, the first of the regions: the material is current once all of them have it.
async fn rotate(deployment: &Deployment, key: &str, blob: &str, regions: &[Region]) -> anyhow::Result<()> {
    let input = json!({ "KeyId": key });
    deployment.kms(&regions[0])?.call("RotateKeyOnDemand", &input).await?;
    for region in regions {
        let kms = deployment.kms(region)?;
        eventually(CONVERGENCE, "the rotation is there", async || {
            Ok(kms.call("ListKeyRotations", &input).await?["Rotations"].as_array().is_some_and(|rotations| rotations.len() == 1))
        })
        .await?;
    }
    for region in regions {
        let made = encrypt(deployment, key, region).await?;
        for region in regions {
            decrypt(deployment, &made, region).await?;
            decrypt(deployment, blob, region).await?;
        }
    }
    Ok(())
}

fn decrypt_input(blob: &str) -> Value {
    json!({ "CiphertextBlob": blob, "EncryptionContext": { "demo": "yes" } })
}

async fn decrypt(deployment: &Deployment, blob: &str, region: &Region) -> anyhow::Result<()> {
    decrypt_as("admin", deployment, blob, region).await
}

async fn decrypt_as(who: &str, deployment: &Deployment, blob: &str, region: &Region) -> anyhow::Result<()> {
    let answer = deployment.kms_as(who, region)?.call("Decrypt", &decrypt_input(blob)).await?;
    let plaintext = STANDARD.decode(answer["Plaintext"].as_str().unwrap_or_default())?;
    ensure!(plaintext == PLAINTEXT, "the plaintext is another one");
    Ok(())
}

async fn disable_in_one(
    deployment: &Deployment,
    progress: &mut Progress,
    key: &str,
    blob: &str,
    region: &Region,
    all: &[Region],
) -> anyhow::Result<()> {
    let name = format!("disable it in {region}: refused at every node there at once, served elsewhere");
    progress
        .step(&name, async {
            let kms = deployment.kms(region)?;
            kms.call("DisableKey", &json!({ "KeyId": key })).await?;
            kms.refused_everywhere("Decrypt", &decrypt_input(blob), "DisabledException").await?;
            for other in all.iter().filter(|other| *other != region) {
                decrypt(deployment, blob, other).await?;
            }
            Ok(())
        })
        .await?;
    progress
        .step(&format!("enable it in {region} again"), async {
            deployment.kms(region)?.call("EnableKey", &json!({ "KeyId": key })).await?;
            decrypt(deployment, blob, region).await
        })
        .await
}

/// alice has no permissions of her own: the key's policy in each region is all that she has there.
async fn deny_in_one(
    deployment: &Deployment,
    progress: &mut Progress,
    key: &str,
    blob: &str,
    region: &Region,
    all: &[Region],
) -> anyhow::Result<()> {
    progress
        .step("let alice decrypt, by the key's policy in each region", async {
            for region in all {
                put_policy(deployment, key, region, "Allow").await?;
                decrypt_as("alice", deployment, blob, region).await?;
            }
            Ok(())
        })
        .await?;
    let name = format!("deny alice by the policy in {region}: refused at every node there at once, served elsewhere");
    progress
        .step(&name, async {
            put_policy(deployment, key, region, "Deny").await?;
            deployment.kms_as("alice", region)?.refused_everywhere("Decrypt", &decrypt_input(blob), "AccessDeniedException").await?;
            for other in all.iter().filter(|other| *other != region) {
                decrypt_as("alice", deployment, blob, other).await?;
            }
            decrypt(deployment, blob, region).await
        })
        .await
}

/// A policy that leaves the key to its account's own policies, and says of alice whether she may decrypt.
async fn put_policy(deployment: &Deployment, key: &str, region: &Region, effect: &str) -> anyhow::Result<()> {
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": arn_of("root")? }, "Action": "kms:*", "Resource": "*" },
        { "Effect": effect, "Principal": { "AWS": arn_of("alice")? }, "Action": "kms:Decrypt", "Resource": "*" },
    ] });
    let input = json!({ "KeyId": key, "Policy": policy.to_string() });
    deployment.kms(region)?.call("PutKeyPolicy", &input).await.map(|_| ())
}

async fn let_in_by_a_grant(
    deployment: &Deployment,
    progress: &mut Progress,
    key: &str,
    blob: &str,
    region: &Region,
    elsewhere: Option<&Region>,
) -> anyhow::Result<()> {
    const REFUSED: &str = "AccessDeniedException";
    let bob = deployment.kms_as("bob", region)?;
    let name = format!("let bob decrypt in {region} by a grant; without it he is refused");
    let token = progress
        .step(&name, async {
            bob.refused_everywhere("Decrypt", &decrypt_input(blob), REFUSED).await?;
            let input = json!({ "KeyId": key, "GranteePrincipal": arn_of("bob")?, "Operations": ["Decrypt", "RetireGrant"] });
            let granted = deployment.kms(region)?.call("CreateGrant", &input).await?;
            decrypt_as("bob", deployment, blob, region).await?;
            if let Some(elsewhere) = elsewhere {
                let there = deployment.kms_as("bob", elsewhere)?;
                there.refused_everywhere("Decrypt", &decrypt_input(blob), REFUSED).await?;
            }
            Ok(granted["GrantToken"].as_str().context("CreateGrant answers with a token")?.to_owned())
        })
        .await?;
    progress
        .step("bob retires the grant: refused at every node at once", async {
            bob.call("RetireGrant", &json!({ "GrantToken": token })).await?;
            bob.refused_everywhere("Decrypt", &decrypt_input(blob), REFUSED).await
        })
        .await
}

fn arn_of(name: &str) -> anyhow::Result<String> {
    IDENTITIES.iter().find(|identity| identity.name == name).map(DemoIdentity::arn).context("no such identity")
}

async fn lose_a_leader(deployment: &mut Deployment, progress: &mut Progress, key: &str, region: &Region) -> anyhow::Result<()> {
    let leader = deployment.leader(region).await?;
    let name = format!("kill node {leader}, the leader of {region}: the next write is acknowledged");
    progress
        .step(&name, async {
            deployment.node_mut(region, leader)?.kill().await?;
            let input = json!({ "Description": "made while a node is down" });
            deployment.kms(region)?.call("CreateKey", &input).await?;
            encrypt(deployment, key, region).await
        })
        .await?;
    progress
        .step(&format!("start node {leader} again"), async {
            deployment.node_mut(region, leader)?.start()?;
            deployment.await_ready(region).await
        })
        .await
}

async fn lose_a_region(
    deployment: &mut Deployment,
    progress: &mut Progress,
    key: &str,
    blob: &str,
    lost: &Region,
    others: &[Region],
) -> anyhow::Result<()> {
    progress
        .step(&format!("kill all of {lost}: the others decrypt what it encrypted"), async {
            deployment.kill_region(lost).await?;
            for region in others {
                decrypt(deployment, blob, region).await?;
            }
            Ok(())
        })
        .await?;
    let made = progress.step(&format!("encrypt in {} meanwhile", others[0]), encrypt(deployment, key, &others[0])).await?;
    progress
        .step(&format!("start {lost} again: it decrypts what was encrypted without it"), async {
            deployment.start_region(lost)?;
            deployment.await_ready(lost).await?;
            decrypt(deployment, &made, lost).await
        })
        .await
}
