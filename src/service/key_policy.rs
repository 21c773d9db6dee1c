//! Key policies: the one that is stored, the default that a key has when none was given, and what must hold of a new one.
//!
//! The state machine keeps texts and does not read them; whoever proposes one has compiled it here.

use claviger_policy::{Policy, PolicyError, PolicyKind, PolicyPrincipal};
use claviger_shapes::{ApiError, ErrorCode};
use claviger_state::{KeyRecord, StateError, Tables, read};
use claviger_types::{AccountId, NamedPrincipal, Partition};

use crate::error::Fault;

/// The policy of a stored key, compiled.
pub(crate) fn stored(record: &KeyRecord, partition: &Partition) -> Result<Policy, Fault> {
    let text = text(record, partition);
    Policy::parse(&text, PolicyKind::Key, partition).map_err(|source| Fault::Policy(format!("of key {}", record.document.key_id), source))
}

/// The text of a stored key's policy.
pub(crate) fn text(record: &KeyRecord, partition: &Partition) -> String {
    record.regional.policy.clone().unwrap_or_else(|| default_document(partition, record.document.account))
}

/// Compiles a policy that a client gives, and looks whether all whom it names exist (rules page, section 10, "Document rules").
pub(crate) fn given(tables: &impl Tables, text: &str, partition: &Partition) -> Result<Policy, ApiError> {
    let policy = Policy::parse(text, PolicyKind::Key, partition).map_err(|error| match error {
        PolicyError::TooLarge { .. } => ApiError::new(ErrorCode::LimitExceeded, error.to_string()),
        error => ApiError::malformed_policy(error.to_string()),
    })?;
    for principal in policy.principals() {
        let missing = match principal {
            PolicyPrincipal::Named(named) if exists(tables, named).map_err(Fault::from)? => continue,
            PolicyPrincipal::Named(named) => named.arn(partition),
            PolicyPrincipal::Deleted(id) => id.to_owned(),
        };
        return Err(ApiError::malformed_policy(format!(
            "Policy contains a statement with an invalid principal: {missing} does not exist."
        )));
    }
    Ok(policy)
}

/// Whether this region knows the principal. A session of a role needs no more than its role.
pub(crate) fn exists(tables: &impl Tables, named: &NamedPrincipal) -> Result<bool, StateError> {
    Ok(match named {
        NamedPrincipal::Account(account) => read::account(tables, *account)?.is_some(),
        NamedPrincipal::User { account, name } => read::user(tables, *account, name)?.is_some(),
        NamedPrincipal::Role { account, name } | NamedPrincipal::AssumedRole { account, role: name, .. } => {
            read::role(tables, *account, name)?.is_some()
        }
    })
}

/// AWS's default, which delegates to the account's own policies, as AWS returns it, spacing included (rules page, section 10).
pub(crate) fn default_document(partition: &Partition, account: AccountId) -> String {
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:{partition}:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_default_policy_of_aws() {
        let text = default_document(&Partition::default(), "111122223333".parse().unwrap());
        let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            policy,
            serde_json::json!({
                "Version": "2012-10-17",
                "Id": "key-default-1",
                "Statement": [{
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }],
            })
        );
    }
}
