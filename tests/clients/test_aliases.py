"""Aliases through boto3, at every node of every region."""

import concurrent.futures
import itertools
import threading

import pytest
from botocore.exceptions import ClientError

from test_keys import REGIONS, refused

REGION = "eu-west-1"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
names = (f"alias/test/{number}" for number in itertools.count())


def new_key(kms, **options):
    return kms.create_key(**options)["KeyMetadata"]["KeyId"]


def alias_arn(name, region=REGION, account="111122223333"):
    return f"arn:aws:kms:{region}:{account}:{name}"


def listed(kms, **options):
    return {
        alias["AliasName"]: alias for page in kms.get_paginator("list_aliases").paginate(**options) for alias in page["Aliases"]
    }


def with_invocation_id(kms, invocation_id):
    """The same client, all of whose requests are tries of one invocation."""

    def set_id(request, **_):
        request.headers["amz-sdk-invocation-id"] = invocation_id

    kms.meta.events.register("before-send.kms.*", set_id)
    return kms


def test_an_alias_names_its_key_wherever_aws_takes_one(deployment):
    kms = deployment.kms(REGION)
    key, other = new_key(kms), new_key(kms)
    name, other_name = next(names), next(names)
    kms.create_alias(AliasName=name, TargetKeyId=key)
    kms.create_alias(AliasName=other_name, TargetKeyId=f"arn:aws:kms:{REGION}:111122223333:key/{other}")
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    for node, reference in itertools.product(range(3), [name, alias_arn(name)]):
        kms = deployment.kms(REGION, node)
        assert kms.describe_key(KeyId=reference)["KeyMetadata"] == metadata
        encrypted = kms.encrypt(KeyId=reference, Plaintext=b"a secret")
        assert encrypted["KeyId"] == metadata["Arn"]
        blob = encrypted["CiphertextBlob"]
        assert kms.decrypt(KeyId=reference, CiphertextBlob=blob)["Plaintext"] == b"a secret"
        refused(lambda: kms.decrypt(KeyId=other_name, CiphertextBlob=blob), "IncorrectKeyException")
        assert kms.generate_data_key(KeyId=reference, KeySpec="AES_256")["KeyId"] == metadata["Arn"]
        assert kms.generate_data_key_without_plaintext(KeyId=reference, KeySpec="AES_256")["KeyId"] == metadata["Arn"]
        moved = kms.re_encrypt(CiphertextBlob=blob, SourceKeyId=reference, DestinationKeyId=other_name)
        assert (moved["SourceKeyId"], moved["KeyId"]) == (metadata["Arn"], f"arn:aws:kms:{REGION}:111122223333:key/{other}")


def test_management_takes_no_alias(deployment):
    kms = deployment.kms(REGION)
    key, name = new_key(kms, MultiRegion=True), next(names)
    kms.create_alias(AliasName=name, TargetKeyId=key)
    calls = [
        lambda key_id: kms.enable_key(KeyId=key_id),
        lambda key_id: kms.disable_key(KeyId=key_id),
        lambda key_id: kms.replicate_key(KeyId=key_id, ReplicaRegion="us-east-1"),
        lambda key_id: kms.tag_resource(KeyId=key_id, Tags=[]),
        lambda key_id: kms.untag_resource(KeyId=key_id, TagKeys=[]),
        lambda key_id: kms.list_resource_tags(KeyId=key_id),
        lambda key_id: kms.update_key_description(KeyId=key_id, Description=""),
        lambda key_id: kms.list_aliases(KeyId=key_id),
    ]
    for call in calls:
        assert refused(lambda: call(name), "NotFoundException") == f"Invalid keyId '{name}'"
        assert refused(lambda: call(alias_arn(name)), "InvalidArnException") == f"Invalid arn {alias_arn(name)}"
    for target in [name, alias_arn(name)]:
        for call in [kms.create_alias, kms.update_alias]:
            message = refused(lambda: call(AliasName=name, TargetKeyId=target), "ValidationException")
            assert message == "Aliases must refer to keys. Not aliases"


