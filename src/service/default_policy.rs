//! The key policy that a key has when none was given: AWS's default, which delegates to the account's own policies.

use claviger_types::{AccountId, Partition};

/// The document as AWS returns it, spacing included (rules page, section 10).
pub(crate) fn document(partition: &Partition, account: AccountId) -> String {
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
        let text = document(&Partition::default(), "111122223333".parse().unwrap());
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
