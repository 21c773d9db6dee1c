"""Tags and descriptions of keys through boto3."""

import concurrent.futures

from test_aliases import UNKNOWN, new_key, with_invocation_id
from test_keys import REGIONS, refused

REGION = "us-east-1"


def tag_list(tags):
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def tags_of(kms, key_id):
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=key_id)
    return {tag["TagKey"]: tag["TagValue"] for page in pages for tag in page["Tags"]}


def test_tags_are_added_replaced_and_taken_away_at_every_node(deployment):
    clients = [deployment.kms(REGION, node) for node in range(3)]
    key_id = new_key(clients[0], Tags=tag_list({"team": "shop", "empty": ""}))
    arn = clients[0].describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    expected = {"team": "shop", "empty": ""}
    for turn in range(30):
        change = {"team": f"team {turn}", f"Kéy {turn % 5}": "✓" * turn}
        clients[turn % 3].tag_resource(KeyId=arn, Tags=tag_list(change))
        expected |= change
        gone = f"Kéy {(turn + 2) % 5}"
        clients[(turn + 1) % 3].untag_resource(KeyId=key_id, TagKeys=[gone, "never there"])
        expected.pop(gone, None)
        for client in clients:
            assert tags_of(client, key_id) == expected, f"turn {turn}"


def test_descriptions(deployment):
    clients = [deployment.kms(REGION, node) for node in range(3)]
    key_id = new_key(clients[0], Description="old")
    for turn, description in enumerate(["new", "", "ü" * 8192]):
        clients[turn].update_key_description(KeyId=key_id, Description=description)
        for client in clients:
            assert client.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == description
    message = refused(lambda: clients[0].update_key_description(KeyId=key_id, Description="x" * 8193), "ValidationException")
    assert message.endswith("at 'description' failed to satisfy constraint: Member must have length less than or equal to 8192")


def test_errors_of_the_model(deployment):
    """Every error that the model names for these operations but those of a node that knows nothing and of
    KMSInvalidStateException: no state of a key forbids them but pending deletion, which there is not yet."""
    kms = deployment.kms(REGION)
    key_id = new_key(kms)
    arn = kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    calls = [
        lambda key: kms.tag_resource(KeyId=key, Tags=[]),
        lambda key: kms.untag_resource(KeyId=key, TagKeys=[]),
        lambda key: kms.list_resource_tags(KeyId=key),
        lambda key: kms.update_key_description(KeyId=key, Description=""),
    ]
    for call in calls:
        message = refused(lambda: call(UNKNOWN), "NotFoundException")
        assert message == f"Key 'arn:aws:kms:{REGION}:111122223333:key/{UNKNOWN}' does not exist"
        refused(lambda: call("arn:aws:kms:nowhere"), "InvalidArnException")
        refused(lambda: call(arn.replace(REGION, "eu-west-1")), "NotFoundException")
        refused(lambda: call(arn.replace("111122223333", "444455556666")), "AccessDeniedException")
        call(arn)

    fifty = {f"key {number}": "" for number in range(50)}
    kms.tag_resource(KeyId=key_id, Tags=tag_list(fifty))
    refused(lambda: kms.tag_resource(KeyId=key_id, Tags=tag_list({"one more": ""})), "LimitExceededException")
    kms.tag_resource(KeyId=key_id, Tags=tag_list(fifty | {"key 7": "new"}))
    for tags, text in [
        (tag_list(fifty | {"one more": ""}), "Too many tags"),
        (tag_list({"a": "1"}) * 2, "Duplicate tag keys"),
        (tag_list({"AWS:reserved": "1"}), "Tags beginning with aws: are reserved"),
    ]:
        assert refused(lambda: kms.tag_resource(KeyId=key_id, Tags=tags), "TagException") == text
    assert refused(lambda: kms.untag_resource(KeyId=key_id, TagKeys=["aws:x"]), "TagException") == "Tags beginning with aws: are reserved"
    assert refused(lambda: kms.untag_resource(KeyId=key_id, TagKeys=["k"] * 51), "TagException") == "Too many tags"
    assert tags_of(kms, key_id) == fifty | {"key 7": "new"}
    message = refused(lambda: kms.tag_resource(KeyId=key_id, Tags=tag_list({"k" * 129: ""})), "ValidationException")
    assert "at 'tags.1.member.tagKey'" in message


