//! A decision allocates nothing: counted by the allocator of this test binary, a thread at a time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use claviger_types::{GrantOperation, GrantOperations, NamedPrincipal, Principal};
use serde_json::json;

use super::{KEY, foreigner, identity, key_policy, own, session, user};
use crate::{Action, Basis, ConditionKey, Context, Decision, Documents, GrantView, Request, Value, decide, find_ignoring_case};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[expect(unsafe_code, reason = "the trait is unsafe; everything is handed on to the system's allocator as it came")]
// SAFETY: each method is the system allocator's own, called with what this one was called with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` above, which is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A context as a service fills it: borrowed.
struct Borrowed<'a> {
    caller: &'a Principal,
    context: &'a BTreeMap<String, String>,
    tags: &'a BTreeMap<String, String>,
}

impl Context for Borrowed<'_> {
    fn value(&self, key: &ConditionKey) -> Value<'_> {
        match key {
            ConditionKey::CallerAccount | ConditionKey::PrincipalAccount => Value::Account(self.caller.account()),
            ConditionKey::EncryptionContext(name) => find_ignoring_case(self.context, name).into(),
            ConditionKey::EncryptionContextKeys => Value::Many(self.context),
            ConditionKey::ResourceTag(name) | ConditionKey::PrincipalTag(name) => find_ignoring_case(self.tags, name).into(),
            ConditionKey::PrincipalArn => Value::Text("arn:aws:iam::111122223333:user/alice"),
            ConditionKey::MultiRegion => Value::Bool(true),
            ConditionKey::SourceIp => Value::Ip([10, 0, 0, 1].into()),
            ConditionKey::EpochTime => Value::Number(1_600_000_000),
            _ => Value::Absent,
        }
    }
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_decision_allocates_nothing() {
    let conditions = json!({
        "StringEquals": {"kms:CallerAccount": "111122223333", "aws:ResourceTag/team": "${aws:PrincipalTag/team}"},
        "StringLike": {"kms:EncryptionContext:App": "exam*-?"},
        "ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["App", "Dept"]},
        "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"},
        "Bool": {"kms:MultiRegion": true},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        "NumericLessThan": {"aws:EpochTime": "1700000000"},
        "DateGreaterThan": {"aws:EpochTime": "2019-01-01T00:00:00Z"},
        "StringNotEqualsIfExists": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"},
    });
    let policy = key_policy(&json!([
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}, "Action": "kms:*", "Resource": KEY, "Condition": conditions},
        {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:Disable*", "NotResource": "arn:aws:kms:us-*"},
    ]));
    let policies =
        [identity(&json!([{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": ["arn:aws:kms:*:111122223333:key/1234*", KEY]}]))];
    let grantee = NamedPrincipal::Role { account: own(), name: "app".into() };
    let operations = GrantOperations::from([GrantOperation::Encrypt]);
    let grants = vec![GrantView {
        id: claviger_types::GrantId::from_bytes([1; 32]),
        grantee: &grantee,
        retiring: None,
        issuer: own(),
        operations: &operations,
        constraint: None,
    }];
    let documents = Documents { key_policy: Some(&policy), identity: &policies, grants: &grants, ..Documents::NONE };
    let (context, tags) = (pairs(&[("App", "example-1")]), pairs(&[("team", "blue")]));
    for (caller, action, expected) in [
        (user("alice"), Action::Encrypt, Some(Basis::KeyPolicy)),
        (user("bob"), Action::Decrypt, Some(Basis::KeyPolicyAndIdentity)),
        (session("app", "one"), Action::Encrypt, Some(Basis::Grant(grants[0].id))),
        (user("alice"), Action::DisableKey, None),
        (foreigner("carol"), Action::Decrypt, None),
    ] {
        let values = Borrowed { caller: &caller, context: &context, tags: &tags };
        let request = Request {
            caller: &caller,
            action,
            resource: KEY,
            owner: own(),
            context: &values,
            encryption_context: Some(&context),
            new_grant: None,
        };
        let before = ALLOCATIONS.get();
        let decision = decide(&request, &documents);
        let allocated = ALLOCATIONS.get() - before;
        let basis = if let Decision::Allowed(basis) = decision { Some(basis) } else { None };
        assert_eq!((basis, allocated), (expected, 0), "{caller:?} {action}");
    }
    // And the counter counts.
    let before = ALLOCATIONS.get();
    drop(vec![1_u8]);
    assert!(ALLOCATIONS.get() > before);
}
