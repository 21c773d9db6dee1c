"""Recipient: answers that only an attested enclave can read, and policies that ask which enclave it is."""

import json

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization

from deployment import Deployment
from enclave import Enclave, Hypervisor

REGION = "eu-west-1"
IMAGE, ROLE = bytes([0xA1]) * 48, bytes([0x03]) * 48


class Attested:
    """A node that trusts a hypervisor, and an enclave there."""

    def __init__(self, directory):
        self.hypervisor, self.enclave = Hypervisor(), Enclave(directory)
        self.deployment = Deployment(directory, REGION, nodes=1)
        roots = directory / "roots.pem"
        roots.write_bytes(self.hypervisor.root_pem())
        (node,) = self.deployment.regions[REGION]
        node.kill()
        with open(node.config, "a") as config:
            config.write(f'\n[attestation]\ntrust_roots = "{roots}"\n')
        node.start()
        node.await_ready()
        self.kms = self.deployment.kms(REGION)

    def recipient(self, registers=None, **options):
        registers = {0: IMAGE, 3: ROLE} if registers is None else registers
        return recipient(self.hypervisor.document(self.enclave.public_key(), registers, **options))

    def open(self, answer):
        return self.enclave.open(answer["CiphertextForRecipient"])


def recipient(document):
    return {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document}


@pytest.fixture(scope="module")
def attested(tmp_path_factory):
    case = Attested(tmp_path_factory.mktemp("attested"))
    yield case
    case.deployment.stop()


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response["Error"]["Message"]


def test_five_operations_answer_to_the_enclave_alone(attested):
    kms, key_id = attested.kms, attested.kms.create_key()["KeyMetadata"]["KeyId"]

    blob = kms.encrypt(KeyId=key_id, Plaintext=b"for the enclave")["CiphertextBlob"]
    answer = kms.decrypt(CiphertextBlob=blob, Recipient=attested.recipient(tagged=True))
    assert attested.open(answer) == b"for the enclave"
    assert "Plaintext" not in answer and "KeyMaterialId" not in answer

    answer = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", Recipient=attested.recipient())
    assert attested.open(answer) == kms.decrypt(CiphertextBlob=answer["CiphertextBlob"])["Plaintext"]
    assert "Plaintext" not in answer and "KeyMaterialId" not in answer

    answer = kms.generate_data_key_pair(KeyId=key_id, KeyPairSpec="RSA_4096", Recipient=attested.recipient())
    private_key = attested.open(answer)
    assert private_key == kms.decrypt(CiphertextBlob=answer["PrivateKeyCiphertextBlob"])["Plaintext"]
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    public_key = serialization.load_der_private_key(private_key, None).public_key().public_bytes(*form)
    assert public_key == answer["PublicKey"] and "PrivateKeyPlaintext" not in answer and "KeyMaterialId" in answer

    answer = kms.generate_random(NumberOfBytes=1024, Recipient=attested.recipient())
    assert len(attested.open(answer)) == 1024 and "Plaintext" not in answer

    own, peer = (kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"] for _ in range(2))
    agreement = {"KeyAgreementAlgorithm": "ECDH", "PublicKey": kms.get_public_key(KeyId=peer)["PublicKey"]}
    answer = kms.derive_shared_secret(KeyId=own, **agreement, Recipient=attested.recipient())
    assert attested.open(answer) == kms.derive_shared_secret(KeyId=own, **agreement)["SharedSecret"]
    assert "SharedSecret" not in answer


def test_the_largest_plaintext_goes_to_the_largest_key(attested, tmp_path):
    kms, key_id = attested.kms, attested.kms.create_key()["KeyMetadata"]["KeyId"]
    enclave, plaintext = Enclave(tmp_path, 4096), bytes(range(256)) * 16
    blob = kms.encrypt(KeyId=key_id, Plaintext=plaintext)["CiphertextBlob"]
    document = attested.hypervisor.document(enclave.public_key(), {0: IMAGE})
    assert enclave.open(kms.decrypt(CiphertextBlob=blob, Recipient=recipient(document))["CiphertextForRecipient"]) == plaintext


def test_a_key_is_for_one_image_and_one_role(attested):
    kms = attested.kms
    root = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}
    condition = {"StringNotEquals": {"kms:RecipientAttestation:ImageSha384": IMAGE.hex()}}
    others = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*", "Condition": condition}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [root, others]})
    key_id = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    decrypt = lambda **options: kms.decrypt(CiphertextBlob=blob, **options)
    assert attested.open(decrypt(Recipient=attested.recipient())) == b"x"
    refused(lambda: decrypt(Recipient=attested.recipient({0: ROLE, 3: IMAGE})), "AccessDeniedException")
    refused(lambda: decrypt(Recipient=attested.recipient({3: ROLE})), "AccessDeniedException")
    refused(decrypt, "AccessDeniedException")

    # Alice has no policy of her own: the key policy alone lets her in, in the enclave that the register names.
    condition = {"StringEquals": {"kms:RecipientAttestation:PCR3": ROLE.hex()}}
    alice = {"AWS": "arn:aws:iam::111122223333:user/alice"}
    hers = {"Effect": "Allow", "Principal": alice, "Action": "kms:Decrypt", "Resource": "*", "Condition": condition}
    kms.put_key_policy(KeyId=key_id, Policy=json.dumps({"Version": "2012-10-17", "Statement": [root, hers]}))
    by_alice = attested.deployment.kms(REGION, identity="alice")
    decrypt = lambda **options: by_alice.decrypt(CiphertextBlob=blob, **options)
    assert attested.open(decrypt(Recipient=attested.recipient())) == b"x"
    refused(lambda: decrypt(Recipient=attested.recipient({3: IMAGE})), "AccessDeniedException")
    # The registers of a NitroTPM are others.
    refused(lambda: decrypt(Recipient=attested.recipient(kind="nitrotpm_pcrs")), "AccessDeniedException")
    refused(decrypt, "AccessDeniedException")


