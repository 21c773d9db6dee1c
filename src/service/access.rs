//! Which key a request names, and whether the caller may do with it what it asks: the one way from a name to a key.
//!
//! Every decision is `claviger_policy`'s, on the documents as of after this request's gate: the key's policy and grants, and the
//! caller's own policies. What it read is named by [`Authorised`] and [`CachedKey::expected`], which a write carries, so that
//! `apply` refuses it if anything of that has changed. A key of another account that does not exist is refused in the same words
//! as one that is closed to the caller.

mod ask;
mod conditions;
mod key_grants;
mod simulate;

use std::cell::RefCell;
use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_policy::{self as policy, Action, Decision, Denial, Document, Documents, Policy};
use claviger_shapes::{ApiError, ErrorCode, Operation};
use claviger_state::{Authorised, read};
use claviger_types::{AccountId, AliasArn, AliasName, AliasRow, KeyArn, KeyId, KeyRef, Partition, Region};

pub(crate) use self::ask::{Ask, NewGrant, NewKey, Parameters};
use self::conditions::Conditions;
use self::key_grants::CallersGrants;
pub(crate) use self::key_grants::{KeptGrants, view};
pub use self::simulate::{SimulatedCheck, SimulatedFacts, SimulatedGrant, Simulation, SimulationError};
use crate::cache::AliasTarget;
use crate::cached_key::CachedKey;
use crate::caller::Caller;
use crate::error::Fault;
use crate::service::Opened;
use crate::{Context, Service};

/// How often one request follows an alias that moves away, or decides on a key that changes, under it. Each time somebody's change
/// was committed.
pub(crate) const FOLLOWED_MAX: usize = 8;

/// What a decision is about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The key; `None` for actions on an alias or on nothing, which the caller's own policies decide.
    pub(crate) key: Option<&'a CachedKey>,
    /// The ARN of the key or alias; `*` for an action that has neither.
    pub(crate) resource: &'a str,
    /// Whose it is.
    pub(crate) owner: AccountId,
    /// The alias by which the request named the key.
    pub(crate) alias: Option<&'a AliasName>,
    /// In place of the key's policy: the one that it is to have.
    pub(crate) policy: Option<&'a Policy>,
}

impl<'a> Subject<'a> {
    pub(crate) fn key(key: &'a CachedKey) -> Self {
        Self { key: Some(key), resource: &key.arn_text, owner: key.arn.account, alias: None, policy: None }
    }

    /// Something that has no key policy.
    pub(crate) const fn without_key(resource: &'a str, owner: AccountId) -> Self {
        Self { key: None, resource, owner, alias: None, policy: None }
    }
}

/// A key that the caller may use as it asked.
pub(crate) struct Allowed {
    pub(crate) key: Arc<CachedKey>,
    pub(crate) authorised: Authorised,
}

impl<R: consensus::Region> Service<R> {
    /// What `look` makes of the key that `reference` names, once what is asked of it is allowed. Call after [`Service::gate`].
    ///
    /// An alias is looked up again after the key, and followed if it has moved. Otherwise a key could be seen as it became
    /// only after the alias had left it: refused as disabled, say, though whoever disabled it had moved the alias first.
    pub(crate) fn with_key<T>(
        &self,
        context: &Context,
        reference: &KeyRef,
        ask: &Ask<'_>,
        look: impl Fn(Allowed) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (account, name) = match self.resolve(context, reference)? {
            Named::Key(arn) => return self.allowed_key(context, &arn, None, ask).and_then(look),
            Named::Alias(account, name) => (account, name),
        };
        let alias = AliasRow::new(account, name);
        for _ in 0..FOLLOWED_MAX {
            let target = self.target(&alias)?.ok_or_else(|| self.no_alias(context, account, name, ask.action))?;
            let seen = self.allowed_key(context, &self.arn(account, target.key_id), Some(name), ask).and_then(&look);
            if self.target(&alias)? == Some(target) {
                return seen;
            }
        }
        Err(Fault::Contended(FOLLOWED_MAX).into())
    }

    /// The key that `reference` names by its id or ARN, once what is asked of it is allowed.
    pub(crate) fn allowed(&self, context: &Context, reference: &KeyRef, ask: &Ask<'_>) -> Result<Allowed, ApiError> {
        self.allowed_key(context, &self.resolve(context, reference)?.key()?, None, ask)
    }

