//! Principals as the members of grant operations name them, with AWS's answer to what is none (rules page, section 9).

use claviger_types::{NamedPrincipal, Partition};

use crate::ApiError;
use crate::decode::Text;

/// A principal that a request names: by ARN, or an account by its number. Like a [`claviger_types::KeyRef`] it is well formed, and
/// whether its partition is this deployment's is for the service to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRef {
    text: String,
    /// `None` when the request has an account's number.
    partition: Option<Partition>,
    principal: NamedPrincipal,
}

impl PrincipalRef {
    /// Parses a text that the model's constraint has accepted.
    pub(crate) fn parse(Text(text): Text<'_>) -> Result<Self, ApiError> {
        let invalid = || ApiError::invalid_principal(&text);
        let partition: Option<Partition> = match text.strip_prefix("arn:") {
            Some(arn) => Some(arn.split(':').next().unwrap_or_default().parse().map_err(|_| invalid())?),
            None => None,
        };
        let principal = NamedPrincipal::parse(&text, &partition.clone().unwrap_or_default()).map_err(|_| invalid())?;
        Ok(Self { text: text.into_owned(), partition, principal })
    }

    /// The principal, in a deployment of that partition.
    ///
    /// # Errors
    /// InvalidArnException when the ARN is one of another partition.
    pub fn within(self, partition: &Partition) -> Result<NamedPrincipal, ApiError> {
        match self.partition {
            Some(named) if named != *partition => Err(ApiError::invalid_principal(&self.text)),
            _ => Ok(self.principal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &'static str) -> Result<String, String> {
        let partition = Partition::default();
        let principal = PrincipalRef::parse(Text(text.into())).and_then(|principal| principal.within(&partition));
        principal.map(|principal| principal.arn(&partition)).map_err(|error| error.to_string())
    }

    #[test]
    fn principals_of_this_partition_and_accounts() {
        for arn in [
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:role/app",
            "arn:aws:sts::111122223333:assumed-role/app/one",
        ] {
            assert_eq!(resolve(arn).as_deref(), Ok(arn));
        }
        assert_eq!(resolve("111122223333").as_deref(), Ok("arn:aws:iam::111122223333:root"));
    }

    #[test]
    fn another_partition_is_well_formed_and_refused_when_it_is_resolved() {
        let text = "arn:aws-cn:iam::111122223333:root";
        assert!(PrincipalRef::parse(Text(text.into())).is_ok());
        assert_eq!(resolve(text), Err(format!("InvalidArnException: ARN does not refer to a valid principal: {text}")));
    }

    #[test]
    fn what_is_no_principal() {
        for text in ["a", "arn:", "arn::iam::111122223333:root", "arn:aws:iam::111122223333:group/staff", "arn:aws:kms:eu-west-1:1:key/x"] {
            assert_eq!(resolve(text), Err(format!("InvalidArnException: ARN does not refer to a valid principal: {text}")));
        }
    }
}
