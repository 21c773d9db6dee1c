"""Who may do what: every operation, by principals of every kind, on keys with policies of every kind, over HTTP.

The decisions are compared with tests/golden/authorisation.txt, which is reviewed by hand against AWS's rules.
`CLAVIGER_GOLDEN=write` writes it anew: look at every line of the difference before it is committed.

An operation that is allowed must have been done, as far as it leaves a trace, and one that is denied must not: after every cell
somebody who may do everything looks, and puts back what was changed. What is allowed and then fails for another reason counts as
allowed, since a refusal of access comes first.
"""

import base64
import os
import pathlib

import pytest

from access import HOME, PARTNER, THIRD, AccessRegion, Refused, allow, arn_of, own_policy, policy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "authorisation.txt"
WIDTH = 14

HEADER = """\
# Who may do what, operation by operation: a row is a principal, a column a key. See tests/clients/test_access_matrix.py.
#
# allow          it may (whatever the operation says afterwards)
# no-resource    no resource-based policy, that is the key's, allows it
# no-identity    no identity-based policy of the caller allows it
# no-boundary    the caller's permissions boundary does not allow it
# no-grant       it may not retire this grant
# deny-resource  the key's policy denies it
# deny-identity  a policy of the caller denies it
# revoked        an operator has denied the caller everything
# not-found      the caller's account has no such thing
# unknown        the region does not know the caller
#
# Keys, of account 111122223333 where nothing else is said:
"""

KEYS = {
    "default": "the default policy, which lets the account's own policies decide",
    "console": "as AWS's console writes: the default, administrators (key-admin) and users of the key (key-user)",
    "named": "key-user, role app, session batch/nightly, role bounded and the revoked user may all; the account is not named",
    "deny": "the default and key-user; Decrypt, ReEncryptFrom, TagResource, CreateGrant and RetireGrant are denied to everybody",
    "shared": "the default, and account 444455556666",
    "partner": "of account 444455556666: its default, and account 111122223333 and its key-user",
    "payroll": "the account and key-user, if the encryption context has department=payroll, as it has in all columns but",
    "sales": "the key of payroll, asked with department=sales",
}

PRINCIPALS = {
    "root": (HOME, "root", "may all that the key lets its account"),
    "admin": (HOME, "user/admin", "a managed policy allows everything"),
    "key-admin": (HOME, "user/key-admin", "nothing but what key policies say"),
    "key-user": (HOME, "user/key-user", "nothing but what key policies say"),
    "by-identity": (HOME, "user/by-identity", "an inline policy: cryptography and DescribeKey on the account's keys, CreateAlias, lists"),
    "by-group": (HOME, "user/by-group", "the group's policy: Describe*, Get*, List*"),
    "restrained": (HOME, "user/restrained", "a policy allows everything, another denies Encrypt, ReEncryptTo and TagResource"),
    "bounded": (HOME, "user/bounded", "a policy allows everything, the boundary only Encrypt, DescribeKey, CreateKey and ListKeys"),
    "bounded-role": (HOME, "role/bounded/x", "no policy, the same boundary"),
    "app-session": (HOME, "role/app/web", "a session of a role without a policy"),
    "nightly": (HOME, "role/batch/nightly", "a session of a role without a policy"),
    "daily": (HOME, "role/batch/daily", "another session of that role"),
    "plain-grant": (HOME, "user/plain-grant", "a grant on every key: cryptography and DescribeKey"),
    "constrained": (HOME, "user/constrained", "the same and CreateGrant, for contexts with department=payroll"),
    "create-grant": (HOME, "user/create-grant", "a grant on every key: Decrypt and CreateGrant"),
    "grantee": (HOME, "user/grantee", "grantee of the grant that is retired and revoked: Decrypt, RetireGrant"),
    "retiring": (HOME, "user/retiring", "retiring principal of that grant"),
    "role-grant": (HOME, "role/granted/x", "a session of a role with a grant on every key: Encrypt, Decrypt, DescribeKey"),
    "bystander": (HOME, "user/bystander", "nothing"),
    "third-policy": (THIRD, "user/with-policy", "its account has a grant on every key, as role-grant's; a policy allows all"),
    "third-bare": (THIRD, "user/bare", "of the same account, without a policy"),
    "partner-root": (PARTNER, "root", "the root of the other account"),
    "partner-user": (PARTNER, "user/with-policy", "a user of the other account, whose policy allows all"),
    "partner-bare": (PARTNER, "user/bare", "a user of the other account without a policy"),
    "revoked": (HOME, "user/revoked", "a policy allows everything; an operator has denied it everything"),
    "unknown": (HOME, "user/nobody", "a certificate of an account that is known, for a user that is not"),
}