def test_a_document_that_is_not_in_order_is_refused(attested):
    sound = attested.recipient()["AttestationDocument"]
    of_stranger = Hypervisor().document(attested.enclave.public_key(), {0: IMAGE})
    documents = {
        "its signature is not its certificate's": sound[:-1] + bytes([sound[-1] ^ 1]),
        "it was made 301 s ago": attested.recipient(age=301)["AttestationDocument"],
        "from now": attested.recipient(age=-60)["AttestationDocument"],
        "not signed with ES384": attested.recipient(header={1: -7})["AttestationDocument"],
        "does not lead to a root that is trusted here": of_stranger,
        "names no public_key": attested.hypervisor.document(None, {0: IMAGE}),
        "is not an RSA key": attested.hypervisor.document(b"key", {0: IMAGE}),
        "is not a COSE_Sign1 structure": bytes(262144),
    }
    for why, document in documents.items():
        message = refused(lambda: attested.kms.generate_random(NumberOfBytes=8, Recipient=recipient(document)), "ValidationException")
        assert why in message, message
    too_long = recipient(bytes(262145))
    message = refused(lambda: attested.kms.generate_random(NumberOfBytes=8, Recipient=too_long), "ValidationException")
    assert "recipient.attestationDocument" in message
    other = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "AttestationDocument": sound}
    message = refused(lambda: attested.kms.generate_random(NumberOfBytes=8, Recipient=other), "ValidationException")
    assert "recipient.keyEncryptionAlgorithm" in message


def test_without_roots_a_recipient_is_refused(deployment, attested):
    message = refused(
        lambda: deployment.kms(REGION).generate_random(NumberOfBytes=8, Recipient=attested.recipient()),
        "UnsupportedOperationException",
    )
    assert "Recipient" in message and "trust_roots in [attestation]" in message
