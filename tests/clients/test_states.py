"""Every operation on a key in every state that can be reached here, over HTTP, against the table in the code (src/state/state_matrix.rs),
which is AWS's (rules page, section 4); and the way from state to state."""

import pathlib
import re

import pytest
from botocore.exceptions import ClientError
from test_keys import refused
from test_specs import imported

REGION = "eu-west-1"
TABLE = pathlib.Path(__file__).parents[2] / "src" / "state" / "state_matrix.rs"
DRY = {"DryRun": True}

# Which row of the table an operation has, and how it is asked without doing anything, or so that it can be undone.
CLASSES = {
    "CancelKeyDeletion": "CancelDeletion",
    "CreateAlias": "Label",
    "CreateGrant": "CreateGrant",
    "Decrypt": "Cryptography",
    "DeleteAlias": "Always",
    "DeleteImportedKeyMaterial": "DeleteImport",
    "DeriveSharedSecret": "Cryptography",
    "DescribeKey": "Always",
    "DisableKey": "Switch",
    "DisableKeyRotation": "SetRotation",
    "EnableKey": "Switch",
    "EnableKeyRotation": "SetRotation",
    "Encrypt": "Cryptography",
    "GenerateDataKey": "Cryptography",
    "GenerateDataKeyPair": "Cryptography",
    "GenerateDataKeyPairWithoutPlaintext": "Cryptography",
    "GenerateDataKeyWithoutPlaintext": "Cryptography",
    "GenerateMac": "Cryptography",
    "GetKeyLastUsage": "Always",
    "GetKeyPolicy": "Always",
    "GetKeyRotationStatus": "Always",
    "GetParametersForImport": "ImportParameters",
    "GetPublicKey": "Cryptography",
    "ImportKeyMaterial": "Import",
    "ListAliases": "Always",
    "ListGrants": "Always",
    "ListKeyPolicies": "Always",
    "ListKeyRotations": "Always",
    "ListResourceTags": "Always",
    "PutKeyPolicy": "Always",
    "ReEncrypt": "Cryptography",
    "ReplicateKey": "Regions",
    "RetireGrant": "Always",
    "RevokeGrant": "Always",
    "RotateKeyOnDemand": "RotateOnDemand",
    "ScheduleKeyDeletion": "ScheduleDeletion",
    "Sign": "Cryptography",
    "TagResource": "Label",
    "UntagResource": "Label",
    "UpdateAlias": "Label",
    "UpdateKeyDescription": "Label",
    "Verify": "Cryptography",
    "VerifyMac": "Cryptography",
}
WITHOUT_A_KEY = {"CreateKey", "GenerateRandom", "ListKeys", "ListRetirableGrants"}
REACHED = ["Enabled", "Disabled", "PendingDeletion", "PendingImport"]
# What a key in such a state answers, by its code and the end of its message.
REFUSALS = {
    "Enabled": ("KMSInvalidStateException", "is not pending deletion."),
    "Disabled": ("DisabledException", "is disabled."),
    "PendingDeletion": ("KMSInvalidStateException", "is pending deletion."),
    "PendingImport": ("KMSInvalidStateException", "is pending import."),
}


def table():
    """Class -> states, from the source."""
    text = TABLE.read_text()
    rows = re.findall(r"^    (\w+) = &\[([^\]]*)\]", text, re.M)
    assert len(rows) == 13
    return {name: {state.strip() for state in states.split(",")} for name, states in rows}


