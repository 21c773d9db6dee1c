//! Policy documents: parsed, and decided by.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use claviger_policy::{
    Action, Attached, ConditionKey, Context, Decision, Denial, Documents, Policy, PolicyKind, Request, Value, decide, explain,
    find_ignoring_case,
};
use claviger_types::limits::POLICY_TRACE_BYTES_MAX;
use claviger_types::{AccountId, Partition, Principal, Timestamp};

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// What the requests know of themselves: a value of every type.
struct Facts {
    account: AccountId,
    encryption_context: BTreeMap<String, String>,
}

static FACTS: LazyLock<Facts> = LazyLock::new(|| Facts {
    account: "111122223333".parse().expect("an account"),
    encryption_context: BTreeMap::from([("purpose".to_owned(), "fuzz".to_owned()), ("long".to_owned(), "a".repeat(2048))]),
});

impl Context for Facts {
    fn value(&self, key: &ConditionKey) -> Value<'_> {
        match key {
            ConditionKey::CallerAccount | ConditionKey::PrincipalAccount => Value::Account(self.account),
            ConditionKey::EncryptionContext(name) => find_ignoring_case(&self.encryption_context, name).into(),
            ConditionKey::EncryptionContextKeys => Value::Many(&self.encryption_context),
            ConditionKey::KeyOrigin => Value::Text("AWS_KMS"),
            ConditionKey::MultiRegion => Value::Bool(true),
            ConditionKey::PrincipalArn => Value::Text("arn:aws:iam::111122223333:user/alice"),
            ConditionKey::RotationPeriodInDays => Value::Number(365),
            ConditionKey::ValidTo => Value::Time(Timestamp::from_millis(1_700_000_000_123)),
            ConditionKey::SourceIp => Value::Ip([192, 0, 2, 7].into()),
            _ => Value::Absent,
        }
    }
}

fn callers() -> [Principal; 3] {
    let (own, other) = (FACTS.account, "444455556666".parse().expect("an account"));
    [
        Principal::User { account: own, name: "alice".to_owned() },
        Principal::AssumedRole { account: own, role: "app".to_owned(), session: "1".to_owned() },
        Principal::User { account: other, name: "bob".to_owned() },
    ]
}

/// A document, as a key's and as an identity's. If it compiles, a decision by it takes no more than its steps, and explaining it
/// decides the same and fits into a trace.
pub fn policy(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let partition = Partition::default();
    let key = Policy::parse(text, PolicyKind::Key, &partition).ok();
    let identity =
        Policy::parse(text, PolicyKind::Identity, &partition).ok().map(|policy| Attached { name: "fuzz".into(), policy: policy.into() });
    if key.is_none() && identity.is_none() {
        return false;
    }
    for policy in [key.as_ref(), identity.as_ref().map(|attached| &*attached.policy)].into_iter().flatten() {
        assert!(policy.weight_bytes() < (64 << 10) + 256 * text.len(), "{} bytes", policy.weight_bytes());
        policy.principals().for_each(drop);
    }
    let of_identity: Vec<Attached> = identity.iter().cloned().collect();
    let documents = Documents { key_policy: key.as_ref(), identity: &of_identity, boundary: identity.as_ref(), ..Documents::NONE };
    let actions = [Action::Decrypt, Action::PutKeyPolicy];
    let requests = callers().into_iter().flat_map(|caller| actions.map(|action| (caller.clone(), action)));
    // A large document can take nearly all the steps of a decision each time.
    for (caller, action) in requests.take(if text.len() > 1500 { 1 } else { usize::MAX }) {
        let encryption_context = Some(&FACTS.encryption_context);
        let request =
            Request { caller: &caller, action, resource: KEY, owner: FACTS.account, context: &*FACTS, encryption_context, new_grant: None };
        let decision = decide(&request, &documents);
        if decision == Decision::Denied(Denial::TooComplex) {
            break;
        }
        let trace = explain(&request, &documents, &partition);
        assert_eq!(trace.decision, decision);
        let bytes = serde_json::to_vec(&trace).expect("a trace is JSON").len();
        assert!(bytes < 6 * POLICY_TRACE_BYTES_MAX + (64 << 10), "a trace of {bytes} bytes");
    }
    true
}
