"""The operations of a key, through boto3 at every node."""

import base64
import json
import pathlib
import ssl
import subprocess
import sys
import urllib.request

import pytest
from botocore.exceptions import ClientError

REGIONS = ["eu-west-1", "us-east-1", "ap-south-1"]


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code, caught.value.response
    return caught.value.response["Error"].get("Message", "")


def test_single_region_key_has_the_whole_metadata_of_aws(deployment):
    kms = deployment.kms("eu-west-1")
    created = kms.create_key(Description="orders", Tags=[{"TagKey": "team", "TagValue": "shop"}])["KeyMetadata"]
    assert created["Arn"] == f"arn:aws:kms:eu-west-1:111122223333:key/{created['KeyId']}"
    assert created["AWSAccountId"] == "111122223333"
    expected = {
        "Enabled": True, "Description": "orders", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled", "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": False,
    }
    assert {name: created[name] for name in expected} == expected
    assert len(created["CurrentKeyMaterialId"]) == 64
    assert "MultiRegionConfiguration" not in created
    for node in range(3):
        described = deployment.kms("eu-west-1", node).describe_key(KeyId=created["Arn"])["KeyMetadata"]
        assert described == created


def test_encrypt_decrypt_at_every_node(deployment):
    key_id = deployment.kms("eu-west-1").create_key()["KeyMetadata"]["KeyId"]
    context = {"purpose": "test", "ünïcode": "✓"}
    blob = deployment.kms("eu-west-1", 0).encrypt(KeyId=key_id, Plaintext=b"a secret", EncryptionContext=context)
    assert blob["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    for node in range(3):
        kms = deployment.kms("eu-west-1", node)
        opened = kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=context)
        assert opened["Plaintext"] == b"a secret"
        assert opened["KeyId"] == blob["KeyId"]
        refused(lambda: kms.decrypt(CiphertextBlob=blob["CiphertextBlob"]), "InvalidCiphertextException")
        damaged = bytearray(blob["CiphertextBlob"])
        damaged[-1] ^= 1
        refused(lambda: kms.decrypt(CiphertextBlob=bytes(damaged), EncryptionContext=context), "InvalidCiphertextException")


def test_data_keys_re_encrypt_and_random(deployment):
    kms = deployment.kms("us-east-1")
    first = kms.create_key()["KeyMetadata"]["KeyId"]
    second = kms.create_key()["KeyMetadata"]["KeyId"]
    data_key = kms.generate_data_key(KeyId=first, KeySpec="AES_256")
    assert len(data_key["Plaintext"]) == 32
    assert kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    wrapped = kms.generate_data_key_without_plaintext(KeyId=first, NumberOfBytes=77)
    assert "Plaintext" not in wrapped
    assert len(kms.decrypt(CiphertextBlob=wrapped["CiphertextBlob"])["Plaintext"]) == 77
    moved = kms.re_encrypt(CiphertextBlob=data_key["CiphertextBlob"], DestinationKeyId=second, DestinationEncryptionContext={"a": "b"})
    assert moved["SourceKeyId"].endswith(first) and moved["KeyId"].endswith(second)
    opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"a": "b"}, KeyId=second)
    assert opened["Plaintext"] == data_key["Plaintext"]
    refused(lambda: kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"a": "b"}, KeyId=first), "IncorrectKeyException")
    assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024


def test_multi_region_key_opens_everywhere(deployment):
    key_id = deployment.create_everywhere(Description="everywhere")
    assert key_id.startswith("mrk-")
    material_ids = set()
    for region in REGIONS:
        kms = deployment.kms(region)
        metadata = kms.describe_key(KeyId=key_id)["KeyMetadata"]
        material_ids.add(metadata["CurrentKeyMaterialId"])
        configuration = metadata["MultiRegionConfiguration"]
        assert configuration["MultiRegionKeyType"] == ("PRIMARY" if region == "eu-west-1" else "REPLICA")
        assert configuration["PrimaryKey"]["Region"] == "eu-west-1"
        assert {replica["Region"] for replica in configuration["ReplicaKeys"]} == {"us-east-1", "ap-south-1"}
        blob = kms.encrypt(KeyId=key_id, Plaintext=region.encode())["CiphertextBlob"]
        for other in REGIONS:
            opened = deployment.kms(other).decrypt(CiphertextBlob=blob)
            assert opened["Plaintext"] == region.encode()
            assert opened["KeyId"] == f"arn:aws:kms:{other}:111122223333:key/{key_id}"
    assert len(material_ids) == 1


def test_disabled_in_one_region_serves_in_the_others(deployment):
    key_id = deployment.create_everywhere()
    blob = deployment.kms("eu-west-1").encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    deployment.kms("us-east-1").disable_key(KeyId=key_id)
    for node in range(3):
        message = refused(lambda: deployment.kms("us-east-1", node).decrypt(CiphertextBlob=blob), "DisabledException")
        assert message == f"arn:aws:kms:us-east-1:111122223333:key/{key_id} is disabled."
    for region in ["eu-west-1", "ap-south-1"]:
        assert deployment.kms(region).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    deployment.kms("us-east-1").enable_key(KeyId=key_id)
    assert deployment.kms("us-east-1").decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_replicate_key_refusals(deployment):
    kms = deployment.kms("eu-west-1")
    single = kms.create_key()["KeyMetadata"]["KeyId"]
    refused(lambda: kms.replicate_key(KeyId=single, ReplicaRegion="us-east-1"), "UnsupportedOperationException")
    multi = deployment.create_everywhere()
    refused(lambda: kms.replicate_key(KeyId=multi, ReplicaRegion="us-east-1"), "AlreadyExistsException")
    refused(lambda: kms.replicate_key(KeyId=multi, ReplicaRegion="eu-west-1"), "AlreadyExistsException")
    message = refused(lambda: deployment.kms("us-east-1").replicate_key(KeyId=multi, ReplicaRegion="ap-south-1"), "UnsupportedOperationException")
    assert message.endswith("is not a multi-region primary key.")


