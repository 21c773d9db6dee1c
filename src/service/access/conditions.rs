//! What a request, its caller and the key say to the condition keys of policies (rules page, section 10). Nothing is computed
//! before a condition asks for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use claviger_policy::{self as policy, ConditionKey, Texts, Value, find_ignoring_case};
use claviger_shapes::sts;
use claviger_types::{AliasName, ExpirationModel, NamedPrincipal, Partition, Principal, Region, Timestamp};

use super::Ask;
use super::ask::Parameters;
use crate::cached_key::CachedKey;
use crate::caller::Caller;
use crate::error::Fault;

/// See the module. A value that cannot be read is absent, and its fault refuses the whole request: see `Service::weigh`.
pub(crate) struct Conditions<'a> {
    pub(super) principal: &'a Principal,
    pub(super) caller: &'a Caller,
    pub(super) source_ip: Option<IpAddr>,
    pub(super) region: &'a Region,
    pub(super) partition: &'a Partition,
    /// Log time.
    pub(super) now: &'a dyn Fn() -> Result<Timestamp, Fault>,
    pub(super) ask: &'a Ask<'a>,
    pub(super) key: Option<&'a CachedKey>,
    /// The alias by which the request named the key.
    pub(super) alias: Option<&'a AliasName>,
    pub(super) fault: &'a RefCell<Option<Fault>>,
}

impl policy::Context for Conditions<'_> {
    fn value(&self, key: &ConditionKey) -> Value<'_> {
        match key {
            ConditionKey::PrincipalArn => Value::Made(self.principal_arn()),
            ConditionKey::PrincipalAccount => Value::Account(self.principal.account()),
            ConditionKey::PrincipalType => Value::Text(match self.principal {
                Principal::Root { .. } => "Account",
                Principal::User { .. } => "User",
                Principal::AssumedRole { .. } => "AssumedRole",
            }),
            ConditionKey::UserId => Value::Made(sts::user_id(self.principal)),
            ConditionKey::UserName => match self.principal {
                Principal::User { name, .. } => Value::Text(name),
                Principal::Root { .. } | Principal::AssumedRole { .. } => Value::Absent,
            },
            ConditionKey::PrincipalTag(name) => text(find_ignoring_case(&self.caller.tags, name)),
            ConditionKey::SourceIp => self.source_ip.map_or(Value::Absent, Value::Ip),
            ConditionKey::SecureTransport => Value::Bool(true),
            ConditionKey::CurrentTime | ConditionKey::EpochTime => self.time(),
            ConditionKey::RequestedRegion => Value::Text(self.region.as_str()),
            ConditionKey::ViaAwsService => Value::Bool(false),
            ConditionKey::PrincipalOrgId | ConditionKey::ViaService => Value::Absent,
            _ => self.of_request(key),
        }
    }
}