    /// The ARN that the answer to a remembered request names. Looks nothing up and authorises nothing.
    pub(crate) fn named_key(&self, context: &Context, reference: &KeyRef) -> Result<KeyArn, ApiError> {
        self.resolve(context, reference)?.key()
    }

    /// The id of the key that a request names in any form, if it names one. Authorises nothing.
    pub(crate) fn key_id_behind(&self, context: &Context, reference: &KeyRef) -> Result<Option<KeyId>, ApiError> {
        Ok(match self.resolve(context, reference)? {
            Named::Key(arn) => Some(arn.key_id),
            Named::Alias(account, name) => self.target(&AliasRow::new(account, name))?.map(|target| target.key_id),
        })
    }

    /// The key that has this alias of the caller's account, once the action is allowed on both.
    pub(crate) fn allowed_holder(&self, context: &Context, name: &AliasName, ask: &Ask<'_>) -> Result<Allowed, ApiError> {
        let account = context.principal.account();
        let target = self.target(&AliasRow::new(account, name))?;
        let target = target.ok_or_else(|| ApiError::alias_not_found(&self.alias_arn(account, name)))?;
        // Of two revisions of the account that the decisions may have read, the command carries the first.
        let first = self.allowed_alias(context, name, ask)?.account_revision;
        // Should the alias move before the key is read, the command will find that the two do not fit.
        let Allowed { key, authorised } = self.allowed_key(context, &self.arn(account, target.key_id), None, ask)?;
        Ok(Allowed { key, authorised: Authorised { account_revision: first, ..authorised } })
    }

    /// Allows the action on an alias of the caller's account, which need not exist.
    pub(crate) fn allowed_alias(&self, context: &Context, name: &AliasName, ask: &Ask<'_>) -> Result<Authorised, ApiError> {
        let arn = self.alias_arn(context.principal.account(), name).to_string();
        self.authorise(context, &Subject::without_key(&arn, context.principal.account()), ask)
    }

    /// Allows an action that is on no key and no alias.
    pub(crate) fn allowed_here(&self, context: &Context, ask: &Ask<'_>) -> Result<Authorised, ApiError> {
        self.authorise(context, &Subject::without_key("*", context.principal.account()), ask)
    }

    fn allowed_key(&self, context: &Context, arn: &KeyArn, alias: Option<&AliasName>, ask: &Ask<'_>) -> Result<Allowed, ApiError> {
        self.decided(&arn.key_id, |key| match key.filter(|key| key.arn.account == arn.account) {
            Some(key) => {
                let authorised = self.authorise(context, &Subject { alias, ..Subject::key(&key) }, ask)?;
                Ok(Allowed { key, authorised })
            }
            None if arn.account == context.principal.account() => Err(ApiError::not_found(arn)),
            None => Err(self.denied(context, arn, ask.action, Denial::NoAllow(Document::KeyPolicy))),
        })
    }

    /// What `decide` makes of a key, and of its caller and the grants that it looks up after the key: all as of one moment, for it is
    /// asked again when anything of the key, its grants among it, has changed before it is done. Call after [`Service::gate`].
    pub(crate) fn decided<T>(&self, key_id: &KeyId, decide: impl Fn(Option<Arc<CachedKey>>) -> Result<T, ApiError>) -> Result<T, ApiError> {
        for _ in 0..FOLLOWED_MAX {
            let Some(Opened { key, stamp }) = self.opened_at(key_id)? else { return decide(None) };
            let decided = decide(Some(Arc::clone(&key)));
            if self.cache.is_current(&key, stamp) {
                return decided;
            }
        }
        Err(Fault::Contended(FOLLOWED_MAX).into())
    }

    /// Whether the caller may; what the decision rests on.
    pub(crate) fn authorise(&self, context: &Context, subject: &Subject<'_>, ask: &Ask<'_>) -> Result<Authorised, ApiError> {
        self.weigh(context, subject, ask, |request, documents, revision| {
            let decision = policy::decide(request, documents);
            self.authorised(context, subject, ask.action, decision, revision)
        })?
    }