def test_created_updated_deleted_and_listed(deployment):
    kms = deployment.kms(REGION)
    first, second, name = new_key(kms), new_key(kms), next(names)
    kms.create_alias(AliasName=name, TargetKeyId=first)
    created = listed(deployment.kms(REGION, 1))[name]
    assert created.keys() == {"AliasName", "AliasArn", "TargetKeyId", "CreationDate", "LastUpdatedDate"}
    assert (created["AliasArn"], created["TargetKeyId"]) == (alias_arn(name), first)
    assert created["CreationDate"] == created["LastUpdatedDate"]
    deployment.kms(REGION, 1).update_alias(AliasName=name, TargetKeyId=second)
    updated = listed(deployment.kms(REGION, 2))[name]
    assert updated["TargetKeyId"] == second
    assert updated["CreationDate"] == created["CreationDate"] < updated["LastUpdatedDate"]
    assert listed(kms, KeyId=first) == {} and set(listed(kms, KeyId=second)) == {name}
    deployment.kms(REGION, 2).delete_alias(AliasName=name)
    assert name not in listed(kms)
    for node in range(3):
        message = refused(lambda: deployment.kms(REGION, node).describe_key(KeyId=name), "NotFoundException")
        assert message == f"Alias {alias_arn(name)} is not found."
    assert kms.describe_key(KeyId=second)["KeyMetadata"]["Enabled"]


def test_errors_of_the_model(deployment):
    """Every error that the model names for these operations but those of a node that knows nothing (a lost quorum)
    and of KMSInvalidStateException: no state of a key forbids them but pending deletion, which there is not yet."""
    kms = deployment.kms(REGION)
    full, other, name = new_key(kms), new_key(kms), next(names)
    aliases = [name] + [next(names) for _ in range(49)]
    for alias in aliases:
        kms.create_alias(AliasName=alias, TargetKeyId=full)
    assert listed(kms, KeyId=full).keys() == set(aliases)

    message = refused(lambda: kms.create_alias(AliasName=name, TargetKeyId=other), "AlreadyExistsException")
    assert message == f"An alias with the name {alias_arn(name)} already exists"
    quota = "Aliases per key quota for this account in this region is 50, current usage is 50."
    more = next(names)
    assert refused(lambda: kms.create_alias(AliasName=more, TargetKeyId=full), "LimitExceededException") == quota
    kms.create_alias(AliasName=more, TargetKeyId=other)
    assert refused(lambda: kms.update_alias(AliasName=more, TargetKeyId=full), "LimitExceededException") == quota
    kms.update_alias(AliasName=name, TargetKeyId=full)

    no_key = f"Key 'arn:aws:kms:{REGION}:111122223333:key/{UNKNOWN}' does not exist"
    assert refused(lambda: kms.create_alias(AliasName=next(names), TargetKeyId=UNKNOWN), "NotFoundException") == no_key
    assert refused(lambda: kms.update_alias(AliasName=name, TargetKeyId=UNKNOWN), "NotFoundException") == no_key
    assert refused(lambda: kms.list_aliases(KeyId=UNKNOWN), "NotFoundException") == no_key
    absent = next(names)
    for call in [lambda: kms.update_alias(AliasName=absent, TargetKeyId=full), lambda: kms.delete_alias(AliasName=absent)]:
        assert refused(call, "NotFoundException") == f"Alias {alias_arn(absent)} is not found."

    refused(lambda: kms.create_alias(AliasName="alias/aws/s3", TargetKeyId=full), "InvalidAliasNameException")
    for bad, text in [("name", 'Alias must start with the prefix "alias/"'), ("alias/a:b", "alias/a:b contains invalid characters for an alias")]:
        assert refused(lambda: kms.create_alias(AliasName=bad, TargetKeyId=full), "ValidationException").startswith(text)
    message = refused(lambda: kms.create_alias(AliasName="alias/a b", TargetKeyId=full), "ValidationException")
    assert message.endswith("at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$")
    refused(lambda: kms.list_aliases(KeyId="arn:aws:kms:nowhere"), "InvalidArnException")
    refused(lambda: kms.list_aliases(Marker="forged"), "InvalidMarkerException")
    refused(lambda: kms.list_aliases(Limit=1001), "ValidationException")


def test_another_account_has_aliases_of_its_own(deployment):
    own, other = deployment.kms(REGION), deployment.kms(REGION, identity="other-root")
    name = next(names)
    key, hers = own.create_key()["KeyMetadata"], other.create_key()["KeyMetadata"]
    own.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
    other.create_alias(AliasName=name, TargetKeyId=hers["KeyId"])
    assert own.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key["Arn"]
    assert other.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == hers["Arn"]
    assert {alias["TargetKeyId"] for alias in listed(other).values()} == {hers["KeyId"]}
    for call in [
        lambda: other.describe_key(KeyId=alias_arn(name)),
        lambda: other.encrypt(KeyId=alias_arn(name), Plaintext=b"x"),
        lambda: other.describe_key(KeyId=alias_arn("alias/does/not/exist")),
        lambda: other.create_alias(AliasName=next(names), TargetKeyId=key["Arn"]),
        lambda: other.update_alias(AliasName=name, TargetKeyId=key["Arn"]),
        lambda: other.list_aliases(KeyId=key["Arn"]),
    ]:
        refused(call, "AccessDeniedException")
    other.delete_alias(AliasName=name)
    assert own.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key["Arn"]


