//! `claviger agent access-key create|list|delete`: changes the credentials file; a running agent follows it.

use anyhow::{Context, ensure};
use claviger_agent::credentials::{self, AccessKey};
use claviger_types::{Clock, SystemClock};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::AccessKeyCommand;
use super::config::AgentConfig;
use crate::print;

/// Does what was asked.
///
/// # Errors
/// Says which file is at fault.
pub(super) fn run(command: &AccessKeyCommand) -> anyhow::Result<()> {
    match command {
        AccessKeyCommand::Create { common, identity } => {
            let config = AgentConfig::load(&common.config)?;
            let known: Vec<&str> = config.identities.iter().map(|identity| identity.name.as_str()).collect();
            ensure!(known.contains(&identity.as_str()), "there is no identity {identity:?}; the configuration has {}", known.join(", "));
            let key = credentials::create(&config.credentials, identity, SystemClock.now())?;
            print(&created(&key, &config, common.json))
        }
        AccessKeyCommand::List(common) => {
            let keys = credentials::read(&AgentConfig::load(&common.config)?.credentials)?;
            print(&if common.json { Value::from_iter(keys.iter().map(listed)).to_string() } else { table(&keys)? })
        }
        AccessKeyCommand::Delete { common, id } => {
            let deleted = credentials::delete(&AgentConfig::load(&common.config)?.credentials, id)?;
            let text = if deleted { format!("deleted {id}") } else { format!("there is no access key {id}: nothing was changed") };
            print(&if common.json { json!({ "access_key_id": id.as_str(), "deleted": deleted }).to_string() } else { text })
        }
    }
}

fn created(key: &AccessKey, config: &AgentConfig, json: bool) -> String {
    let (id, secret, identity) = (key.id.as_str(), key.secret.expose(), &key.identity);
    if json {
        return json!({ "access_key_id": id, "secret_access_key": secret, "identity": identity }).to_string();
    }
    let file = config.credentials.display();
    format!(
        "access key of {identity}, added to {file}; its secret is not shown again:\n\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"
    )
}

fn listed(key: &AccessKey) -> Value {
    json!({ "access_key_id": key.id.as_str(), "identity": key.identity, "created_at": key.created_at_s })
}

fn table(keys: &[AccessKey]) -> anyhow::Result<String> {
    if keys.is_empty() {
        return Ok("there are no access keys: make one with `claviger agent access-key create`".to_owned());
    }
    let line = |key: &AccessKey| {
        let created_at = OffsetDateTime::from_unix_timestamp(i64::try_from(key.created_at_s)?)?.format(&Rfc3339)?;
        Ok(format!("{}  {created_at}  {}", key.id, key.identity))
    };
    let lines: anyhow::Result<Vec<String>> = keys.iter().map(line).collect();
    Ok(lines.context("a time in the credentials file is beyond the calendar")?.join("\n"))
}
