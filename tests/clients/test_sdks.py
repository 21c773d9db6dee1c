"""Programs that were written for AWS KMS, through the agent: the AWS Encryption SDK for Python, the AWS SDKs for JavaScript and Rust."""

import json
import os
import pathlib
import subprocess

import boto3
import pytest
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.identifiers import Algorithm
from aws_encryption_sdk.key_providers.kms import (
    DiscoveryAwsKmsMasterKeyProvider,
    MRKAwareDiscoveryAwsKmsMasterKeyProvider,
    MRKAwareStrictAwsKmsMasterKeyProvider,
    StrictAwsKmsMasterKeyProvider,
)
from botocore.exceptions import ClientError

HERE, THERE = "eu-west-1", "us-east-1"
CONTEXT = {"purpose": "sdk"}
MESSAGE = os.urandom(100_000)


@pytest.fixture
def through_agent(deployment, monkeypatch):
    """The environment in which AWS's programs find the agent, and the session that they make of it."""
    who = deployment.identities["admin"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", who["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", who["secret_access_key"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", deployment.contract["agent"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", HERE)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)


@pytest.fixture
def sdk(through_agent):
    return EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


def multi_region_key(deployment):
    kms = deployment.agent(HERE)
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]
    kms.replicate_key(KeyId=key["KeyId"], ReplicaRegion=THERE)
    deployment.await_enabled(THERE, key["KeyId"])
    return key["Arn"]


def sealed(sdk, provider):
    ciphertext, header = sdk.encrypt(source=MESSAGE, key_provider=provider, encryption_context=CONTEXT)
    assert header.algorithm == Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    return ciphertext


def opened(sdk, ciphertext, provider):
    plaintext, header = sdk.decrypt(source=ciphertext, key_provider=provider)
    assert header.encryption_context["purpose"] == "sdk"
    return plaintext


def test_encryption_sdk_with_one_key(deployment, sdk):
    arn = deployment.agent(HERE).create_key()["KeyMetadata"]["Arn"]
    provider = StrictAwsKmsMasterKeyProvider(key_ids=[arn])
    assert opened(sdk, sealed(sdk, provider), provider) == MESSAGE
    assert opened(sdk, sealed(sdk, provider), DiscoveryAwsKmsMasterKeyProvider()) == MESSAGE


def test_encryption_sdk_with_two_keys_of_which_one_is_disabled_later(deployment, sdk):
    kms = deployment.agent(HERE)
    arns = [kms.create_key()["KeyMetadata"]["Arn"], deployment.agent(THERE).create_key()["KeyMetadata"]["Arn"]]
    ciphertext = sealed(sdk, StrictAwsKmsMasterKeyProvider(key_ids=arns))
    kms.disable_key(KeyId=arns[0])
    assert opened(sdk, ciphertext, StrictAwsKmsMasterKeyProvider(key_ids=arns)) == MESSAGE
    with pytest.raises(Exception, match="(?i)unable to decrypt"):
        opened(sdk, ciphertext, StrictAwsKmsMasterKeyProvider(key_ids=arns[:1]))


def test_encryption_sdk_opens_in_another_region_by_discovery(deployment, sdk):
    arn = multi_region_key(deployment)
    ciphertext = sealed(sdk, MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=[arn]))
    discovery = MRKAwareDiscoveryAwsKmsMasterKeyProvider(discovery_region=THERE)
    assert opened(sdk, ciphertext, discovery) == MESSAGE
    replica = MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=[arn.replace(HERE, THERE)])
    assert opened(sdk, ciphertext, replica) == MESSAGE


def test_boto3_takes_a_default_session(deployment, through_agent):
    kms = boto3.client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signed = kms.sign(KeyId=key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    assert kms.verify(KeyId=key, Message=b"x", Signature=signed, SigningAlgorithm="ECDSA_SHA_256")["SignatureValid"]
    with pytest.raises(ClientError, match="KMSInvalidSignatureException"):
        kms.verify(KeyId=key, Message=b"y", Signature=signed, SigningAlgorithm="ECDSA_SHA_256")


JAVASCRIPT = pathlib.Path(__file__).parent / "javascript"


def test_javascript_sdk(deployment, through_agent):
    program = ["node", str(JAVASCRIPT / "session.mjs"), HERE, THERE]
    done = subprocess.run(program, cwd=JAVASCRIPT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer == {"opened": "from javascript", "elsewhere": "from javascript", "refused": "InvalidCiphertextException", "signed": True}


ROOT = pathlib.Path(__file__).parents[2]
RUST = ROOT / "tests/clients/rust/Cargo.toml"
RUST_BUILT = ROOT / "target/clients/rust"


@pytest.fixture(scope="module")
def rust_session():
    """The program, built. It is a workspace of its own, so that the product is built without AWS's SDK."""
    command = ["cargo", "build", "--quiet", "--locked", "--manifest-path", str(RUST), "--target-dir", str(RUST_BUILT)]
    subprocess.run(command, cwd=ROOT, check=True)
    return RUST_BUILT / "debug/rust-sdk-session"


def test_rust_sdk(deployment, rust_session, through_agent):
    stranger = deployment.identities["bob"]
    program = [str(rust_session), THERE, stranger["access_key_id"], stranger["secret_access_key"]]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {
        "encryption": {"opened": True, "by": True},
        "data_key": {"bytes": 32, "opened": True},
        "signature": {"verified": True, "of_another_message": True},
        "mac": {"bytes": 32, "verified": True},
        "regions": {"opened": True, "in": THERE},
        "errors": {
            "NotFoundException": True,
            "InvalidCiphertextException": True,
            "DisabledException": True,
            "AccessDeniedException": True,
            "with_a_message": True,
        },
    }