def test_pages_and_their_markers(deployment):
    clients = [deployment.kms("ap-south-1", node, identity="root") for node in range(3)]
    kms = clients[0]
    keys = [new_key(kms) for _ in range(3)]
    made = {next(names): keys[number % 3] for number in range(60)}
    for name, key in made.items():
        kms.create_alias(AliasName=name, TargetKeyId=key)
    pages = list(kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 7}))
    assert all(len(page["Aliases"]) <= 7 for page in pages)
    assert [page["Truncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    found = [alias["AliasName"] for page in pages for alias in page["Aliases"]]
    assert found == sorted(set(found)) and made.keys() <= set(found)
    first = kms.list_aliases()
    assert len(first["Aliases"]) == 50 and first["Truncated"]
    assert set(listed(kms, KeyId=keys[1])) == {name for name, key in made.items() if key == keys[1]}

    # A page goes on at any node, for the account, the key and the operation that it was made for.
    of_key = kms.list_aliases(KeyId=keys[0], Limit=3)
    rest = set()
    for client in clients:
        page = client.list_aliases(KeyId=keys[0], Marker=of_key["NextMarker"])
        rest |= {alias["AliasName"] for alias in page["Aliases"]}
        assert len(page["Aliases"]) == 17
    assert len(rest | {alias["AliasName"] for alias in of_key["Aliases"]}) == 20
    marker = of_key["NextMarker"]
    tampered = marker[:-1] + ("A" if marker[-1] != "A" else "B")
    other = deployment.kms("ap-south-1", identity="other-root")
    for call in [
        lambda: kms.list_aliases(KeyId=keys[0], Marker=tampered),
        lambda: kms.list_aliases(KeyId=keys[0], Marker="A" + marker),
        lambda: kms.list_aliases(KeyId=keys[1], Marker=marker),
        lambda: kms.list_aliases(Marker=marker),
        lambda: kms.list_keys(Marker=marker),
        lambda: kms.list_resource_tags(KeyId=keys[0], Marker=marker),
        lambda: kms.list_aliases(KeyId=keys[0], Marker=kms.list_keys(Limit=1)["NextMarker"]),
        lambda: other.list_aliases(Marker=first["NextMarker"]),
        lambda: deployment.kms(REGION, identity="root").list_aliases(Marker=first["NextMarker"]),
    ]:
        refused(call, "InvalidMarkerException")


def test_a_moved_alias_is_followed_by_every_node_at_once(deployment):
    """Once UpdateAlias has answered, no node of the region follows the alias to the old key."""
    region = "us-east-1"
    clients = [deployment.kms(region, node) for node in range(3)]
    keys, name = [new_key(clients[0]) for _ in range(2)], next(names)
    clients[0].create_alias(AliasName=name, TargetKeyId=keys[0])
    pool = concurrent.futures.ThreadPoolExecutor(3)

    def used(client):
        return client.generate_data_key_without_plaintext(KeyId=name, NumberOfBytes=16)["KeyId"].rpartition("/")[2]

    for round_number in range(300):
        key = keys[(round_number + 1) % 2]
        clients[round_number % 3].update_alias(AliasName=name, TargetKeyId=key)
        assert list(pool.map(used, clients)) == [key] * 3, f"a node followed the alias to its old key in round {round_number}"
    pool.shutdown()


def test_a_key_is_replaced_behind_its_alias_and_nobody_notices(deployment):
    """Move the alias, then disable the old key: whoever uses the alias meanwhile sees no error."""
    clients = [deployment.kms(REGION, node, attempts=1) for node in range(3)]
    name, key = next(names), new_key(clients[0])
    clients[0].create_alias(AliasName=name, TargetKeyId=key)
    done = threading.Event()

    def use(client):
        count = 0
        while not done.is_set():
            client.encrypt(KeyId=name, Plaintext=b"x")
            count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        users = [pool.submit(use, client) for client in clients * 2]
        try:
            for turn in range(60):
                kms = clients[turn % 3]
                replacement = new_key(kms)
                kms.update_alias(AliasName=name, TargetKeyId=replacement)
                kms.disable_key(KeyId=key)
                key = replacement
        finally:
            done.set()
        assert all(user.result() > 60 for user in users)


def test_a_retry_with_the_same_invocation_id_happens_once(deployment):
    plain = deployment.kms(REGION)
    first, second, name = new_key(plain), new_key(plain), next(names)

    def twice(invocation_id, call, between=lambda: None):
        """One invocation, tried at two nodes."""
        call(with_invocation_id(deployment.kms(REGION, 1), invocation_id))
        between()
        call(with_invocation_id(deployment.kms(REGION, 2), invocation_id))

    twice(f"create-{name}", lambda kms: kms.create_alias(AliasName=name, TargetKeyId=first))
    twice(
        f"update-{name}",
        lambda kms: kms.update_alias(AliasName=name, TargetKeyId=second),
        lambda: plain.update_alias(AliasName=name, TargetKeyId=first),
    )
    assert listed(plain)[name]["TargetKeyId"] == first, "the retry did not undo what came later"
    twice(
        f"delete-{name}",
        lambda kms: kms.delete_alias(AliasName=name),
        lambda: plain.create_alias(AliasName=name, TargetKeyId=second),
    )
    assert listed(plain)[name]["TargetKeyId"] == second
    # The same id for another request is refused.
    kms = with_invocation_id(deployment.kms(REGION), f"update-{name}")
    refused(lambda: kms.update_alias(AliasName=name, TargetKeyId=first), "ValidationException")


def test_an_alias_is_its_regions_own(deployment):
    key_id, name = deployment.create_everywhere(), next(names)
    own = {region: new_key(deployment.kms(region)) for region in REGIONS}
    deployment.kms(REGIONS[0]).create_alias(AliasName=name, TargetKeyId=key_id)
    for region in REGIONS[1:]:
        refused(lambda: deployment.kms(region).describe_key(KeyId=name), "NotFoundException")
        assert listed(deployment.kms(region), KeyId=key_id) == {}
    for region in REGIONS[1:]:
        deployment.kms(region).create_alias(AliasName=name, TargetKeyId=key_id)
    # The same name and key everywhere: what one region encrypts under it, the others open under it.
    blob = deployment.kms(REGIONS[0]).encrypt(KeyId=name, Plaintext=b"x")["CiphertextBlob"]
    for region in REGIONS:
        assert deployment.kms(region).decrypt(KeyId=name, CiphertextBlob=blob)["Plaintext"] == b"x"
    deployment.kms(REGIONS[1]).update_alias(AliasName=name, TargetKeyId=own[REGIONS[1]])
    deployment.kms(REGIONS[2]).delete_alias(AliasName=name)
    assert deployment.kms(REGIONS[0]).describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key_id
    assert deployment.kms(REGIONS[1]).describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == own[REGIONS[1]]
    refused(lambda: deployment.kms(REGIONS[2]).describe_key(KeyId=name), "NotFoundException")
    # An alias ARN is of its region.
    refused(lambda: deployment.kms(REGIONS[1]).describe_key(KeyId=alias_arn(name, REGIONS[0])), "NotFoundException")


def test_of_two_hundred_that_want_one_name_one_gets_it(deployment):
    region = "us-east-1"
    clients = [deployment.kms(region, node) for node in range(3)]
    keys = [new_key(clients[0]) for _ in range(10)]
    name = next(names)
    together = threading.Barrier(20)

    def create(number):
        if number < 20:
            together.wait(60)
        try:
            clients[number % 3].create_alias(AliasName=name, TargetKeyId=keys[number % 10])
        except ClientError as error:
            return error.response["Error"]["Code"]
        return keys[number % 10]

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(200)))
    (winner,) = [answer for answer in answers if answer != "AlreadyExistsException"]
    for client in clients:
        assert listed(client)[name]["TargetKeyId"] == winner


@pytest.mark.parametrize("name", ["alias/" + "a" * 250, "alias/a/b/c", "alias/_-"])
def test_unusual_names(deployment, name):
    kms = deployment.kms(REGION)
    key = new_key(kms)
    kms.create_alias(AliasName=name, TargetKeyId=key)
    assert kms.describe_key(KeyId=alias_arn(name))["KeyMetadata"]["KeyId"] == key
    kms.delete_alias(AliasName=name)
