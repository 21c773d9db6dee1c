//! Which key a request names, and whether the caller may use it.
//!
//! So far a principal may use the keys and aliases of its own account and no other. What belongs to another account is
//! refused before anything of it is looked up, so the answer cannot tell whether it exists.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, ErrorCode};
use claviger_state::{Expected, read};
use claviger_types::{AccountId, AliasArn, AliasName, AliasRow, KeyArn, KeyId, KeyRef, Partition, Region};

use crate::cache::AliasTarget;
use crate::error::Fault;
use crate::{Context, Service};

/// How often one request follows an alias that moves away under it. Each time somebody's UpdateAlias was committed.
const FOLLOWED_MAX: usize = 8;

impl<R: consensus::Region> Service<R> {
    /// What `look` makes of the key that `reference` names, once `action` on it is authorised. Call after [`Service::gate`].
    ///
    /// An alias is looked up again after the key, and followed if it has moved. Otherwise a key could be seen as it became
    /// only after the alias had left it: refused as disabled, say, though whoever disabled it had moved the alias first.
    pub(crate) fn with_key<T>(
        &self,
        context: &Context,
        reference: &KeyRef,
        action: &str,
        look: impl Fn(&KeyArn) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (account, name) = match self.named(context, reference, action)? {
            Named::Key(arn) => return look(&arn),
            Named::Alias(account, name) => (account, name),
        };
        let alias = AliasRow::new(account, name);
        for _ in 0..FOLLOWED_MAX {
            let target = self.target(&alias)?.ok_or_else(|| ApiError::alias_not_found(&self.alias_arn(account, name)))?;
            let seen = look(&self.arn(account, target.key_id));
            if self.target(&alias)? == Some(target) {
                return seen;
            }
        }
        Err(Fault::Contended(FOLLOWED_MAX).into())
    }

    /// The ARN of the key that `reference` names by its id or ARN, which may not exist, once `action` on it is authorised.
    pub(crate) fn authorised(&self, context: &Context, reference: &KeyRef, action: &str) -> Result<KeyArn, ApiError> {
        self.named(context, reference, action)?.key()
    }

    /// The ARN that the answer to a remembered request names. Looks nothing up and authorises nothing.
    pub(crate) fn named_key(&self, context: &Context, reference: &KeyRef) -> Result<KeyArn, ApiError> {
        self.resolve(context, reference)?.key()
    }

    /// The key that `reference` names by its id or ARN, as a command names what its authorisation read.
    pub(crate) fn expected(&self, context: &Context, reference: &KeyRef, action: &str) -> Result<Expected, ApiError> {
        let arn = self.authorised(context, reference, action)?;
        Ok(Expected { key_id: arn.key_id, revision: self.record(&arn)?.revision })
    }

    /// The key that has this alias of the caller's account, in the same form.
    pub(crate) fn holder(&self, context: &Context, name: &AliasName) -> Result<Expected, ApiError> {
        let account = context.principal.account();
        let target = self.target(&AliasRow::new(account, name))?;
        let target = target.ok_or_else(|| ApiError::alias_not_found(&self.alias_arn(account, name)))?;
        // Should the alias move before the record is read, the command will find that the two do not fit.
        let record = self.record(&self.arn(account, target.key_id))?;
        Ok(Expected { key_id: target.key_id, revision: record.revision })
    }

    /// The ARN of a key of this region.
    pub(crate) fn arn(&self, account: AccountId, key_id: KeyId) -> KeyArn {
        KeyArn { partition: self.config.partition.clone(), region: self.config.region.clone(), account, key_id }
    }

    /// The ARN of an alias of this region.
    pub(crate) fn alias_arn(&self, account: AccountId, name: &AliasName) -> AliasArn {
        AliasArn { partition: self.config.partition.clone(), region: self.config.region.clone(), account, name: name.clone() }
    }

    /// What an alias names. Call after [`Service::gate`].
    fn target(&self, alias: &AliasRow) -> Result<Option<AliasTarget>, Fault> {
        if let Some(target) = self.cache.alias(alias) {
            return Ok(Some(target));
        }
        // Before the tables are looked at: whatever changes from here on makes the insert below a refusal.
        let stamp = self.cache.alias_stamp(alias);
        let Some(record) = read::alias(&self.region.tables(), alias)? else { return Ok(None) };
        let target = AliasTarget { key_id: record.key_id, revision: record.revision };
        // Refused or not, the alias was read after this request's gate and serves it.
        self.cache.insert_alias(stamp, alias, target);
        Ok(Some(target))
    }

    /// What `reference` names, if it belongs to the caller's account.
    fn named<'a>(&self, context: &Context, reference: &'a KeyRef, action: &str) -> Result<Named<'a>, ApiError> {
        let named = self.resolve(context, reference)?;
        let deny = |resource: &dyn std::fmt::Display| {
            let caller = context.principal.arn(&self.config.partition);
            ApiError::access_denied(&caller, action, resource, &format!("no resource-based policy allows the {action} action"))
        };
        let own = context.principal.account();
        match &named {
            Named::Key(arn) if arn.account != own => Err(deny(arn)),
            Named::Alias(account, name) if *account != own => Err(deny(&self.alias_arn(*account, name))),
            Named::Key(_) | Named::Alias(..) => Ok(named),
        }
    }

    /// An id or alias without an ARN is one of the caller's own account.
    fn resolve<'a>(&self, context: &Context, reference: &'a KeyRef) -> Result<Named<'a>, ApiError> {
        let own = context.principal.account();
        Ok(match reference {
            KeyRef::Id(key_id) => Named::Key(self.arn(own, *key_id)),
            KeyRef::Alias(name) => Named::Alias(own, name),
            KeyRef::Arn(KeyArn { partition, region, account, key_id }) => {
                self.check_here(partition, region)?;
                Named::Key(self.arn(*account, *key_id))
            }
            KeyRef::AliasArn(AliasArn { partition, region, account, name }) => {
                self.check_here(partition, region)?;
                Named::Alias(*account, name)
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

/// What a reference names in this region, whether it exists or not.
enum Named<'a> {
    Key(KeyArn),
    Alias(AccountId, &'a AliasName),
}

impl Named<'_> {
    /// The key; the requests of the operations that take no alias do not parse with one.
    fn key(self) -> Result<KeyArn, ApiError> {
        match self {
            Self::Key(arn) => Ok(arn),
            Self::Alias(_, name) => Err(ApiError::invalid_key_id(name.as_str())),
        }
    }
}