class Column:
    """A fresh key of one kind in one state, and what each operation would be asked of it."""

    def __init__(self, kms, state, kind):
        self.kms, self.state, self.kind = kms, state, kind
        spec, usage, origin, multi_region = kind
        self.arn = kms.create_key(KeySpec=spec, KeyUsage=usage, Origin=origin, MultiRegion=multi_region)["KeyMetadata"]["Arn"]
        self.token = None
        if origin == "EXTERNAL":
            self.parameters = kms.get_parameters_for_import(
                KeyId=self.arn, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
            )
            if state != "PendingImport":
                imported(kms, self.arn, b"k" * 32)
        usable = origin == "AWS_KMS" or state != "PendingImport"
        self.blob = kms.encrypt(KeyId=self.arn, Plaintext=b"x")["CiphertextBlob"] if usage == "ENCRYPT_DECRYPT" and usable else b"x" * 150
        self.alias = f"alias/states/{self.arn[-36:]}"
        for alias in [self.alias, self.alias + "/gone"]:
            kms.create_alias(AliasName=alias, TargetKeyId=self.arn)
        self.grant = None
        if usable:
            grant = kms.create_grant(KeyId=self.arn, GranteePrincipal="arn:aws:iam::111122223333:user/bob", Operations=["DescribeKey"])
            self.grant = grant["GrantId"]
        if state == "Disabled":
            kms.disable_key(KeyId=self.arn)
        if state == "PendingDeletion":
            kms.schedule_key_deletion(KeyId=self.arn, PendingWindowInDays=7)
        assert kms.describe_key(KeyId=self.arn)["KeyMetadata"]["KeyState"] == state

    def body(self, operation):
        key = {"KeyId": self.arn}
        return {
            "CreateAlias": {"AliasName": self.alias + "/2", "TargetKeyId": self.arn},
            "CreateGrant": {**key, "GranteePrincipal": "arn:aws:iam::111122223333:user/bob", "Operations": ["DescribeKey"], **DRY},
            "Decrypt": {**key, "CiphertextBlob": self.blob, **DRY},
            "DeleteAlias": {"AliasName": self.alias + "/gone"},
            "DeriveSharedSecret": {**key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": b"x", **DRY},
            "Encrypt": {**key, "Plaintext": b"x", **DRY},
            "GenerateDataKey": {**key, "KeySpec": "AES_256", **DRY},
            "GenerateDataKeyWithoutPlaintext": {**key, "KeySpec": "AES_256", **DRY},
            "GenerateDataKeyPair": {**key, "KeyPairSpec": "ECC_NIST_P256", **DRY},
            "GenerateDataKeyPairWithoutPlaintext": {**key, "KeyPairSpec": "ECC_NIST_P256", **DRY},
            "GenerateMac": {**key, "Message": b"x", "MacAlgorithm": "HMAC_SHA_256", **DRY},
            "GetParametersForImport": {**key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
            "ImportKeyMaterial": {
                **key, "ImportToken": getattr(self, "parameters", {}).get("ImportToken", b"x"), "EncryptedKeyMaterial": b"x" * 256,
                "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
            },
            "ListAliases": key,
            "PutKeyPolicy": {**key, "Policy": self.kms.get_key_policy(KeyId=self.arn)["Policy"]},
            "ReEncrypt": {"CiphertextBlob": self.blob, "SourceKeyId": self.arn, "DestinationKeyId": self.arn, **DRY},
            "ReplicateKey": {**key, "ReplicaRegion": "us-east-1"},
            "RetireGrant": {**key, "GrantId": self.grant or "0" * 64, **DRY},
            "RevokeGrant": {**key, "GrantId": self.grant or "0" * 64, **DRY},
            "ScheduleKeyDeletion": {**key, "PendingWindowInDays": 7},
            "Sign": {**key, "Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256", **DRY},
            "TagResource": {**key, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
            "UntagResource": {**key, "TagKeys": ["a"]},
            "UpdateAlias": {"AliasName": self.alias, "TargetKeyId": self.arn},
            "UpdateKeyDescription": {**key, "Description": "d"},
            "Verify": {**key, "Message": b"x", "Signature": b"x", "SigningAlgorithm": "ECDSA_SHA_256", **DRY},
            "VerifyMac": {**key, "Message": b"x", "Mac": b"x", "MacAlgorithm": "HMAC_SHA_256", **DRY},
        }.get(operation, key)

    def put_back(self, operation):
        """What an operation that was allowed has changed."""
        if operation == "CancelKeyDeletion":
            self.kms.schedule_key_deletion(KeyId=self.arn, PendingWindowInDays=7)
        elif operation == "ScheduleKeyDeletion":
            self.kms.cancel_key_deletion(KeyId=self.arn)
            if self.state != "Disabled":
                self.switch("enable_key")
        elif operation in ("DisableKey", "EnableKey"):
            self.switch("enable_key" if self.state == "Enabled" else "disable_key")
        elif operation == "DeleteAlias" and self.state != "PendingDeletion":
            self.kms.create_alias(AliasName=self.alias + "/gone", TargetKeyId=self.arn)
        elif operation == "DeleteImportedKeyMaterial" and self.state in ("Enabled", "Disabled") and self.kind[2] == "EXTERNAL":
            imported(self.kms, self.arn, b"k" * 32)
        elif operation == "EnableKeyRotation":
            self.kms.disable_key_rotation(KeyId=self.arn)

    def switch(self, how):
        try:
            getattr(self.kms, how)(KeyId=self.arn)
        except ClientError as error:
            assert error.response["Error"]["Message"].endswith("is pending import."), error


def kinds(operation):
    """The kind of key that can do it at all, so that its state decides."""
    if operation in ("Sign", "Verify", "GetPublicKey"):
        return ("ECC_NIST_P256", "SIGN_VERIFY", "AWS_KMS", False)
    if operation in ("GenerateMac", "VerifyMac"):
        return ("HMAC_256", "GENERATE_VERIFY_MAC", "AWS_KMS", False)
    if operation == "DeriveSharedSecret":
        return ("ECC_NIST_P256", "KEY_AGREEMENT", "AWS_KMS", False)
    if operation in ("GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"):
        return ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL", False)
    return ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS", operation == "ReplicateKey")


# Refused for what the key is in every state, before its state is asked: rotation is not for imported keys.
NOT_FOR_EXTERNAL = {"EnableKeyRotation", "DisableKeyRotation"}
# Dry runs that would have succeeded, and what is refused for another reason once the state has let it through.
LET_THROUGH = {
    "DryRunOperationException", "InvalidCiphertextException", "UnsupportedOperationException", "NotFoundException", "IncorrectKeyMaterialException",
}


def test_every_operation_in_every_state(deployment):
    kms, rows, columns, cells = deployment.kms(REGION), table(), {}, 0
    model = set(kms.meta.service_model.operation_names)
    unsupported = {name for name in model if "CustomKeyStore" in name} | {"UpdatePrimaryRegion"}
    assert set(CLASSES) | WITHOUT_A_KEY | unsupported == model, "an operation has no row"
    for operation, name in CLASSES.items():
        for state in REACHED:
            kind = kinds(operation)
            if state == "PendingImport":
                kind = (kind[0], kind[1], "EXTERNAL", kind[3])
            if (kind, state) not in columns:
                columns[kind, state] = Column(kms, state, kind)
            column = columns[kind, state]
            allowed = state in rows[name] and not (kind[2] == "EXTERNAL" and operation in NOT_FOR_EXTERNAL)
            cells += 1
            try:
                kms._make_api_call(operation, column.body(operation))
                code, message = None, ""
            except ClientError as error:
                code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            where = f"{operation} of a key that is {state}: {code} {message}"
            if allowed:
                assert code is None or code in LET_THROUGH, where
                if code is None:
                    column.put_back(operation)
            elif kind[2] == "EXTERNAL" and operation in NOT_FOR_EXTERNAL:
                assert code == "UnsupportedOperationException", where
            elif operation == "CancelKeyDeletion":
                assert code == "KMSInvalidStateException" and message == f"{column.arn} is not pending deletion.", where
            else:
                assert (code, message) == (REFUSALS[state][0], f"{column.arn} {REFUSALS[state][1]}"), where
            now = kms.describe_key(KeyId=column.arn)["KeyMetadata"]["KeyState"]
            assert now == state, f"after {where}, it is {now}"
    print(f"{cells} cells")
    assert cells == len(CLASSES) * len(REACHED)


def test_a_deletion_is_scheduled_and_cancelled(deployment):
    kms = deployment.kms(REGION)
    key = kms.create_key()["KeyMetadata"]
    scheduled = kms.schedule_key_deletion(KeyId=key["KeyId"])
    assert scheduled["KeyId"] == key["Arn"] and scheduled["KeyState"] == "PendingDeletion" and scheduled["PendingWindowInDays"] == 30
    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert metadata["DeletionDate"] == scheduled["DeletionDate"] and not metadata["Enabled"]
    assert 29.9 < (scheduled["DeletionDate"] - key["CreationDate"]).total_seconds() / 86400 < 30.1
    for days in [6, 31]:
        refused(lambda: kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=days), "ValidationException")
    assert kms.cancel_key_deletion(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert metadata["KeyState"] == "Disabled" and "DeletionDate" not in metadata


def test_rotation_on_demand_keeps_what_was(deployment):
    kms = deployment.kms(REGION)
    key = kms.create_key()["KeyMetadata"]
    first = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"first")["CiphertextBlob"]
    assert kms.rotate_key_on_demand(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert metadata["CurrentKeyMaterialId"] != key["CurrentKeyMaterialId"]
    second = deployment.kms(REGION, 1).encrypt(KeyId=key["KeyId"], Plaintext=b"second")["CiphertextBlob"]
    for blob, plaintext, material in [(first, b"first", key), (second, b"second", metadata)]:
        opened = deployment.kms(REGION, 2).decrypt(CiphertextBlob=blob)
        assert (opened["Plaintext"], opened["KeyMaterialId"]) == (plaintext, material["CurrentKeyMaterialId"])
    [rotation] = kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"]
    assert rotation["RotationType"] == "ON_DEMAND" and rotation["KeyMaterialState"] == "CURRENT"
    whole = kms.list_key_rotations(KeyId=key["KeyId"], IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [entry["KeyMaterialState"] for entry in whole] == ["NON_CURRENT", "CURRENT"] and "RotationType" not in whole[0]
    pages = kms.get_paginator("list_key_rotations").paginate(
        KeyId=key["KeyId"], IncludeKeyMaterial="ALL_KEY_MATERIAL", PaginationConfig={"PageSize": 1}
    )
    assert [entry["KeyMaterialId"] for page in pages for entry in page["Rotations"]] == [entry["KeyMaterialId"] for entry in whole]
    for _ in range(24):
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
    message = refused(lambda: kms.rotate_key_on_demand(KeyId=key["KeyId"]), "LimitExceededException")
    assert message.startswith("The on-demand rotations limit has been reached for the given keyId.")
    for spec, usage in [("RSA_2048", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")]:
        other = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        assert refused(lambda: kms.rotate_key_on_demand(KeyId=other), "UnsupportedOperationException") == ""
        refused(lambda: kms.enable_key_rotation(KeyId=other), "UnsupportedOperationException")


def test_automatic_rotation_is_switched_and_shown(deployment):
    kms = deployment.kms(REGION)
    key = kms.create_key()["KeyMetadata"]
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key["KeyId"])
    assert status["KeyRotationEnabled"] is True and status["RotationPeriodInDays"] == 90 and status["KeyId"] == key["Arn"]
    assert 89.9 < (status["NextRotationDate"] - key["CreationDate"]).total_seconds() / 86400 < 90.1
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False
    kms.cancel_key_deletion(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"]) | {"ResponseMetadata": 0} == status | {"ResponseMetadata": 0}
    kms.enable_key(KeyId=key["KeyId"])
    kms.disable_key_rotation(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False


def test_imported_material_waits_rotates_goes_and_comes_back(deployment):
    kms = deployment.kms(REGION)
    key_id = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    never = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    first = imported(kms, key_id, b"1" * 32, KeyMaterialDescription="the first", **never)["KeyMaterialId"]
    old = kms.encrypt(KeyId=key_id, Plaintext=b"old")["CiphertextBlob"]
    refused(lambda: kms.rotate_key_on_demand(KeyId=key_id), "KMSInvalidStateException")
    second = imported(kms, key_id, b"2" * 32, ImportType="NEW_KEY_MATERIAL", **never)["KeyMaterialId"]
    refused(lambda: imported(kms, key_id, b"3" * 32, ImportType="NEW_KEY_MATERIAL", **never), "KMSInvalidStateException")
    shown = {entry["KeyMaterialId"]: entry for entry in kms.list_key_rotations(KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]}
    assert shown[second]["KeyMaterialState"] == "PENDING_ROTATION" and shown[first]["KeyMaterialDescription"] == "the first"
    kms.rotate_key_on_demand(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"] == second
    assert kms.decrypt(CiphertextBlob=old)["KeyMaterialId"] == first
    assert kms.delete_imported_key_material(KeyId=key_id, KeyMaterialId=first)["KeyMaterialId"] == first
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "PendingImport"
    refused(lambda: kms.decrypt(CiphertextBlob=old), "KMSInvalidStateException")
    assert imported(kms, key_id, b"1" * 32, ImportType="EXISTING_KEY_MATERIAL", KeyMaterialId=first, **never)["KeyMaterialId"] == first
    assert kms.decrypt(CiphertextBlob=old)["Plaintext"] == b"old"


def test_last_use(deployment):
    from deployment import wait_until

    kms = deployment.kms(REGION)
    key = kms.create_key()["KeyMetadata"]
    unused = kms.get_key_last_usage(KeyId=key["KeyId"])
    assert unused["KeyLastUsage"] == {} and unused["KeyCreationDate"] == key["CreationDate"]
    answer = deployment.kms(REGION, 1).encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    wait_until(lambda: kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"], 30, "the use is written")
    used = kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"]
    assert used["Operation"] == "Encrypt" and used["KmsRequestId"] == answer["ResponseMetadata"]["RequestId"]
    assert abs((used["Timestamp"] - key["CreationDate"]).total_seconds()) < 60


def test_dry_runs_do_nothing(deployment):
    kms = deployment.kms(REGION)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    passed = "The request would have succeeded, but the DryRun option is set."
    assert refused(lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x", DryRun=True), "DryRunOperationException") == passed
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert refused(lambda: kms.decrypt(CiphertextBlob=blob, DryRun=True), "DryRunOperationException") == passed
    refused(lambda: kms.decrypt(CiphertextBlob=blob[:-1], DryRun=True), "InvalidCiphertextException")
    ignoring = {"KeyId": key_id, "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    assert refused(lambda: kms.decrypt(**ignoring), "DryRunOperationException") == passed
    kms.disable_key(KeyId=key_id)
    refused(lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x", DryRun=True), "DisabledException")


@pytest.mark.parametrize("operation", ["DescribeCustomKeyStores", "UpdatePrimaryRegion"])
def test_what_is_not_supported_says_so(deployment, operation):
    kms = deployment.kms(REGION)
    key_id = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    body = {"KeyId": key_id, "PrimaryRegion": "us-east-1"} if operation == "UpdatePrimaryRegion" else {}
    assert refused(lambda: kms._make_api_call(operation, body), "UnsupportedOperationException")


def test_a_key_in_other_regions_waits_for_the_protocol(deployment):
    kms = deployment.kms(REGION)
    key_id = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key_id, ReplicaRegion="us-east-1")
    deployment.await_enabled("us-east-1", key_id)
    replica = deployment.kms("us-east-1")
    for there in [kms, replica]:
        assert "other regions" in refused(lambda: there.schedule_key_deletion(KeyId=key_id), "UnsupportedOperationException")
    # Its primary alone rotates it.
    for call in [replica.rotate_key_on_demand, replica.enable_key_rotation, replica.disable_key_rotation]:
        assert "primary" in refused(lambda: call(KeyId=key_id), "UnsupportedOperationException")
    kms.enable_key_rotation(KeyId=key_id)
