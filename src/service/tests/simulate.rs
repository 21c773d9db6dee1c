//! A simulation says what a real request is answered, and nothing that is not there is taken for a denial.

use claviger_consensus::Region as _;
use claviger_policy::{Action, Basis, Decision, Document};
use claviger_shapes::{ErrorCode, Operation};
use claviger_state::{CommandBody, IdentityRecord, RoleRecord, SetPrincipalDenied};
use claviger_types::{GrantOperation, NamedPrincipal, Principal};
use serde_json::{Value, json};

use crate::testing::{
    ACCOUNT, Deployment, EVERYTHING, Node, OTHER_ACCOUNT, account, alias_arn, alice, arn, arn_of, base64, carol, ready, user,
};
use crate::{SimulatedCheck, SimulatedFacts, SimulatedGrant, Simulation, SimulationError};

fn bob() -> Principal {
    Principal::User { account: account(ACCOUNT), name: "bob".to_owned() }
}

fn dave() -> Principal {
    Principal::User { account: account(ACCOUNT), name: "dave".to_owned() }
}

fn session() -> Principal {
    Principal::AssumedRole { account: account(ACCOUNT), role: "app".to_owned(), session: "one".to_owned() }
}

fn root() -> Principal {
    Principal::Root { account: account(ACCOUNT) }
}

fn named(principal: &Principal) -> NamedPrincipal {
    NamedPrincipal::of(principal).remove(0)
}

/// A key that bob may use in one context, carol's account may use, and whose grant lets dave decrypt; a role that may describe it.
fn deployment() -> (Deployment, Node, String) {
    let deployment = Deployment::new();
    let describe =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:Describe*", "Resource": "*"}}).to_string();
    let role = RoleRecord { inline: [("d".to_owned(), describe)].into(), ..RoleRecord::default() };
    deployment.set_identities(ACCOUNT, [user("bob", []), user("dave", []), ("app", IdentityRecord::Role(role))]);
    let node = deployment.node();
    let key = node.create_key(false);
    let delegation = |account: &str| json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}, "Action": "kms:*", "Resource": "*"});
    let of_bob = json!({"Sid": "bob in his context", "Effect": "Allow", "Principal": {"AWS": arn_of(&bob())},
        "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:app": "one"}}});
    let not_alice = json!({"Effect": "Deny", "Principal": {"AWS": arn_of(&alice())}, "Action": "kms:Encrypt", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [delegation(ACCOUNT), of_bob, not_alice, delegation(OTHER_ACCOUNT)]});
    node.get(Operation::PutKeyPolicy, &json!({"KeyId": key, "Policy": policy.to_string()}));
    node.get(Operation::CreateGrant, &json!({"KeyId": key, "GranteePrincipal": arn_of(&dave()), "Operations": ["Decrypt", "Encrypt"]}));
    node.create_alias("alias/a", &key);
    (deployment, node, key)
}

fn simulation(principal: Principal, action: Action, key: Option<&str>) -> Simulation {
    let key = key.map(|key| key.parse().unwrap());
    Simulation { principal, action, key, alias: None, grant_id: None, facts: SimulatedFacts::default() }
}

fn simulate(node: &Node, simulation: &Simulation) -> Vec<SimulatedCheck> {
    ready(node.service.simulate(simulation)).unwrap()
}

fn one(node: &Node, principal: Principal, action: Action, key: &str) -> SimulatedCheck {
    let mut checks = simulate(node, &simulation(principal, action, Some(key)));
    assert_eq!(checks.len(), 1);
    checks.remove(0)
}

fn pairs(context: &Value) -> std::collections::BTreeMap<String, String> {
    serde_json::from_value(context.clone()).unwrap()
}