impl Conditions<'_> {
    /// What the request says.
    fn of_request(&self, key: &ConditionKey) -> Value<'_> {
        let ask = self.ask;
        match key {
            ConditionKey::EncryptionAlgorithm => text(ask.encryption_algorithm.map(|algorithm| algorithm.as_str())),
            ConditionKey::EncryptionContextKeys => ask.encryption_context.map_or(Value::Absent, |context| Value::Many(context)),
            ConditionKey::EncryptionContext(name) => text(ask.encryption_context.and_then(|context| find_ignoring_case(context, name))),
            ConditionKey::RecipientAttestation(name) => {
                ask.attestation.and_then(|attestation| attestation.condition_value(name)).map_or(Value::Absent, Value::Made)
            }
            ConditionKey::ReEncryptOnSameKey => truth(ask.is_re_encrypt_on_same_key),
            ConditionKey::BypassPolicyLockoutSafetyCheck => truth(ask.bypasses_lockout_check),
            ConditionKey::ReplicaRegion => text(ask.replica_region.map(Region::as_str)),
            ConditionKey::RequestTag(name) => text(ask.tags.and_then(|tags| find_ignoring_case(tags, name))),
            ConditionKey::TagKeys => ask.tag_keys.map_or(Value::Absent, |keys| Value::Many(keys)),
            ConditionKey::RequestAlias => text(self.alias.map(AliasName::as_str)),
            ConditionKey::GranteePrincipal => text(ask.new_grant.map(|grant| grant.grantee)),
            ConditionKey::RetiringPrincipal => text(ask.new_grant.and_then(|grant| grant.retiring)),
            ConditionKey::GrantConstraintType => text(ask.new_grant.and_then(|grant| grant.constraint).map(|constraint| constraint.kind())),
            ConditionKey::GrantOperations => ask.new_grant.map_or(Value::Absent, |grant| Value::Many(grant.operations)),
            ConditionKey::GrantIsForAwsResource => truth(ask.is_of_grants.then_some(false)),
            _ => self.of_parameters(key),
        }
    }

    /// What the one parameter of its operation says.
    fn of_parameters(&self, key: &ConditionKey) -> Value<'_> {
        match (key, self.ask.parameters) {
            (ConditionKey::SigningAlgorithm, Parameters::Signing { algorithm, .. }) => Value::Text(algorithm.as_str()),
            (ConditionKey::MessageType, Parameters::Signing { message_type, .. }) => Value::Text(message_type.as_str()),
            (ConditionKey::MacAlgorithm, Parameters::Mac(algorithm)) => Value::Text(algorithm.as_str()),
            (ConditionKey::KeyAgreementAlgorithm, Parameters::Agreement(algorithm)) => Value::Text(algorithm.as_str()),
            (ConditionKey::DataKeyPairSpec, Parameters::KeyPair(spec)) => Value::Text(spec.as_str()),
            (ConditionKey::WrappingAlgorithm, Parameters::Wrapping(algorithm, _)) => Value::Text(algorithm.as_str()),
            (ConditionKey::WrappingKeySpec, Parameters::Wrapping(_, spec)) => Value::Text(spec.as_str()),
            (ConditionKey::ExpirationModel, Parameters::Material { valid_to }) => {
                let model = if valid_to.is_some() { ExpirationModel::Expires } else { ExpirationModel::DoesNotExpire };
                Value::Text(model.as_str())
            }
            (ConditionKey::ValidTo, Parameters::Material { valid_to }) => valid_to.map_or(Value::Absent, Value::Time),
            (ConditionKey::RotationPeriodInDays, Parameters::Rotation(days))
            | (ConditionKey::ScheduleKeyDeletionPendingWindowInDays, Parameters::Deletion(days)) => Value::Made(days.to_string()),
            _ => self.of_key(key),
        }
    }

    /// What the key says, or the one that is asked for.
    fn of_key(&self, key: &ConditionKey) -> Value<'_> {
        let new = self.ask.new_key;
        match key {
            ConditionKey::KeySpec | ConditionKey::CustomerMasterKeySpec => {
                text(new.map(|new| new.spec).or(self.key.map(|key| key.spec)).map(|spec| spec.as_str()))
            }
            ConditionKey::KeyUsage | ConditionKey::CustomerMasterKeyUsage => {
                text(new.map(|new| new.usage).or(self.key.map(|key| key.usage)).map(|usage| usage.as_str()))
            }
            ConditionKey::KeyOrigin => text(new.map(|new| new.origin).or(self.key.map(|key| key.origin)).map(|origin| origin.as_str())),
            ConditionKey::MultiRegion => truth(new.map(|new| new.is_multi_region).or(self.key.map(|key| key.arn.key_id.is_multi_region()))),
            ConditionKey::MultiRegionKeyType => {
                let of_new = new.filter(|new| new.is_multi_region).map(|new| !new.is_replica);
                let of_key = self.key.filter(|key| key.arn.key_id.is_multi_region()).map(|key| key.is_primary);
                text(of_new.or(of_key).map(|is_primary| if is_primary { "PRIMARY" } else { "REPLICA" }))
            }
            ConditionKey::CallerAccount => self.tags_of_key().map_or(Value::Absent, |_| Value::Account(self.principal.account())),
            ConditionKey::ResourceTag(name) => text(self.tags_of_key().and_then(|tags| find_ignoring_case(tags, name))),
            ConditionKey::ResourceAliases => self.key.map_or(Value::Absent, |key| Value::Many(&key.aliases)),
            // Of other operations than this one.
            _ => Value::Absent,
        }
    }

    /// Of the key that the request is about, if it is about one.
    fn tags_of_key(&self) -> Option<&BTreeMap<String, String>> {
        self.key.map(|key| &key.tags).or(self.ask.new_key_tags)
    }

    /// Of a session it is its role's (IAM User Guide, aws:PrincipalArn).
    fn principal_arn(&self) -> String {
        match self.principal {
            Principal::AssumedRole { account, role, .. } => {
                NamedPrincipal::Role { account: *account, name: role.clone() }.arn(self.partition)
            }
            principal => principal.arn(self.partition),
        }
    }

    fn time(&self) -> Value<'_> {
        match (self.now)() {
            Ok(now) => Value::Time(now),
            Err(fault) => {
                self.fault.borrow_mut().get_or_insert(fault);
                Value::Absent
            }
        }
    }
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Absent, Value::Text)
}

fn truth<'a>(value: Option<bool>) -> Value<'a> {
    value.map_or(Value::Absent, Value::Bool)
}

/// `kms:ResourceAliases`.
impl Texts for crate::cached_key::Aliases {
    fn each(&self, visit: &mut dyn FnMut(&str) -> std::ops::ControlFlow<()>) -> std::ops::ControlFlow<()> {
        self.0.iter().try_for_each(|alias| visit(alias.as_str()))
    }
}
