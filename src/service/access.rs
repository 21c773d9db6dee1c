//! Which key a request names, and whether the caller may use it.
//!
//! So far a principal may use the keys of its own account and no other. What belongs to another account is refused
//! before anything of it is looked up, so the answer cannot tell whether it exists.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, ErrorCode};
use claviger_types::{AccountId, AliasArn, KeyArn, KeyId, KeyRef, Partition, Region};

use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    /// The ARN of the key that `reference` names, which may not exist, once `action` on it is authorised.
    pub(crate) fn authorised(&self, context: &Context, reference: &KeyRef, action: &str) -> Result<KeyArn, ApiError> {
        let named = self.resolve(context, reference)?;
        let deny = |resource: &dyn std::fmt::Display| {
            let caller = context.principal.arn(&self.config.partition);
            ApiError::access_denied(&caller, action, resource, &format!("no resource-based policy allows the {action} action"))
        };
        let own = context.principal.account();
        match named {
            Named::Key(arn) if arn.account == own => Ok(arn),
            Named::Key(arn) => Err(deny(&arn)),
            Named::Alias { arn, account } if account == own => Err(ApiError::alias_not_found(arn)),
            Named::Alias { arn, .. } => Err(deny(&arn)),
        }
    }

    /// The ARN that the answer to a remembered request names. Looks nothing up and authorises nothing.
    pub(crate) fn named_key(&self, context: &Context, reference: &KeyRef) -> Result<KeyArn, ApiError> {
        match self.resolve(context, reference)? {
            Named::Key(arn) => Ok(arn),
            Named::Alias { arn, .. } => Err(ApiError::alias_not_found(arn)),
        }
    }

    /// The ARN of a key of this region.
    pub(crate) fn arn(&self, account: AccountId, key_id: KeyId) -> KeyArn {
        KeyArn { partition: self.config.partition.clone(), region: self.config.region.clone(), account, key_id }
    }

    /// An id or alias without an ARN is one of the caller's own account.
    fn resolve(&self, context: &Context, reference: &KeyRef) -> Result<Named, ApiError> {
        let alias = |account: AccountId, name: &str| {
            let (partition, region) = (&self.config.partition, &self.config.region);
            Named::Alias { arn: format!("arn:{partition}:kms:{region}:{account}:{name}"), account }
        };
        let own = context.principal.account();
        Ok(match reference {
            KeyRef::Id(key_id) => Named::Key(self.arn(own, *key_id)),
            KeyRef::Alias(name) => alias(own, name),
            KeyRef::Arn(KeyArn { partition, region, account, key_id }) => {
                self.check_here(partition, region)?;
                Named::Key(self.arn(*account, *key_id))
            }
            KeyRef::AliasArn(AliasArn { partition, region, account, name }) => {
                self.check_here(partition, region)?;
                alias(*account, name)
            }
        })
    }

    fn check_here(&self, partition: &Partition, region: &Region) -> Result<(), ApiError> {
        if *region != self.config.region {
            return Err(ApiError::other_region(region));
        }
        if *partition != self.config.partition {
            return Err(ApiError::new(ErrorCode::NotFound, format!("Invalid arn {partition}")));
        }
        Ok(())
    }
}

/// What a reference names in this region.
enum Named {
    Key(KeyArn),
    /// Aliases do not exist yet, so none is ever found.
    Alias {
        arn: String,
        account: AccountId,
    },
}
