"""Policies and tags that are meant to hurt: what is within limits is decided, what is not is refused, and nobody else waits for it."""

import json
import threading

import pytest

from access import HOME, AccessRegion, Refused, allow, arn_of, own_policy, policy

POLICY_BYTES_MAX = 32768
LONG = "a" * 8000


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    made = AccessRegion(tmp_path_factory.mktemp("attacks"))
    yield made
    made.stop()


def code(ask, *arguments, **body):
    try:
        ask(*arguments, **body)
    except Refused as refused:
        return refused.code
    return None


class Meanwhile:
    """Somebody else, who describes another key until the end and must be answered each time."""

    def __init__(self, caller, key):
        self.caller, self.key, self.answers, self.failure, self.over = caller, key, 0, None, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.over.is_set():
                self.caller.ask("DescribeKey", KeyId=self.key)
                self.answers += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the test fails with it
            self.failure = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        assert self.failure is None and self.answers > 0, self.failure


def new_key(caller, text=None):
    given = {} if text is None else {"Policy": text, "BypassPolicyLockoutSafetyCheck": True}
    return caller.ask("CreateKey", **given)["KeyMetadata"]["KeyId"]


def nested(bytes_max):
    """As many wildcards as fit, each of which may match what the others do."""
    def statement(pattern):
        return allow(arn_of(HOME, "root"), Condition={"StringLike": {"kms:EncryptionContext:k": pattern}})

    room = bytes_max - len(policy(statement("b")))
    return policy(statement("*a" * (room // 2) + "b"))


def test_nested_wildcards_in_a_key_policy(region):
    admin, other = (region.caller(HOME, "user/admin") for _ in range(2))
    text = nested(POLICY_BYTES_MAX)
    assert POLICY_BYTES_MAX - 2 <= len(text) <= POLICY_BYTES_MAX
    hostile, ordinary = new_key(admin, text), new_key(admin)
    with Meanwhile(other, ordinary):
        for _ in range(10):
            body = {"KeyId": hostile, "Plaintext": "eA==", "EncryptionContext": {"k": LONG}}
            assert code(admin.ask, "Encrypt", **body) == "AccessDeniedException"
    assert code(admin.ask, "PutKeyPolicy", KeyId=ordinary, PolicyName="default", Policy=text + "   ") == "LimitExceededException"


def test_nested_wildcards_in_an_identity_policy(region):
    document = json.loads(policy(own_policy("kms:*")))
    document["Statement"][0]["Condition"] = {"StringLike": {"kms:EncryptionContext:k": "*a" * 5000 + "b"}}
    everything = policy(own_policy("*"))
    region.apply(f"""
[[account]]
id = "{HOME}"
user = [
  {{ name = "admin", inline = [{{ name = "all", document = '{everything}' }}] }},
  {{ name = "hostile", inline = [{{ name = "nested", document = '{json.dumps(document, separators=(",", ":"))}' }}] }},
]
""")
    admin, hostile = region.caller(HOME, "user/admin"), region.caller(HOME, "user/hostile")
    key = new_key(admin)
    with Meanwhile(admin, key):
        for _ in range(10):
            body = {"KeyId": key, "Plaintext": "eA==", "EncryptionContext": {"k": LONG}}
            assert code(hostile.ask, "Encrypt", **body) == "AccessDeniedException"


def test_as_many_statements_as_fit_and_ten_thousand(region):
    admin = region.caller(HOME, "user/admin")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("*")] * 10_000}, separators=(",", ":"))
    assert code(admin.ask, "CreateKey", Policy=document) == "ValidationException"
    one = len(json.dumps(allow("*"), separators=(",", ":"))) + 1
    document = {"Version": "2012-10-17", "Statement": [allow("*")] * ((POLICY_BYTES_MAX - 50) // one)}
    key = new_key(admin, json.dumps(document, separators=(",", ":")))
    admin.ask("Encrypt", KeyId=key, Plaintext="eA==")


def test_ten_thousand_tags_are_refused_whole(region):
    admin = region.caller(HOME, "user/admin")
    key = new_key(admin)
    tags = [{"TagKey": f"k{number}", "TagValue": "x"} for number in range(10_000)]
    assert code(admin.ask, "TagResource", KeyId=key, Tags=tags) in ["TagException", "ValidationException"]
    assert admin.ask("ListResourceTags", KeyId=key)["Tags"] == []
