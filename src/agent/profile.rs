//! An AWS configuration file with a profile for each identity, so that AWS's own tools find the agent and the access keys.
//!
//! KMS and STS go to the agent (a `services` section); what else a profile is used for still goes to AWS.

use std::path::Path;

use claviger_types::Region;
use zeroize::Zeroizing;

use crate::AgentError;
use crate::credentials::AccessKey;
use crate::private_file;

/// By which a file is known as one that may be replaced.
const MARKER: &str = "# Written by `claviger agent profile`";

/// The text of the file: the first key's identity is the default profile, and each has a profile of its own name.
pub fn render(endpoint: &str, region: &Region, keys: &[&AccessKey]) -> Zeroizing<String> {
    let profile = |name: &str, key: &AccessKey| {
        Zeroizing::new(format!(
            "\n[{name}]\nregion = {region}\naws_access_key_id = {}\naws_secret_access_key = {}\nservices = claviger\n",
            key.id,
            key.secret.expose()
        ))
    };
    let default = keys.first().map(|key| profile("default", key));
    let named = keys.iter().map(|key| profile(&format!("profile {}", key.identity), key));
    let profiles: Vec<_> = default.into_iter().chain(named).collect();
    let services = format!("\n[services claviger]\nkms =\n  endpoint_url = {endpoint}\nsts =\n  endpoint_url = {endpoint}\n");
    let header = format!("{MARKER}; written anew when that runs again.\n");
    // All at once: a text that grows leaves copies of secrets behind.
    let length = header.len() + services.len() + profiles.iter().map(|text| text.len()).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(length));
    text.push_str(&header);
    profiles.iter().for_each(|profile| text.push_str(profile));
    text.push_str(&services);
    text
}

/// Writes the file with mode 0600, and says whether anything changed. A file that somebody else made is left alone.
///
/// # Errors
/// When the file is somebody else's, or cannot be read or written.
pub fn write(path: &Path, text: &str) -> Result<bool, AgentError> {
    match private_file::read(path)? {
        Some(found) if found.as_str() == text => return Ok(false),
        Some(found) if !found.starts_with(MARKER) => return Err(AgentError::Foreign { path: path.to_owned() }),
        _ => {}
    }
    private_file::write(path, text)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use claviger_sigv4::SecretAccessKey;

    use super::*;

    #[test]
    fn the_file_has_a_default_and_a_profile_for_each() {
        let key = |id: &str, identity: &str| AccessKey {
            id: id.parse().unwrap(),
            secret: SecretAccessKey::parse(&format!("{identity}-secret-secret-secret")).unwrap(),
            identity: identity.to_owned(),
            created_at_s: 0,
        };
        let (admin, alice) = (key("AKIAEXAMPLEEXAMPLE01", "admin"), key("AKIAEXAMPLEEXAMPLE02", "alice"));
        let text = render("http://127.0.0.1:8300", &"eu-west-1".parse().unwrap(), &[&admin, &alice]);
        let expected = "# Written by `claviger agent profile`; written anew when that runs again.

[default]
region = eu-west-1
aws_access_key_id = AKIAEXAMPLEEXAMPLE01
aws_secret_access_key = admin-secret-secret-secret
services = claviger

[profile admin]
region = eu-west-1
aws_access_key_id = AKIAEXAMPLEEXAMPLE01
aws_secret_access_key = admin-secret-secret-secret
services = claviger

[profile alice]
region = eu-west-1
aws_access_key_id = AKIAEXAMPLEEXAMPLE02
aws_secret_access_key = alice-secret-secret-secret
services = claviger

[services claviger]
kms =
  endpoint_url = http://127.0.0.1:8300
sts =
  endpoint_url = http://127.0.0.1:8300
";
        assert_eq!(text.as_str(), expected);
    }

    #[test]
    fn only_our_own_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let text = format!("{MARKER} 1");
        assert!(write(&path, &text).unwrap());
        assert!(!write(&path, &text).unwrap(), "the second time nothing changes");
        assert!(write(&path, &format!("{MARKER} 2")).unwrap());
        private_file::write(&path, "[default]\nregion = eu-west-1\n").unwrap();
        assert!(matches!(write(&path, &text), Err(AgentError::Foreign { .. })));
    }
}
