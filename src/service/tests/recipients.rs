//! Recipient: five operations answer into an envelope, and policies see what the document says.

use claviger_attestation::TrustRoots;
use claviger_attestation_testing::{Fields, Hypervisor, RecipientPrivateKey, bytes as cbor_bytes, registers};
use claviger_consensus::Region as _;
use claviger_shapes::{ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{ACCOUNT, Deployment, Node, alice, base64, bytes, user};

const IMAGE: [u8; 48] = [0xa1; 48];
const ROLE: [u8; 48] = [0x03; 48];

/// A node that trusts a hypervisor, and an enclave on it.
struct Case {
    deployment: Deployment,
    node: Node,
    hypervisor: Hypervisor,
    enclave: RecipientPrivateKey,
}

impl Case {
    fn new() -> Self {
        let deployment = Deployment::new();
        let node = deployment.node();
        let hypervisor = Hypervisor::new(node.region.log_time().unwrap());
        let roots = TrustRoots::from_pem(hypervisor.root_pem().as_bytes()).unwrap();
        let node = Node { service: node.service.with_attestation_roots(Some(roots)), ..node };
        Self { deployment, node, hypervisor, enclave: RecipientPrivateKey::generate() }
    }

    fn fields(&self) -> Fields {
        let now = self.node.region.log_time().unwrap();
        self.hypervisor.fields(now, &[(0, &IMAGE), (3, &ROLE)], &self.enclave.public_der())
    }

    fn recipient(&self) -> Value {
        recipient(&self.hypervisor.document(&self.fields()))
    }

    fn opened(&self, answer: &Value) -> Vec<u8> {
        self.enclave.open(&bytes(&answer["CiphertextForRecipient"]))
    }

    fn code(&self, operation: Operation, body: &Value) -> Result<(), ErrorCode> {
        self.node.ask(alice(), operation, body).map(|_| ()).map_err(|error| error.code)
    }
}

fn recipient(document: &[u8]) -> Value {
    json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": base64(document)})
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn members(answer: &Value) -> Vec<&str> {
    answer.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A request of each operation that can have a recipient.
fn requests(node: &Node) -> Vec<(Operation, Value)> {
    let key = node.create_key(false);
    let agreement = |spec: &str| {
        let answer = node.get(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": "KEY_AGREEMENT"}));
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    };
    let (own, peer) = (agreement("ECC_NIST_P384"), agreement("ECC_NIST_P384"));
    let public_key = node.get(Operation::GetPublicKey, &json!({"KeyId": peer}))["PublicKey"].clone();
    vec![
        (Operation::Decrypt, json!({"CiphertextBlob": node.encrypt(&key, b"for the enclave")})),
        (Operation::DeriveSharedSecret, json!({"KeyId": own, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public_key})),
        (Operation::GenerateDataKey, json!({"KeyId": key, "KeySpec": "AES_256"})),
        (Operation::GenerateDataKeyPair, json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})),
        (Operation::GenerateRandom, json!({"NumberOfBytes": 32})),
    ]
}

#[test]
fn the_recipient_gets_what_the_caller_would_get() {
    let case = Case::new();
    let answers: Vec<_> = requests(&case.node)
        .into_iter()
        .map(|(operation, body)| {
            let plain = case.node.get(operation, &body);
            (case.node.get(operation, &with(body, "Recipient", case.recipient())), plain)
        })
        .collect();
    let [decrypt, derived, data_key, pair, random] = &answers[..] else { panic!("five operations") };

    assert_eq!(members(&decrypt.0), ["CiphertextForRecipient", "EncryptionAlgorithm", "KeyId"]);
    assert_eq!(case.opened(&decrypt.0), b"for the enclave");
    assert_eq!(members(&derived.0), ["CiphertextForRecipient", "KeyAgreementAlgorithm", "KeyId", "KeyOrigin"]);
    assert_eq!(case.opened(&derived.0), bytes(&derived.1["SharedSecret"]));
    assert_eq!(members(&data_key.0), ["CiphertextBlob", "CiphertextForRecipient", "KeyId"]);
    let opened = case.node.get(Operation::Decrypt, &json!({"CiphertextBlob": data_key.0["CiphertextBlob"]}));
    assert_eq!(case.opened(&data_key.0), bytes(&opened["Plaintext"]));
    let of_pair = ["CiphertextForRecipient", "KeyId", "KeyMaterialId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"];
    assert_eq!(members(&pair.0), of_pair);
    let opened = case.node.get(Operation::Decrypt, &json!({"CiphertextBlob": pair.0["PrivateKeyCiphertextBlob"]}));
    assert_eq!(case.opened(&pair.0), bytes(&opened["Plaintext"]));
    assert_eq!(members(&random.0), ["CiphertextForRecipient"]);
    assert_eq!(case.opened(&random.0).len(), 32);
}

#[test]
fn a_document_that_is_not_in_order_is_refused_by_every_operation() {
    let case = Case::new();
    let old = case.hypervisor.document(&case.fields());
    case.deployment.clock.advance(5 * 60 * 1000 + 1);
    let now = case.node.region.log_time().unwrap();
    let mut without_key = case.fields();
    without_key.retain(|(name, _)| *name != "public_key");
    let mut changed = case.hypervisor.document(&case.fields());
    *changed.last_mut().unwrap() ^= 1;
    let stranger = Hypervisor::new(now);
    let documents = [
        (case.hypervisor.document(&without_key), "names no public_key"),
        (old, "it was made 300 s ago"),
        (changed, "its signature is not its certificate's"),
        (stranger.document(&stranger.fields(now, &[(0, &IMAGE)], &case.enclave.public_der())), "a root that is trusted here"),
        (b"x".to_vec(), "not a COSE_Sign1 structure"),
    ];
    for (operation, body) in requests(&case.node) {
        for (document, why) in &documents {
            let (code, message) = case.node.error(operation, &with(body.clone(), "Recipient", recipient(document)));
            assert_eq!(code, ErrorCode::Validation);
            assert!(message.starts_with("The attestation document of Recipient is refused: ") && message.contains(why), "{message}");
        }
    }
}

#[test]
fn without_roots_there_are_no_recipients() {
    let case = Case::new();
    let document = case.recipient();
    let node = case.deployment.node();
    for (operation, body) in requests(&node) {
        let (code, message) = node.error(operation, &with(body, "Recipient", document.clone()));
        assert_eq!(code, ErrorCode::UnsupportedOperation);
        assert!(message.contains("trust_roots") && message.contains("[attestation]"), "{message}");
    }
}

#[test]
fn a_key_policy_sees_the_image_and_the_registers() {
    let case = Case::new();
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let keep = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Resource": "*", "Action": "kms:*"});
    let unless = |condition: Value| {
        let others = json!({"Effect": "Deny", "Principal": "*", "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:DeriveSharedSecret"],
            "Resource": "*", "Condition": condition});
        json!({"Version": "2012-10-17", "Statement": [keep, others]}).to_string()
    };
    let (image, role) = ("a1".repeat(48), "03".repeat(48));
    let key = |name: &str| format!("kms:RecipientAttestation:{name}");
    let holds = [
        json!({"StringNotEqualsIgnoreCase": {key("ImageSha384"): image.to_uppercase()}}),
        json!({"StringNotEquals": {key("PCR0"): image}}),
        json!({"StringNotEquals": {key("pcr3"): role}}),
    ];
    let fails = [
        json!({"StringNotEquals": {key("ImageSha384"): role}}),
        json!({"StringNotEquals": {key("PCR3"): image}}),
        json!({"StringNotEquals": {key("PCR4"): image}}),
        json!({"StringNotEquals": {key("NitroTPMPCR0"): image}}),
    ];
    for (conditions, allowed) in [(&holds[..], true), (&fails[..], false)] {
        for condition in conditions {
            for (operation, body) in requests(&case.node) {
                // GenerateRandom is on no key; Decrypt names its key in the ciphertext.
                let opened = (operation == Operation::Decrypt).then(|| case.node.get(operation, &body)["KeyId"].clone());
                let Some(key) = opened.or(body.get("KeyId").cloned()) else { continue };
                case.node.get(Operation::PutKeyPolicy, &json!({"KeyId": key, "Policy": unless(condition.clone())}));
                let expected = if allowed { Ok(()) } else { Err(ErrorCode::AccessDenied) };
                let attested = with(body.clone(), "Recipient", case.recipient());
                assert_eq!(case.code(operation, &attested), expected, "{operation} {condition}");
                assert_eq!(case.code(operation, &body), Err(ErrorCode::AccessDenied), "{operation} without a recipient");
            }
        }
    }
}

#[test]
fn an_identity_policy_sees_them_too_and_a_nitrotpms_have_their_own_names() {
    let case = Case::new();
    let statement = |name: &str| {
        let condition = json!({"StringEquals": {format!("kms:RecipientAttestation:{name}"): "07".repeat(48)}});
        let statement = json!({"Effect": "Allow", "Action": "kms:GenerateRandom", "Resource": "*", "Condition": condition});
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    };
    let mut fields = case.fields();
    let place = fields.iter().position(|(name, _)| *name == "pcrs").unwrap();
    fields[place] = ("nitrotpm_pcrs", registers(&[(7, &[7; 48])]));
    let body = || with(json!({"NumberOfBytes": 8}), "Recipient", recipient(&case.hypervisor.document(&fields)));
    for (name, allowed) in [("NitroTPMPCR7", true), ("PCR7", false), ("NitroTPMPCR4", false)] {
        case.deployment.set_identities(ACCOUNT, [user("alice", [("attested", &statement(name))])]);
        let expected = if allowed { Ok(()) } else { Err(ErrorCode::AccessDenied) };
        assert_eq!(case.code(Operation::GenerateRandom, &body()), expected, "{name}");
    }
}

#[test]
fn a_document_is_looked_at_before_the_right_to_use_the_key_and_the_key_after() {
    let case = Case::new();
    let key = case.node.create_key(false);
    let body = json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": case.recipient(), "DryRun": true});
    assert_eq!(case.code(Operation::GenerateDataKey, &body), Err(ErrorCode::DryRunOperation));
    case.node.get(Operation::DisableKey, &json!({"KeyId": key}));
    let body = json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": case.recipient()});
    assert_eq!(case.code(Operation::GenerateDataKey, &body), Err(ErrorCode::Disabled));
    let mut fields = case.fields();
    fields.retain(|(name, _)| *name != "nonce");
    fields.push(("nonce", cbor_bytes(&[0; 1025])));
    let body = with(body, "Recipient", recipient(&case.hypervisor.document(&fields)));
    assert_eq!(case.code(Operation::GenerateDataKey, &body), Err(ErrorCode::Validation));
}