/// Every principal and each way of asking: the answer and its very words are those of the real request.
#[test]
fn a_simulation_agrees_with_the_real_request() {
    let (deployment, node, key) = deployment();
    let (arn, one, two) = (arn(&key), json!({"app": "one"}), json!({"app": "two"}));
    let no_context = json!({});
    let encrypt = |context: &Value| {
        (Operation::Encrypt, Action::Encrypt, json!({"KeyId": arn, "Plaintext": base64("x"), "EncryptionContext": context}))
    };
    let on_key = |operation, action| (operation, action, json!({"KeyId": arn}));
    let mut seen = [0; 2];
    for denied in [false, true] {
        if denied {
            let (principal, reason, by) = (named(&bob()), "left".to_owned(), "ops".to_owned());
            deployment.apply(CommandBody::SetPrincipalDenied(Box::new(SetPrincipalDenied { principal, denied, reason, by })));
        }
        for who in [root(), alice(), bob(), dave(), session(), carol()] {
            for (operation, action, body) in [
                encrypt(&no_context),
                encrypt(&one),
                encrypt(&two),
                on_key(Operation::DescribeKey, Action::DescribeKey),
                on_key(Operation::GetKeyPolicy, Action::GetKeyPolicy),
                on_key(Operation::ListGrants, Action::ListGrants),
                on_key(Operation::ListResourceTags, Action::ListResourceTags),
            ] {
                let mut simulation = simulation(who.clone(), action, Some(&arn));
                simulation.facts.encryption_context = body.get("EncryptionContext").map(pairs).unwrap_or_default();
                let check = simulate(&node, &simulation).remove(0);
                let real = node.ask(who.clone(), operation, &body);
                let told = real.err().map(|error| (error.code, error.message));
                assert_eq!(told, check.refusal.clone().map(|message| (ErrorCode::AccessDenied, message)), "{who:?} {operation} {body}");
                assert_eq!(check.trace.allowed, check.refusal.is_none());
                seen[usize::from(check.trace.allowed)] += 1;
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

#[test]
fn a_simulation_says_what_decides() {
    let (_deployment, node, key) = deployment();
    let arn = arn(&key);
    let denied = one(&node, alice(), Action::Encrypt, &arn).trace;
    assert_eq!((denied.decided_by[0].index, denied.decided_by[0].document), (2, Document::KeyPolicy));
    assert!(matches!(one(&node, dave(), Action::Decrypt, &arn).trace.decision, Decision::Allowed(Basis::Grant(_))));
    let mut in_context = simulation(bob(), Action::Decrypt, Some(&arn));
    in_context.facts.encryption_context = pairs(&json!({"APP": "one"}));
    let trace = simulate(&node, &in_context).remove(0).trace;
    assert_eq!(trace.decided_by[0].sid.as_deref(), Some("bob in his context"));
    assert_eq!(trace.documents[0].statements[1].conditions[0].request_values, ["one"]);
    assert_eq!(one(&node, carol(), Action::Encrypt, &arn).trace.decided_by.len(), 2);
}

#[test]
fn operations_that_ask_several_times_are_simulated_so() {
    let (deployment, node, key) = deployment();
    let on_key = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": arn(&key)}}).to_string();
    deployment.set_identities(ACCOUNT, [user("bob", [("k", &on_key)])]);
    let aliased =
        |action, key: Option<&str>, name: &str| Simulation { alias: Some(name.parse().unwrap()), ..simulation(bob(), action, key) };
    let allowed = |simulation: &Simulation| simulate(&node, simulation).iter().map(|check| check.trace.allowed).collect::<Vec<_>>();
    assert_eq!(allowed(&aliased(Action::CreateAlias, Some(&key), "alias/new")), [true, false]);
    assert_eq!(allowed(&aliased(Action::UpdateAlias, Some(&key), "alias/a")), [true, false, true]);
    assert_eq!(allowed(&aliased(Action::DeleteAlias, None, "alias/a")), [false, true]);
    let mut create = simulation(bob(), Action::CreateKey, None);
    assert_eq!(allowed(&create), [false]);
    create.facts.tags = pairs(&json!({"team": "blue"}));
    assert_eq!(allowed(&create), [false, false]);
    // The key by its alias, in each way of saying so.
    for named in
        [simulation(alice(), Action::DescribeKey, Some("alias/a")), simulation(alice(), Action::DescribeKey, Some(&alias_arn("alias/a")))]
    {
        assert_eq!(simulate(&node, &named)[0].trace.resource, arn(&key));
    }
    assert_eq!(simulate(&node, &aliased(Action::DescribeKey, None, "alias/a"))[0].trace.resource, arn(&key));
    assert_eq!(simulate(&node, &aliased(Action::DescribeKey, Some(&key), "alias/a"))[0].trace.resource, arn(&key));
}

#[test]
fn grants_are_simulated_from_creation_to_retirement() {
    let (_deployment, node, key) = deployment();
    let mut create = simulation(alice(), Action::CreateGrant, Some(&key));
    let grant = SimulatedGrant {
        grantee: named(&bob()),
        retiring: None,
        operations: [GrantOperation::Decrypt].into(),
        is_equals_constraint: false,
    };
    create.facts.new_grant = Some(grant);
    assert!(simulate(&node, &create)[0].trace.allowed);
    create.principal = dave();
    assert!(!simulate(&node, &create)[0].trace.allowed);
    let listed = node.get(Operation::ListGrants, &json!({"KeyId": key}));
    let id = listed["Grants"][0]["GrantId"].as_str().unwrap().to_owned();
    let grant_id = claviger_types::GrantId::parse(&id);
    for who in [root(), alice(), dave(), carol()] {
        let retire = Simulation { grant_id, ..simulation(who.clone(), Action::RetireGrant, Some(&arn(&key))) };
        let check = simulate(&node, &retire).remove(0);
        let body = json!({"KeyId": arn(&key), "GrantId": id, "DryRun": true});
        let real = node.ask(who.clone(), Operation::RetireGrant, &body).unwrap_err();
        assert_eq!(real.code == ErrorCode::DryRunOperation, check.trace.allowed, "{who:?}");
        assert!(check.trace.allowed || Some(real.message) == check.refusal);
    }
    let gone =
        Simulation { grant_id: claviger_types::GrantId::parse(&"00".repeat(32)), ..simulation(alice(), Action::RetireGrant, Some(&key)) };
    assert!(matches!(ready(node.service.simulate(&gone)), Err(SimulationError::NotFound(message)) if message.contains("no grant")));
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_said_clearly() {
    let (_deployment, node, key) = deployment();
    let refused = |simulation: &Simulation| ready(node.service.simulate(simulation)).unwrap_err();
    let mallory = Principal::User { account: account(ACCOUNT), name: "mallory".to_owned() };
    let unknown = "1234abcd-12ab-34cd-56ef-1234567890ab";
    for (simulation, words) in [
        (simulation(mallory, Action::Decrypt, Some(&key)), "does not know arn:aws:iam::111122223333:user/mallory"),
        (simulation(alice(), Action::Decrypt, Some(unknown)), "no key arn:aws:kms:eu-west-1:111122223333:key/1234abcd"),
        // By its id alone it would be a key of carol's own account.
        (simulation(carol(), Action::Decrypt, Some(&key)), "no key arn:aws:kms:eu-west-1:444455556666:key/"),
        (simulation(alice(), Action::Decrypt, Some("alias/none")), "no alias arn:aws:kms:eu-west-1:111122223333:alias/none"),
    ] {
        assert!(matches!(refused(&simulation), SimulationError::NotFound(message) if message.contains(words)), "{words}");
    }
    let with = |change: &dyn Fn(&mut Simulation), mut simulation: Simulation| {
        change(&mut simulation);
        simulation
    };
    let of_alias = |action| simulation(alice(), action, Some("alias/a"));
    let elsewhere = arn(&key).replace("eu-west-1", "us-east-1");
    for (simulation, words) in [
        (simulation(alice(), Action::Decrypt, None), "needs a key"),
        (simulation(alice(), Action::ListKeys, Some(&key)), "has no key"),
        (simulation(alice(), Action::CreateAlias, Some(&key)), "needs an alias"),
        (simulation(alice(), Action::RetireGrant, Some(&key)), "needs a grant id"),
        (simulation(alice(), Action::CreateGrant, Some(&key)), "needs a grantee"),
        (simulation(alice(), Action::ReplicateKey, Some(&key)), "needs a replica region"),
        (simulation(alice(), Action::TagResource, Some(&key)), "needs tags"),
        (simulation(alice(), Action::Decrypt, Some(&elsewhere)), "us-east-1"),
        (of_alias(Action::DisableKey), "not by an alias"),
        (with(&|it| it.alias = "alias/b".parse().ok(), of_alias(Action::CreateAlias)), "not by an alias"),
        (with(&|it| it.alias = "alias/a".parse().ok(), simulation(alice(), Action::DisableKey, Some(&key))), "has no alias"),
        (with(&|it| it.facts.encryption_context = pairs(&json!({"a": "b"})), of_alias(Action::DescribeKey)), "has no encryption context"),
        (with(&|it| it.facts.bypasses_lockout_check = true, of_alias(Action::DescribeKey)), "lockout check"),
    ] {
        assert!(matches!(refused(&simulation), SimulationError::Invalid(message) if message.contains(words)), "{words}");
    }
    let other = node.create_key(false);
    let two = Simulation { alias: "alias/a".parse().ok(), ..simulation(alice(), Action::Decrypt, Some(&other)) };
    assert!(matches!(refused(&two), SimulationError::Invalid(message) if message.contains(&key) && message.contains(&other)));
    node.region.cut_off.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(refused(&simulation(alice(), Action::ListKeys, None)), SimulationError::Unavailable));
}

/// Conditions on what a request says beside its key see what the simulated one says.
#[test]
fn parameters_are_read_as_the_operation_reads_them() {
    let (deployment, node, key) = deployment();
    let parameters = |action, given: &Value| {
        let mut simulation = simulation(bob(), action, (action != Action::CreateKey).then_some(&key));
        simulation.facts.parameters = pairs(given);
        ready(node.service.simulate(&simulation)).map(|mut checks| checks.remove(0).trace.allowed)
    };
    for (action, condition, given, other) in [
        (Action::Sign, json!({"kms:SigningAlgorithm": "ECDSA_SHA_256"}), json!({"SigningAlgorithm": "ECDSA_SHA_256"}), "ECDSA_SHA_384"),
        (Action::VerifyMac, json!({"kms:MacAlgorithm": "HMAC_SHA_256"}), json!({"MacAlgorithm": "HMAC_SHA_256"}), "HMAC_SHA_512"),
        (Action::DeriveSharedSecret, json!({"kms:KeyAgreementAlgorithm": "ECDH"}), json!({"KeyAgreementAlgorithm": "ECDH"}), ""),
        (Action::GenerateDataKeyPair, json!({"kms:DataKeyPairSpec": "RSA_2048"}), json!({"KeyPairSpec": "RSA_2048"}), "RSA_3072"),
        (Action::EnableKeyRotation, json!({"kms:RotationPeriodInDays": "365"}), json!({}), ""),
        (Action::ScheduleKeyDeletion, json!({"kms:ScheduleKeyDeletionPendingWindowInDays": "7"}), json!({"PendingWindowInDays": "7"}), "8"),
        (Action::CreateKey, json!({"kms:KeySpec": "RSA_2048"}), json!({"KeySpec": "RSA_2048"}), "HMAC_256"),
        (Action::Encrypt, json!({"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}), json!({}), ""),
    ] {
        let statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": {"StringEquals": condition}});
        let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        deployment.set_identities(ACCOUNT, [user("bob", [("p", &policy)])]);
        assert!(parameters(action, &given).unwrap(), "{action} {condition}");
        if let Some((name, _)) = given.as_object().unwrap().iter().next().filter(|_| !other.is_empty()) {
            let other = json!({name: other});
            assert!(!parameters(action, &other).unwrap(), "{action} {other}");
        }
        let refused = |given| matches!(parameters(action, &given), Err(SimulationError::Invalid(_)));
        assert!(refused(json!({"Unknown": "1"})), "{action}");
    }
    assert!(matches!(parameters(Action::Sign, &json!({})), Err(SimulationError::Invalid(message)) if message.contains("SigningAlgorithm")));
    assert!(parameters(Action::Sign, &json!({"SigningAlgorithm": "none"})).is_err());
}

/// An identity that is changed counts in the next simulation, as it does in the next request.
#[test]
fn a_simulation_is_of_the_state_as_it_is() {
    let (deployment, node, key) = deployment();
    assert!(!one(&node, bob(), Action::DescribeKey, &key).trace.allowed);
    deployment.set_identities(ACCOUNT, [user("bob", [("all", EVERYTHING)])]);
    assert!(one(&node, bob(), Action::DescribeKey, &key).trace.allowed);
    let applied = deployment.memory.tables();
    one(&node, bob(), Action::DescribeKey, &key);
    assert!(std::sync::Arc::ptr_eq(&applied, &deployment.memory.tables()), "nothing is proposed");
}
