//! `claviger agent profile`: an AWS configuration file for the access keys that the agent accepts.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use claviger_agent::credentials::{self, AccessKey};
use claviger_agent::profile;
use claviger_types::Region;
use serde_json::json;

use super::ProfileArgs;
use super::config::AgentConfig;
use crate::print;

/// Writes the file, and says how to use it.
///
/// # Errors
/// When there is no access key or no TCP listener, or the file cannot be written.
pub(super) fn run(args: &ProfileArgs) -> anyhow::Result<()> {
    let path = &args.common.config;
    let config = AgentConfig::load(path)?;
    let out = args.out.clone().unwrap_or_else(|| path.parent().unwrap_or(Path::new("")).join("aws-config"));
    let written = write(&config, &out, args.region.as_ref())?;
    let command = usage(&written.path);
    print(&if args.common.json {
        json!({ "path": written.path, "changed": written.changed, "profiles": written.profiles, "command": command }).to_string()
    } else {
        let verb = if written.changed { "wrote" } else { "unchanged:" };
        format!("{verb} {} (profiles {}); try\n\n{command}\n", written.path.display(), written.profiles.join(", "))
    })
}

/// What has been written.
pub(crate) struct Written {
    path: PathBuf,
    changed: bool,
    profiles: Vec<String>,
}

/// A line to paste.
pub(crate) fn usage(aws_config: &Path) -> String {
    format!("AWS_CONFIG_FILE={} aws kms list-keys", shell_word(&aws_config.display().to_string()))
}

/// Writes a profile for each identity that has an access key, with its newest.
pub(crate) fn write(config: &AgentConfig, out: &Path, region: Option<&Region>) -> anyhow::Result<Written> {
    let address = config.listen.tcp.context("the configuration has no listen.tcp, and AWS's tools do not speak over Unix sockets")?;
    let region = region.unwrap_or(&config.regions[0].name);
    let served: Vec<&str> = config.regions.iter().map(|region| region.name.as_str()).collect();
    ensure!(served.contains(&region.as_str()), "there is no region {region}; the configuration has {}", served.join(", "));
    let all = credentials::read(&config.credentials)?;
    let newest = |name: &String| all.iter().rfind(|key| key.identity == *name);
    let keys: Vec<&AccessKey> = config.identities.iter().filter_map(|identity| newest(&identity.name)).collect();
    if keys.is_empty() {
        bail!("no identity has an access key: make one with `claviger agent access-key create`");
    }
    let changed = profile::write(out, &profile::render(&format!("http://{address}"), region, &keys))?;
    let path = out.canonicalize().with_context(|| format!("{} cannot be found again", out.display()))?;
    Ok(Written { path, changed, profiles: keys.iter().map(|key| key.identity.clone()).collect() })
}

/// A path as a shell takes it.
fn shell_word(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@".contains(&byte));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(super::shell_word("/srv/claviger/aws-config"), "/srv/claviger/aws-config");
        assert_eq!(super::shell_word("/home/o'neil/my keys"), r"'/home/o'\''neil/my keys'");
    }
}
