//! `demo.json`: what tests, benches and people read to find the deployment (DESIGN.md section 8). Access keys are those that
//! the agent accepts; over mutual TLS the certificate is the identity and no listener looks at them.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use super::deployment::{DemoIdentity, Deployment, IDENTITIES, TRUST_DOMAIN};
use crate::agent::profile;

pub(super) fn path(deployment: &Deployment) -> PathBuf {
    deployment.dir.join("demo.json")
}

/// Writes the file atomically: whoever sees it may use the deployment.
pub(super) fn write(deployment: &Deployment) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&contract(deployment)?)?;
    let temporary = deployment.dir.join(".demo.json.new");
    std::fs::write(&temporary, text).with_context(|| format!("{} cannot be written", temporary.display()))?;
    std::fs::rename(&temporary, path(deployment)).context("demo.json cannot be put in place")
}

fn contract(deployment: &Deployment) -> anyhow::Result<Value> {
    let regions: Vec<Value> = deployment
        .regions()
        .map(|(name, nodes)| {
            let nodes: Vec<Value> = nodes
                .iter()
                .map(|node| {
                    json!({
                        "id": node.id, "pid": node.pid(), "api": node.api(), "peer": node.peer(), "metrics": node.metrics(),
                        "data_dir": node.data_dir(), "config": node.config(), "log": node.log(), "admin_socket": node.admin_socket(),
                    })
                })
                .collect();
            json!({ "name": name, "nodes": nodes })
        })
        .collect();
    let agent = &deployment.agent;
    let access_keys = agent.access_keys()?;
    let identity = |identity: &DemoIdentity| {
        let files = deployment.identity_files(identity.name);
        let access_key = access_keys.iter().find(|key| key.identity == identity.name).context("every identity has an access key")?;
        Ok(json!({
            "name": identity.name, "account": identity.account, "arn": identity.arn(), "cert": files.certificate, "key": files.key,
            "access_key_id": access_key.id.as_str(), "secret_access_key": access_key.secret.expose(),
        }))
    };
    let identities = IDENTITIES.iter().map(identity).collect::<anyhow::Result<Vec<Value>>>()?;
    let operator = deployment.identity_files("operator");
    Ok(json!({
        "trust_domain": TRUST_DOMAIN, "ca": deployment.api_ca(), "partition": "aws",
        "agent": agent.url(), "aws_config": agent.aws_config(),
        "agent_process": { "pid": agent.pid(), "metrics": agent.metrics(), "config": agent.config(), "log": agent.log() },
        "operator": { "cert": operator.certificate, "key": operator.key },
        "regions": regions, "identities": identities,
    }))
}

/// What to paste, once the deployment stays up: into a shell; into a file or line by line into Python's prompt.
pub(super) fn how_to_use(deployment: &Deployment) -> String {
    let admin = deployment.identity_files("admin");
    let regions: Vec<_> = deployment.regions().collect();
    let (first, last) = (&regions[0], &regions[regions.len() - 1]);
    let client = |region: &str, endpoint: String| format!("kms(\"{region}\", \"{endpoint}\")");
    let replicate = if regions.len() > 1 {
        format!("here.replicate_key(KeyId=key, ReplicaRegion=\"{}\")[\"ReplicaKeyMetadata\"][\"KeyState\"]\n", last.0)
    } else {
        String::new()
    };
    format!(
        r#"
The deployment runs until you interrupt it. With the AWS CLI, through the agent (--region and --profile choose others):

{aws}

In Python, with boto3, straight to a node over mutual TLS:

import boto3, botocore.config, time
ca = "{ca}"
mtls = botocore.config.Config(client_cert=("{cert}", "{key}"))
unused = dict(aws_access_key_id="unused", aws_secret_access_key="unused")  # SDKs insist on signing; the certificate is the identity
kms = lambda region, url: boto3.client("kms", region_name=region, endpoint_url=url, verify=ca, config=mtls, **unused)
here = {here}
there = {there}
key = here.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
blob = here.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
{replicate}def enabled(kms):
    try: return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    except kms.exceptions.NotFoundException: return False

while not enabled(there): time.sleep(0.1)

print(there.decrypt(CiphertextBlob=blob)["Plaintext"])
"#,
        aws = profile::usage(deployment.agent.aws_config()),
        ca = deployment.api_ca().display(),
        cert = admin.certificate.display(),
        key = admin.key.display(),
        here = client(first.0.as_str(), first.1[0].api()),
        there = client(last.0.as_str(), last.1[0].api()),
    )
}