def test_list_keys_pages_through_all(deployment):
    kms = deployment.kms("ap-south-1", identity="root")
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(7)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}))
    listed = [key["KeyId"] for page in pages for key in page["Keys"]]
    assert made <= set(listed) and len(listed) == len(set(listed))
    assert all(len(page["Keys"]) <= 3 for page in pages)
    refused(lambda: kms.list_keys(Marker="forged"), "InvalidMarkerException")


def test_another_account_sees_nothing(deployment):
    own = deployment.kms("eu-west-1")
    key = own.create_key()["KeyMetadata"]
    blob = own.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    other = deployment.kms("eu-west-1", identity="carol")
    refused(lambda: other.encrypt(KeyId=key["Arn"], Plaintext=b"x"), "AccessDeniedException")
    refused(lambda: other.decrypt(CiphertextBlob=blob), "AccessDeniedException")
    refused(lambda: other.describe_key(KeyId=key["Arn"]), "AccessDeniedException")
    # Its root may do there whatever an account's own policies can allow, and carol has none.
    refused(other.list_keys, "AccessDeniedException")
    root = deployment.kms("eu-west-1", identity="other-root")
    assert key["KeyId"] not in [listed["KeyId"] for listed in root.list_keys()["Keys"]]


def test_what_is_not_there_says_so(deployment):
    kms = deployment.kms("eu-west-1")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"x"}
    unsupported = {
        "KeySpec": lambda: kms.create_key(KeySpec="SM2", KeyUsage="SIGN_VERIFY"),
        "Origin": lambda: kms.create_key(Origin="AWS_CLOUDHSM"),
        "CustomKeyStoreId": lambda: kms.generate_random(NumberOfBytes=8, CustomKeyStoreId="cks-1"),
        "Recipient": lambda: kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", Recipient=recipient),
    }
    for member, call in unsupported.items():
        assert member in refused(call, "UnsupportedOperationException")


def test_policies_and_grants_are_checked_before_anything_rests_on_them(deployment):
    kms = deployment.kms("eu-west-1")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    refused(lambda: kms.create_key(Policy="{}"), "MalformedPolicyDocumentException")
    refused(lambda: kms.create_grant(KeyId=key_id, GranteePrincipal="x", Operations=["Encrypt"]), "InvalidArnException")
    refused(lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x", GrantTokens=["t"]), "InvalidGrantTokenException")


def test_errors_are_those_of_aws(deployment):
    kms = deployment.kms("eu-west-1")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    unknown = "00000000-0000-4000-8000-000000000000"
    message = refused(lambda: kms.describe_key(KeyId=unknown), "NotFoundException")
    assert message == f"Key 'arn:aws:kms:eu-west-1:111122223333:key/{unknown}' does not exist"
    assert refused(lambda: kms.describe_key(KeyId="x"), "NotFoundException") == "Invalid keyId 'x'"
    assert refused(lambda: kms.generate_random(), "ValidationException") == "NumberOfBytes is required."
    too_long = refused(lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x" * 4097), "ValidationException")
    assert too_long.endswith("at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096")


def printed_by_the_demo(deployment):
    output = (deployment.directory / "demo.out").read_text()
    return output[output.index("import boto3"):]


def printed_in_the_readme(_):
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    return readme.split("```python\n")[1].split("```")[0]


@pytest.mark.parametrize("source", [printed_by_the_demo, printed_in_the_readme])
def test_lines_for_python_work_as_pasted(deployment, source):
    """Typed into Python's prompt, and run as a file, where the demo was started."""
    lines = source(deployment)
    assert len(lines.splitlines()) > 10
    for arguments, typed in [(["-i", "-q"], lines), (["-c", lines], "")]:
        command = [sys.executable, *arguments]
        ran = subprocess.run(command, input=typed, cwd=deployment.directory, capture_output=True, text=True, timeout=60)
        assert "b'hello'" in ran.stdout and "Error" not in ran.stderr, ran.stdout + ran.stderr


def test_a_plain_client_without_signature(deployment):
    """Python's standard library, as a client that signs nothing: the certificate is the identity."""
    who = deployment.identities["admin"]
    tls = ssl.create_default_context(cafile=deployment.contract["ca"])
    tls.load_cert_chain(who["cert"], who["key"])
    node = deployment.regions["eu-west-1"][0]
    headers = {"X-Amz-Target": "TrentService.GenerateRandom", "Content-Type": "application/x-amz-json-1.1"}
    request = urllib.request.Request(node.api + "/", data=b'{"NumberOfBytes":16}', headers=headers)
    with urllib.request.urlopen(request, context=tls) as answer:
        assert answer.headers["x-amzn-RequestId"]
        assert len(base64.b64decode(json.load(answer)["Plaintext"])) == 16
