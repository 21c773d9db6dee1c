//! PutKeyPolicy: another policy for a key of the caller's account, in this region alone. Once it has answered, no node of the region
//! decides by the old one.

use std::collections::BTreeMap;

use claviger_consensus as consensus;
use claviger_policy::{self as policy, Action};
use claviger_shapes::{ApiError, Operation, PutKeyPolicyRequest};
use claviger_state::{self as state, CommandBody, Once};

use crate::access::{self, Allowed, Ask, NewKey};
use crate::cached_key::CachedKey;
use crate::error::Subject;
use crate::{Context, Service, key_policy};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn put_key_policy(&self, context: &Context, request: PutKeyPolicyRequest) -> Result<(), ApiError> {
        let bypass = request.bypass_policy_lockout_safety_check;
        let ask = Ask { bypasses_lockout_check: Some(bypass), ..Ask::new(Action::PutKeyPolicy) };
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            self.check_new_policy(context, &request.policy, Some(&key), &key.arn_text, bypass, None)?;
            let once = Once { authorised, ..once };
            Ok(CommandBody::PutKeyPolicy(state::PutKeyPolicy { once, key: key.expected(), policy: Some(request.policy.clone()) }))
        };
        let outcome = self.write(context, Operation::PutKeyPolicy, state::Operation::PutKeyPolicy, command).await?;
        Subject::Key(&self.named_key(context, &request.key)?).done(outcome)
    }

    /// Refuses a policy that is none, that names who does not exist, or under which this caller could not change it again, unless
    /// that check is to be bypassed (rules page, section 10, "Lockout check").
    pub(crate) fn check_new_policy(
        &self,
        context: &Context,
        text: &str,
        key: Option<&CachedKey>,
        arn: &str,
        bypass: bool,
        new_key: Option<(NewKey, &BTreeMap<String, String>)>,
    ) -> Result<(), ApiError> {
        let policy = key_policy::given(&self.region.tables(), text, &self.config.partition)?;
        if bypass {
            return Ok(());
        }
        let own = access::Subject::without_key(arn, context.principal.account());
        let subject = access::Subject { key, policy: Some(&policy), ..own };
        let (new_key, new_key_tags) = new_key.unzip();
        let ask = Ask { bypasses_lockout_check: Some(false), new_key, new_key_tags, ..Ask::new(Action::PutKeyPolicy) };
        let decision = self.weigh(context, &subject, &ask, |request, documents, _| policy::decide(request, documents))?;
        if decision.is_allowed() { Ok(()) } else { Err(ApiError::policy_locks_out()) }
    }
}