def test_pages_and_their_markers(deployment):
    clients = [deployment.kms(REGION, node) for node in range(3)]
    kms = clients[0]
    tags = {f"{number:02}" + "€" * 126: str(number) for number in range(50)}
    key_id, other = new_key(kms, Tags=tag_list(tags)), new_key(kms, Tags=tag_list(tags))
    pages = list(kms.get_paginator("list_resource_tags").paginate(KeyId=key_id, PaginationConfig={"PageSize": 8}))
    assert [len(page["Tags"]) for page in pages] == [8] * 6 + [2]
    assert [page["Truncated"] for page in pages] == [True] * 6 + [False]
    assert [tag for page in pages for tag in page["Tags"]] == tag_list(tags)
    whole = kms.list_resource_tags(KeyId=key_id)
    assert len(whole["Tags"]) == 50 and not whole["Truncated"] and "NextMarker" not in whole

    marker = pages[0]["NextMarker"]
    assert len(marker) <= 1024
    for client in clients:
        assert client.list_resource_tags(KeyId=key_id, Limit=8, Marker=marker)["Tags"] == pages[1]["Tags"]
    tampered = ("A" if marker[0] != "A" else "B") + marker[1:]
    for call in [
        lambda: kms.list_resource_tags(KeyId=key_id, Marker=tampered),
        lambda: kms.list_resource_tags(KeyId=other, Marker=marker),
        lambda: kms.list_aliases(KeyId=key_id, Marker=marker),
        lambda: kms.list_keys(Marker=marker),
        lambda: kms.list_resource_tags(KeyId=key_id, Marker=kms.list_keys(Limit=1)["NextMarker"]),
    ]:
        refused(call, "InvalidMarkerException")
    refused(lambda: deployment.kms(REGION, identity="carol").list_resource_tags(KeyId=key_id, Marker=marker), "NotFoundException")


def test_concurrent_changes_are_all_there(deployment):
    clients = [deployment.kms(REGION, node) for node in range(3)]
    key_id = new_key(clients[0])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        tag = lambda number: clients[number % 3].tag_resource(KeyId=key_id, Tags=tag_list({f"key {number}": str(number)}))
        list(pool.map(tag, range(50)))
    for client in clients:
        assert tags_of(client, key_id) == {f"key {number}": str(number) for number in range(50)}


def test_a_retry_with_the_same_invocation_id_happens_once(deployment):
    plain = deployment.kms(REGION)
    key_id = new_key(plain)

    def retried(invocation_id, call, between):
        """One invocation, tried at two nodes, with something else between."""
        invocation_id = f"{invocation_id}-{key_id}"
        call(with_invocation_id(deployment.kms(REGION, 1), invocation_id))
        between()
        call(with_invocation_id(deployment.kms(REGION, 2), invocation_id))

    add, remove = tag_list({"a": "1"}), ["a"]
    retried("tag", lambda kms: kms.tag_resource(KeyId=key_id, Tags=add), lambda: plain.untag_resource(KeyId=key_id, TagKeys=remove))
    assert tags_of(plain, key_id) == {}
    retried("untag", lambda kms: kms.untag_resource(KeyId=key_id, TagKeys=remove), lambda: plain.tag_resource(KeyId=key_id, Tags=add))
    assert tags_of(plain, key_id) == {"a": "1"}
    retried(
        "describe",
        lambda kms: kms.update_key_description(KeyId=key_id, Description="old"),
        lambda: plain.update_key_description(KeyId=key_id, Description="new"),
    )
    assert plain.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == "new"


def test_tags_and_description_are_their_regions_own(deployment):
    key_id = deployment.create_everywhere(Description="first", Tags=tag_list({"where": "first"}))
    for region in REGIONS[1:]:
        kms = deployment.kms(region)
        assert tags_of(kms, key_id) == {} and kms.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == ""
    for region in REGIONS:
        deployment.kms(region).tag_resource(KeyId=key_id, Tags=tag_list({"where": region}))
        deployment.kms(region).update_key_description(KeyId=key_id, Description=region)
    for region in REGIONS:
        kms = deployment.kms(region)
        assert tags_of(kms, key_id) == {"where": region}
        assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == region