    /// What a decision allows, or the refusal.
    pub(crate) fn authorised(
        &self,
        context: &Context,
        subject: &Subject<'_>,
        action: Action,
        decision: Decision,
        account_revision: u64,
    ) -> Result<Authorised, ApiError> {
        if let Some(denial) = decision.denial() {
            return Err(match subject.alias {
                // Which key another account's alias names is not told.
                Some(name) if subject.owner != context.principal.account() => {
                    self.denied(context, self.alias_arn(subject.owner, name), action, denial)
                }
                _ => self.denied(context, subject.resource, action, denial),
            });
        }
        let grant = subject.key.and_then(|key| decision.grant().map(|grant| (key.arn.key_id, grant)));
        Ok(Authorised { account_revision: Some((context.principal.account(), account_revision)), grant })
    }

    /// Has `judge` decide on the documents as they are now, and says which revision of the caller's account they are of. It is asked
    /// again if grants that it was shown are of a later moment than the rest.
    pub(crate) fn weigh<T>(
        &self,
        context: &Context,
        subject: &Subject<'_>,
        ask: &Ask<'_>,
        judge: impl Fn(&policy::Request<'_, Conditions<'_>>, &Documents<'_>, u64) -> T,
    ) -> Result<T, ApiError> {
        for _ in 0..FOLLOWED_MAX {
            let fault = RefCell::new(None);
            let caller = self.caller(&context.principal)?;
            let judged = self.judged(context, subject, ask, &caller, &fault, &judge);
            match fault.into_inner() {
                None => return Ok(judged),
                Some(Fault::Moved) => {}
                // What could not be read counted as absent, on which nothing may rest.
                Some(fault) => return Err(fault.into()),
            }
        }
        Err(Fault::Contended(FOLLOWED_MAX).into())
    }

    fn judged<T>(
        &self,
        context: &Context,
        subject: &Subject<'_>,
        ask: &Ask<'_>,
        caller: &Caller,
        fault: &RefCell<Option<Fault>>,
        judge: impl Fn(&policy::Request<'_, Conditions<'_>>, &Documents<'_>, u64) -> T,
    ) -> T {
        let now = || self.region.log_time().map_err(Fault::from);
        let tables = || self.region.tables();
        let conditions = Conditions {
            principal: &context.principal,
            caller,
            source_ip: context.source_ip,
            region: &self.config.region,
            partition: &self.config.partition,
            now: &now,
            ask,
            key: subject.key,
            alias: subject.alias,
            fault,
        };
        let request = policy::Request {
            caller: &context.principal,
            action: ask.action,
            resource: subject.resource,
            owner: subject.owner,
            context: &conditions,
            encryption_context: ask.encryption_context,
            new_grant: ask.grant_terms(),
        };
        let grants = subject.key.map(|key| CallersGrants {
            tables: &tables,
            cache: &self.cache,
            key,
            principal: &context.principal,
            account_revision: caller.account_revision,
            fault,
        });
        let documents = Documents {
            key_policy: subject.policy.or(subject.key.map(|key| &key.policy)),
            identity: &caller.policies,
            boundary: caller.boundary.as_ref(),
            session: None,
            grants: grants.as_ref().map_or(&(), |grants| grants),
            revoked: caller.is_denied,
        };
        judge(&request, &documents, caller.account_revision)
    }

    /// The refusal, in AWS's words.
    pub(crate) fn denied(&self, context: &Context, resource: impl std::fmt::Display, action: Action, denial: Denial) -> ApiError {
        let caller = context.principal.arn(&self.config.partition);
        ApiError::access_denied(&caller, action.as_str(), resource, &denial.because(action))
    }

    /// The refusal of one whom operators have denied everything, whatever it asks.
    pub(crate) fn denied_everything(&self, context: &Context, operation: Operation) -> ApiError {
        let (caller, action) = (context.principal.arn(&self.config.partition), format!("kms:{operation}"));
        ApiError::access_denied(&caller, &action, "*", &Denial::Revoked.because(&action))
    }

    /// An alias that nobody has: of another account in the same words as one that is closed to the caller.
    fn no_alias(&self, context: &Context, account: AccountId, name: &AliasName, action: Action) -> ApiError {
        let arn = self.alias_arn(account, name);
        if account == context.principal.account() {
            return ApiError::alias_not_found(&arn);
        }
        self.denied(context, arn, action, Denial::NoAllow(Document::KeyPolicy))
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