EVERYTHING = policy(own_policy("*"))
BOUNDARY = policy(own_policy("kms:Encrypt", "kms:DescribeKey", "kms:CreateKey", "kms:ListKeys"))
CRYPTOGRAPHY = ["Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "DescribeKey"]

IDENTITIES = f"""
[[account]]
id = "{HOME}"
policy = [
  {{ name = "everything", document = '{EVERYTHING}' }},
  {{ name = "boundary", document = '{BOUNDARY}' }},
]
group = [{{ name = "readers", inline = [
  {{ name = "read", document = '{policy(own_policy("kms:Describe*", "kms:Get*", "kms:List*"))}' }},
] }}]
user = [
  {{ name = "warden", attach = ["everything"] }},
  {{ name = "admin", attach = ["everything"] }},
  {{ name = "key-admin" }}, {{ name = "key-user" }}, {{ name = "bystander" }},
  {{ name = "plain-grant" }}, {{ name = "constrained" }}, {{ name = "create-grant" }}, {{ name = "grantee" }}, {{ name = "retiring" }},
  {{ name = "by-group", groups = ["readers"] }},
  {{ name = "by-identity", inline = [{{ name = "use", document = '{policy(
      own_policy("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey", "kms:CreateAlias",
                 resource=f"arn:aws:kms:*:{HOME}:key/*"),
      own_policy("kms:CreateAlias", resource=f"arn:aws:kms:*:{HOME}:alias/*"),
      own_policy("kms:ListKeys", "kms:ListAliases", "kms:GenerateRandom"),
  )}' }}] }},
  {{ name = "restrained", attach = ["everything"], inline = [{{ name = "not", document = '{policy(
      own_policy("kms:Encrypt", "kms:ReEncryptTo", "kms:TagResource", effect="Deny"))}' }}] }},
  {{ name = "bounded", attach = ["everything"], boundary = "boundary" }},
  {{ name = "revoked", attach = ["everything"] }},
]
role = [{{ name = "app" }}, {{ name = "batch" }}, {{ name = "granted" }}, {{ name = "bounded", boundary = "boundary" }}]

[[account]]
id = "{PARTNER}"
policy = [{{ name = "everything", document = '{EVERYTHING}' }}]
user = [
  {{ name = "warden", attach = ["everything"] }}, {{ name = "with-policy", attach = ["everything"] }}, {{ name = "bare" }},
]

[[account]]
id = "{THIRD}"
policy = [{{ name = "everything", document = '{EVERYTHING}' }}]
user = [{{ name = "with-policy", attach = ["everything"] }}, {{ name = "bare" }}]
"""

ADMINISTER = [
    "kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*", "kms:Get*",
    "kms:Delete*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
]
USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
ATTACH = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]


def user(name, account=HOME):
    return arn_of(account, f"user/{name}")


def root(account=HOME):
    return arn_of(account, "root")


