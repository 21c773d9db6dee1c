//! The agent's access keys, in a file of mode 0600: a line for each, `<access key id> <secret> <identity> <unix seconds>`.
//!
//! The agent reads it, `claviger agent access-key` changes it. Verifying a signature needs the secret itself, so it stands
//! there in clear, as in `~/.aws/credentials`; it opens nothing but this agent.

use std::path::Path;

use aws_lc_rs::rand;
use claviger_sigv4::{AccessKeyId, SecretAccessKey};
use claviger_types::Timestamp;
use zeroize::Zeroizing;

use crate::AgentError;
use crate::private_file;

/// Access keys of one agent.
const KEYS_MAX: usize = 1024;

/// One access key.
pub struct AccessKey {
    /// Its public half.
    pub id: AccessKeyId,
    /// Its secret half.
    pub secret: SecretAccessKey,
    /// The identity that it stands for.
    pub identity: String,
    /// When it was made, Unix seconds.
    pub created_at_s: u64,
}

/// All access keys, in the order in which they were made; none if there is no file.
///
/// # Errors
/// When the file cannot be read, can be read by others, or has a line that is no access key.
pub fn read(path: &Path) -> Result<Vec<AccessKey>, AgentError> {
    let Some(text) = private_file::read(path)? else { return Ok(Vec::new()) };
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let keys: Vec<_> = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| parse(path, number, line))
        .collect::<Result<_, _>>()?;
    match keys.len() > KEYS_MAX {
        true => Err(AgentError::TooMany { path: path.to_owned(), max: KEYS_MAX }),
        false => Ok(keys),
    }
}

/// Makes an access key and adds it.
///
/// # Errors
/// As [`read`], and when the file cannot be written or is full.
pub fn create(path: &Path, identity: &str, now: Timestamp) -> Result<AccessKey, AgentError> {
    let _alone = private_file::lock_directory(path)?;
    let mut keys = read(path)?;
    if keys.len() >= KEYS_MAX {
        return Err(AgentError::TooMany { path: path.to_owned(), max: KEYS_MAX });
    }
    let key = generate(identity, now)?;
    keys.push(key);
    write(path, &keys)?;
    // It was pushed just now.
    keys.pop().ok_or(AgentError::Random)
}

/// Removes an access key, and says whether it was there.
///
/// # Errors
/// As [`read`], and when the file cannot be written.
pub fn delete(path: &Path, id: &AccessKeyId) -> Result<bool, AgentError> {
    let _alone = private_file::lock_directory(path)?;
    let mut keys = read(path)?;
    let before = keys.len();
    keys.retain(|key| key.id != *id);
    if keys.len() == before {
        return Ok(false);
    }
    write(path, &keys)?;
    Ok(true)
}

fn generate(identity: &str, now: Timestamp) -> Result<AccessKey, AgentError> {
    let mut id = [0; 16];
    let mut secret = Zeroizing::new([0; 30]);
    rand::fill(&mut id).and_then(|()| rand::fill(secret.as_mut_slice())).map_err(|_| AgentError::Random)?;
    Ok(AccessKey {
        id: AccessKeyId::from_entropy(id),
        secret: SecretAccessKey::from_entropy(&secret),
        identity: identity.to_owned(),
        created_at_s: now.as_millis() / 1000,
    })
}

fn parse(path: &Path, line: usize, text: &str) -> Result<AccessKey, AgentError> {
    let shape = || AgentError::Line { path: path.to_owned(), line };
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let [id, secret, identity, created_at] = parts.as_slice() else { return Err(shape()) };
    let bad = |source| AgentError::AccessKey { path: path.to_owned(), line, source };
    Ok(AccessKey {
        id: id.parse().map_err(bad)?,
        secret: SecretAccessKey::parse(secret).map_err(bad)?,
        identity: (*identity).to_owned(),
        created_at_s: created_at.parse().map_err(|_| shape())?,
    })
}

fn write(path: &Path, keys: &[AccessKey]) -> Result<(), AgentError> {
    const HEADER: &str = "# Access keys of the local agent, made by `claviger agent access-key`. Whoever has them has its identities.\n";
    let line_bytes = |key: &AccessKey| key.id.as_str().len() + key.secret.expose().len() + key.identity.len() + 32;
    // All at once: a text that grows leaves copies of secrets behind.
    let mut text = Zeroizing::new(String::with_capacity(HEADER.len() + keys.iter().map(line_bytes).sum::<usize>()));
    text.push_str(HEADER);
    for AccessKey { id, secret, identity, created_at_s } in keys {
        for part in [id.as_str(), " ", secret.expose(), " ", identity, " ", &created_at_s.to_string(), "\n"] {
            text.push_str(part);
        }
    }
    private_file::write(path, &text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn keys_are_made_listed_and_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        assert!(read(&path).unwrap().is_empty());
        let alice = create(&path, "alice", Timestamp::from_millis(5_999)).unwrap();
        let again = create(&path, "alice", Timestamp::from_millis(6_000)).unwrap();
        assert_eq!((alice.id.as_str().len(), alice.secret.expose().len(), alice.created_at_s), (20, 40, 5));
        assert!(alice.id != again.id && alice.secret.expose() != again.secret.expose());

        let listed = read(&path).unwrap();
        assert_eq!(listed.iter().map(|key| &key.id).collect::<Vec<_>>(), [&alice.id, &again.id]);
        assert_eq!((listed[0].secret.expose(), listed[0].identity.as_str()), (alice.secret.expose(), "alice"));

        assert!(delete(&path, &alice.id).unwrap());
        assert!(!delete(&path, &alice.id).unwrap(), "the second time there is nothing to delete");
        assert_eq!(read(&path).unwrap().len(), 1);
    }

    /// Two commands at once must not lose each other's key.
    #[test]
    fn concurrent_changes_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..5).for_each(|_| _ = create(&path, "alice", Timestamp::from_millis(0)).unwrap()));
            }
        });
        assert_eq!(read(&path).unwrap().len(), 40);
    }

    #[test]
    fn a_damaged_line_is_named_and_its_secret_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        let good = "AKIAEXAMPLEEXAMPLE01 wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY alice 1";
        for bad in ["AKIAEXAMPLEEXAMPLE01 wJalrXUtnFEMI/K7MDENG alice", &good.replace("alice 1", "alice x"), &good.replace("AKIA", "AK*A")]
        {
            private_file::write(&path, &format!("# comment\n\n{good}\n{bad}\n")).unwrap();
            let error = read(&path).err().unwrap().to_string();
            assert!(error.contains("credentials:4") && !error.contains("wJalr"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        private_file::write(&path, &format!("{good}\n")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
    }
}
