//! How long one decision takes: a key policy of 2 KiB with five conditioned statements, of which the last allows, for a caller with
//! one identity policy. Prints p50 and p99 over many batches, since one decision is shorter than the clock is fine.
//!
//! `cargo bench -p claviger-policy`; docs/performance.md has the figures.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use claviger_policy::{Action, Attached, ConditionKey, Context, Documents, Policy, PolicyKind, Request, Value, decide, find_ignoring_case};
use claviger_types::{AccountId, Partition, Principal};
use hdrhistogram::Histogram;

const BATCHES: u32 = 20_000;
const DECISIONS_PER_BATCH: u32 = 50;

/// What a Decrypt says to conditions.
struct Facts {
    account: AccountId,
    encryption_context: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
}

impl Context for Facts {
    fn value(&self, key: &ConditionKey) -> Value<'_> {
        let text = |text: Option<&'static str>| text.map_or(Value::Absent, Value::Text);
        match key {
            ConditionKey::EncryptionContext(name) => find_ignoring_case(&self.encryption_context, name).map_or(Value::Absent, Value::Text),
            ConditionKey::EncryptionContextKeys => Value::Many(&self.encryption_context),
            ConditionKey::ResourceTag(name) => find_ignoring_case(&self.tags, name).map_or(Value::Absent, Value::Text),
            ConditionKey::CallerAccount | ConditionKey::PrincipalAccount => Value::Account(self.account),
            ConditionKey::EncryptionAlgorithm => text(Some("SYMMETRIC_DEFAULT")),
            ConditionKey::SourceIp => Value::Ip([10, 1, 2, 3].into()),
            ConditionKey::SecureTransport => Value::Bool(true),
            ConditionKey::PrincipalArn => Value::Made("arn:aws:iam::111122223333:user/alice".to_owned()),
            _ => Value::Absent,
        }
    }
}

/// Four statements that do not apply to this request, each for another reason, and one that does.
fn key_policy() -> String {
    let statement = |sid: &str, effect: &str, condition: &str| {
        format!(
            r#"{{"Sid":"{sid}","Effect":"{effect}","Principal":{{"AWS":["arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:user/bob","arn:aws:iam::111122223333:role/payments-service"]}},
            "Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*","Condition":{condition}}}"#
        )
    };
    let statements = [
        statement("NeverWithoutTls", "Deny", r#"{"Bool":{"aws:SecureTransport":"false"}}"#),
        statement("NeverFromOutside", "Deny", r#"{"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]}}"#),
        statement("OtherApplication", "Allow", r#"{"StringEquals":{"kms:EncryptionContext:application":["billing","ledger"]}}"#),
        statement("OtherTeam", "Allow", r#"{"StringLike":{"aws:ResourceTag/team":["red-*","green-*"]}}"#),
        statement(
            "ThisApplication",
            "Allow",
            r#"{"StringEquals":{"kms:EncryptionContext:application":"payments"},"ForAllValues:StringLike":{"kms:EncryptionContextKeys":["application","tenant-*"]}}"#,
        ),
    ];
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn main() {
    let partition = Partition::default();
    let account: AccountId = "111122223333".parse().expect("an account");
    let text = key_policy();
    let policy = Policy::parse(&text, PolicyKind::Key, &partition).expect("a key policy");
    let own = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:List*","Resource":"*"}}"#;
    let own = Policy::parse(own, PolicyKind::Identity, &partition).expect("an identity policy");
    let identity = [Attached { name: "user/alice/own".into(), policy: Arc::new(own) }];
    let facts = Facts {
        account,
        encryption_context: BTreeMap::from([("application".to_owned(), "payments".to_owned()), ("tenant-id".to_owned(), "42".to_owned())]),
        tags: BTreeMap::from([("team".to_owned(), "blue-1".to_owned())]),
    };
    let caller = Principal::User { account, name: "alice".to_owned() };
    let request = Request {
        caller: &caller,
        action: Action::Decrypt,
        resource: "arn:aws:kms:eu-west-1:111122223333:key/mrk-000102030405060708090a0b0c0d0e0f",
        owner: account,
        context: &facts,
        encryption_context: Some(&facts.encryption_context),
        new_grant: None,
    };
    let documents = Documents { key_policy: Some(&policy), identity: &identity, ..Documents::NONE };
    assert!(decide(&request, &documents).is_allowed());
    let mut nanoseconds = Histogram::<u64>::new(3).expect("a histogram");
    for batch in 0..2 * BATCHES {
        let begun = Instant::now();
        for _ in 0..DECISIONS_PER_BATCH {
            black_box(decide(black_box(&request), black_box(&documents)));
        }
        // The first half warms up.
        if batch >= BATCHES {
            let spent = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX) / u64::from(DECISIONS_PER_BATCH);
            nanoseconds.record(spent).expect("within range");
        }
    }
    let micros = |quantile| nanoseconds.value_at_quantile(quantile) as f64 / 1000.0;
    let line = format!("policy of {} bytes, 5 conditioned statements: p50 {:.2} µs, p99 {:.2} µs\n", text.len(), micros(0.5), micros(0.99));
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).expect("standard output");
}