def policies():
    """The policies of the keys. Each but the default lets the warden look and put back."""
    of_payroll = {"Condition": {"StringEquals": {"kms:EncryptionContext:department": "payroll"}}}
    of_aws = {"Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}
    everybody_else = {"ArnNotEquals": {"aws:PrincipalArn": user("warden")}}
    denied = ["kms:Decrypt", "kms:ReEncryptFrom", "kms:TagResource", "kms:CreateGrant", "kms:RetireGrant"]
    warden = allow(user("warden"))
    named = [user("key-user"), user("revoked"), *(arn_of(HOME, who) for who in ["role/app", "role/batch/nightly", "role/bounded"])]
    user_of_key = user("key-user")
    return {
        "default": None,
        "console": policy(
            allow(root()), allow(user("key-admin"), ADMINISTER), allow(user_of_key, USE), allow(user_of_key, ATTACH, **of_aws)
        ),
        "named": policy(warden, allow(named)),
        "deny": policy(
            warden, allow(root()), allow(user_of_key), allow("*", denied, Condition=everybody_else) | {"Effect": "Deny"}
        ),
        "shared": policy(allow(root()), allow(root(PARTNER))),
        "partner": policy(allow(root(PARTNER)), allow([root(), user_of_key])),
        "payroll": policy(warden, allow([root(), user_of_key], **of_payroll)),
    }


class Key:
    """A column: a key, another with the same policy, a ciphertext of it, and who may look after both."""

    def __init__(self, name, wardens, key_policy, made=None):
        self.name = name
        self.context = {"department": "sales" if name == "sales" else "payroll"}
        self.account = PARTNER if name == "partner" else HOME
        self.warden = wardens[self.account]
        self.policy = key_policy
        if made is not None:
            self.arn, self.twin, self.alias = made.arn, made.twin, made.alias
        else:
            self.arn, self.twin = (self.create() for _ in range(2))
            self.alias = f"alias/{name}"
            self.warden.ask("CreateAlias", AliasName=self.alias, TargetKeyId=self.arn)
            self.policy = self.warden.ask("GetKeyPolicy", KeyId=self.arn)["Policy"]
        sealed = self.warden.ask("Encrypt", KeyId=self.arn, Plaintext=b64(b"x"), EncryptionContext=self.context)
        self.blob = sealed["CiphertextBlob"]
        self.grant = None

    def create(self):
        given = {} if self.policy is None else {"Policy": self.policy}
        return self.warden.ask("CreateKey", BypassPolicyLockoutSafetyCheck=True, **given)["KeyMetadata"]["Arn"]

    def give_grants(self):
        """Those that principals have of every key."""
        payroll = {"Constraints": {"EncryptionContextSubset": {"department": "payroll"}}}
        use = ["Encrypt", "Decrypt", "DescribeKey"]
        for grantee, operations, more in [
            (user("plain-grant"), CRYPTOGRAPHY, {}),
            (user("constrained"), [*CRYPTOGRAPHY, "CreateGrant"], payroll),
            (user("create-grant"), ["Decrypt", "CreateGrant"], {}),
            (arn_of(HOME, "role/granted"), use, {}),
            (root(THIRD), use, {}),
        ]:
            self.warden.ask("CreateGrant", KeyId=self.arn, GranteePrincipal=grantee, Operations=operations, **more)
        self.give_grant()

    def give_grant(self):
        """The one that is retired and revoked."""
        given = {"GranteePrincipal": user("grantee"), "RetiringPrincipal": user("retiring"), "Operations": ["Decrypt", "RetireGrant"]}
        self.grant = self.warden.ask("CreateGrant", KeyId=self.arn, **given)["GrantId"]


def b64(data):
    return base64.b64encode(data).decode()


class Probe:
    """How an operation is asked for. `look` is what the warden then sees of it, and `undo` puts it back."""

    def __init__(self, ask, look=None, undo=None, before=None, after=None):
        self.ask, self.look, self.undo, self.before, self.after = ask, look, undo, before, after


def of_key(**body):
    return lambda key: {"KeyId": key.arn, **body}


def with_context(**body):
    return lambda key: {"KeyId": key.arn, "EncryptionContext": key.context, **body}


def warden_asks(operation, body):
    return lambda key, *_: key.warden.ask(operation, **body(key))


def grants_of(key):
    return {grant["GrantId"] for grant in key.warden.ask("ListGrants", KeyId=key.arn, Limit=100)["Grants"]}


def aliases_of(key):
    aliases = key.warden.ask("ListAliases", Limit=100)["Aliases"]
    return {alias["AliasName"]: alias["TargetKeyId"] for alias in aliases}


def new_alias(key):
    return {"AliasName": f"{key.alias}/new", "TargetKeyId": key.arn}


def moved(arn_in):
    return lambda key: {"AliasName": key.alias, "TargetKeyId": arn_in(key)}


def same_policy_with_a_space(key):
    return {"KeyId": key.arn, "PolicyName": "default", "Policy": key.policy + " ", "BypassPolicyLockoutSafetyCheck": True}


def the_policy(key):
    return {"KeyId": key.arn, "PolicyName": "default", "Policy": key.policy, "BypassPolicyLockoutSafetyCheck": True}


def new_grant(key):
    return {"KeyId": key.arn, "GranteePrincipal": user("warden"), "Operations": ["Decrypt"]}


def revoke_answered(key, answer):
    key.warden.ask("RevokeGrant", KeyId=key.arn, GrantId=answer["GrantId"])


def re_encrypt(key):
    contexts = {"SourceEncryptionContext": key.context, "DestinationEncryptionContext": key.context}
    return {"CiphertextBlob": key.blob, "SourceKeyId": key.arn, "DestinationKeyId": key.arn, **contexts}


describe = warden_asks("DescribeKey", of_key())
tags_of = warden_asks("ListResourceTags", of_key())
tag = of_key(Tags=[{"TagKey": "probe", "TagValue": "x"}])
untag = of_key(TagKeys=["probe"])
the_grant = Probe(lambda key: {"KeyId": key.arn, "GrantId": key.grant}, grants_of, lambda key, _: key.give_grant())

rotation_of = warden_asks("GetKeyRotationStatus", of_key())
enable_rotation = warden_asks("EnableKeyRotation", of_key())
disable_rotation = warden_asks("DisableKeyRotation", of_key())
schedule_deletion = warden_asks("ScheduleKeyDeletion", of_key(PendingWindowInDays=7))


def cancel_deletion(key, *_):
    key.warden.ask("CancelKeyDeletion", KeyId=key.arn)
    key.warden.ask("EnableKey", KeyId=key.arn)


PROBES = {
    "CreateAlias": Probe(new_alias, aliases_of, warden_asks("DeleteAlias", lambda key: {"AliasName": new_alias(key)["AliasName"]})),
    "CreateGrant": Probe(new_grant, grants_of, revoke_answered),
    "Decrypt": Probe(lambda key: with_context(CiphertextBlob=key.blob)(key)),
    "DeleteAlias": Probe(lambda key: {"AliasName": key.alias}, aliases_of, warden_asks("CreateAlias", moved(lambda key: key.arn))),
    "CancelKeyDeletion": Probe(of_key(), describe, undo=schedule_deletion, before=schedule_deletion, after=cancel_deletion),
    "DeleteImportedKeyMaterial": Probe(of_key()),
    "DeriveSharedSecret": Probe(of_key(KeyAgreementAlgorithm="ECDH", PublicKey=b64(b"x"))),
    "DescribeKey": Probe(of_key()),
    "DisableKey": Probe(of_key(), describe, warden_asks("EnableKey", of_key())),
    "DisableKeyRotation": Probe(of_key(), rotation_of, undo=enable_rotation, before=enable_rotation, after=disable_rotation),
    "EnableKeyRotation": Probe(of_key(), rotation_of, undo=disable_rotation),
    "EnableKey": Probe(
        of_key(),
        describe,
        undo=warden_asks("DisableKey", of_key()),
        before=warden_asks("DisableKey", of_key()),
        after=warden_asks("EnableKey", of_key()),
    ),
    "Encrypt": Probe(with_context(Plaintext=b64(b"x"))),
    "GenerateDataKey": Probe(with_context(KeySpec="AES_256")),
    "GenerateDataKeyPair": Probe(with_context(KeyPairSpec="ECC_NIST_P256")),
    "GenerateDataKeyPairWithoutPlaintext": Probe(with_context(KeyPairSpec="ECC_NIST_P256")),
    "GenerateDataKeyWithoutPlaintext": Probe(with_context(KeySpec="AES_256")),
    "GenerateMac": Probe(of_key(Message=b64(b"x"), MacAlgorithm="HMAC_SHA_256")),
    "GetKeyLastUsage": Probe(of_key()),
    "GetKeyRotationStatus": Probe(of_key()),
    "GetParametersForImport": Probe(of_key(WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")),
    "GetPublicKey": Probe(of_key()),
    "ImportKeyMaterial": Probe(
        of_key(ImportToken=b64(b"x"), EncryptedKeyMaterial=b64(b"x"), ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    ),
    "GetKeyPolicy": Probe(of_key()),
    "ListAliases": Probe(of_key()),
    "ListGrants": Probe(of_key()),
    "ListKeyPolicies": Probe(of_key()),
    "ListKeyRotations": Probe(of_key()),
    "ListResourceTags": Probe(of_key()),
    "PutKeyPolicy": Probe(same_policy_with_a_space, warden_asks("GetKeyPolicy", of_key()), warden_asks("PutKeyPolicy", the_policy)),
    "ReEncrypt": Probe(re_encrypt),
    "ReplicateKey": Probe(of_key(ReplicaRegion="us-east-1")),
    "RetireGrant": the_grant,
    "RevokeGrant": the_grant,
    "RotateKeyOnDemand": Probe(of_key(), warden_asks("ListKeyRotations", of_key()), undo=lambda *_: None),
    "ScheduleKeyDeletion": Probe(of_key(PendingWindowInDays=7), describe, undo=cancel_deletion),
    "Sign": Probe(of_key(Message=b64(b"x"), SigningAlgorithm="ECDSA_SHA_256")),
    "TagResource": Probe(tag, tags_of, warden_asks("UntagResource", untag)),
    "UntagResource": Probe(
        untag,
        tags_of,
        undo=warden_asks("TagResource", tag),
        before=warden_asks("TagResource", tag),
        after=warden_asks("UntagResource", untag),
    ),
    "UpdateAlias": Probe(moved(lambda key: key.twin), aliases_of, warden_asks("UpdateAlias", moved(lambda key: key.arn))),
    "UpdateKeyDescription": Probe(
        of_key(Description="probe"), describe, warden_asks("UpdateKeyDescription", of_key(Description=""))
    ),
    "Verify": Probe(of_key(Message=b64(b"x"), Signature=b64(b"x"), SigningAlgorithm="ECDSA_SHA_256")),
    "VerifyMac": Probe(of_key(Message=b64(b"x"), Mac=b64(b"x"), MacAlgorithm="HMAC_SHA_256")),
}

# Operations that are on no key: what they ask, by the caller's account.
KEYLESS = {
    "CreateKey": lambda _: {},
    "GenerateRandom": lambda _: {"NumberOfBytes": 8},
    "ListKeys": lambda _: {},
    "ListRetirableGrants": lambda account: {"RetiringPrincipal": root(account)},
}

# What these columns, symmetric keys of one region, cannot do: who may is told so, in these words and no others.
USAGE, UNSUPPORTED = "InvalidKeyUsageException", "UnsupportedOperationException"
OUT_OF_ORDER = {
    "DeleteImportedKeyMaterial": UNSUPPORTED,
    "DeriveSharedSecret": USAGE,
    "GenerateMac": USAGE,
    "GetParametersForImport": UNSUPPORTED,
    "GetPublicKey": UNSUPPORTED,
    "ImportKeyMaterial": UNSUPPORTED,
    "ReplicateKey": UNSUPPORTED,
    "Sign": USAGE,
    "Verify": USAGE,
    "VerifyMac": USAGE,
}

REASONS = {
    "with an explicit deny in a resource-based policy": "deny-resource",
    "with an explicit deny in an identity-based policy": "deny-identity",
    "because no resource-based policy allows": "no-resource",
    "because no identity-based policy allows": "no-identity",
    "because no permissions boundary allows": "no-boundary",
    "because no grant or identity-based policy allows": "no-grant",
    "because the principal has been revoked": "revoked",
}


def decision(caller, operation, body):
    """What came of it, and the answer if there is one."""
    try:
        return "allow", caller.ask(operation, **body)
    except Refused as refused:
        if refused.code == "AccessDeniedException":
            [reason] = [short for words, short in REASONS.items() if words in refused.message]
            return reason, None
        named = {"UnrecognizedClientException": "unknown", "NotFoundException": "not-found"}
        # Few cells ask for what is out of order, so that anything else would hide a decision.
        assert refused.code in named or refused.code == OUT_OF_ORDER.get(operation), f"{operation} {body}: {refused}"
        return named.get(refused.code, "allow"), None


def cell(caller, operation, key):
    """One decision; what was done is as it says, and is undone."""
    probe = PROBES[operation]
    seen = probe.look(key) if probe.look else None
    decided, answer = decision(caller, operation, probe.ask(key))
    if probe.look:
        changed = probe.look(key) != seen
        assert changed == (decided == "allow"), f"{operation} on {key.name}: {decided}, and the region has changed: {changed}"
        if changed:
            probe.undo(key, answer)
    return decided


def block(operation, columns, rows):
    lines = [f"[{operation}]", "  ".join(["principal".ljust(WIDTH), *(column.ljust(WIDTH) for column in columns)])]
    lines += ["  ".join([name.ljust(WIDTH), *(decided.ljust(WIDTH) for decided in row)]) for name, row in rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"


class World:
    def __init__(self, directory):
        self.region = AccessRegion(directory)
        try:
            self.region.apply(IDENTITIES)
            self.callers = {name: self.region.caller(account, who) for name, (account, who, _) in PRINCIPALS.items()}
            wardens = {account: self.region.caller(account, "user/warden") for account in [HOME, PARTNER]}
            self.keys = {name: Key(name, wardens, text) for name, text in policies().items()}
            payroll = self.keys["payroll"]
            for key in self.keys.values():
                key.give_grants()
            self.keys["sales"] = Key("sales", wardens, payroll.policy, made=payroll)
            self.keys["sales"].grant = payroll.grant
            self.region.operator("iam", "revoke", user("revoked"), "--reason", "test")
        except BaseException:
            self.region.stop()
            raise

    def block(self, operation):
        if operation in KEYLESS:
            body = KEYLESS[operation]
            rows = [(name, [decision(caller, operation, body(PRINCIPALS[name][0]))[0]]) for name, caller in self.callers.items()]
            return block(operation, ["-"], rows)
        probe = PROBES[operation]
        distinct = [key for key in self.keys.values() if key.name != "sales"]
        for key in distinct if probe.before else []:
            probe.before(key)
        rows = [(name, [self.cell(caller, operation, column) for column in KEYS]) for name, caller in self.callers.items()]
        for key in distinct if probe.after else []:
            probe.after(key)
        return block(operation, KEYS, rows)

    def cell(self, caller, operation, column):
        # The two columns of one key share its grant.
        payroll, sales = self.keys["payroll"], self.keys["sales"]
        key = self.keys[column]
        decided = cell(caller, operation, key)
        if key in (payroll, sales):
            payroll.grant = sales.grant = key.grant
        return decided


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("access"))
    yield made
    made.region.stop()


def header():
    keys = [f"#   {name.ljust(WIDTH)} {text}" for name, text in KEYS.items()]
    rows = [f"#   {name.ljust(WIDTH)} {arn_of(account, who)}: {text}" for name, (account, who, text) in PRINCIPALS.items()]
    return HEADER + "\n".join([*keys, "#", "# Principals:", *rows]) + "\n"


def test_decisions_are_those_of_the_golden_file(world):
    operations = sorted([*PROBES, *KEYLESS])
    made = "\n".join([header(), *(world.block(operation) for operation in operations)])
    if os.environ.get("CLAVIGER_GOLDEN") == "write":
        GOLDEN.write_text(made)
    assert made.split("\n\n") == GOLDEN.read_text().split("\n\n")
