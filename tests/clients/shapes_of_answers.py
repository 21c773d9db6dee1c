"""Every answer against AWS's own model: its members, their types, and the constraints of their values."""

import base64
import json


def checked(client):
    """The same client, which from now on refuses answers that have what the operation's output shape has not."""
    client.meta.events.register("before-parse.kms", check)
    return client


def check(operation_model, response_dict, **_):
    body, shape = response_dict["body"], operation_model.output_shape
    if response_dict["status_code"] != 200:
        return
    if shape is None:
        assert body == b"", f"{operation_model.name} answers {body[:100]}"
    else:
        matches(shape, json.loads(body), operation_model.name)


def matches(shape, value, path):
    kind = shape.type_name
    if kind == "structure":
        assert isinstance(value, dict), path
        for name, member in value.items():
            assert name in shape.members, f"{path} has no member {name}"
            assert member is not None, f"{path}.{name} is null"
            matches(shape.members[name], member, f"{path}.{name}")
    elif kind == "list":
        assert isinstance(value, list), path
        for item in value:
            matches(shape.member, item, f"{path}[]")
    elif kind == "map":
        assert isinstance(value, dict), path
    elif kind == "string":
        assert isinstance(value, str), path
        assert not shape.enum or value in shape.enum, f"{path}: {value}"
        in_range(shape, len(value), path)
    elif kind == "blob":
        in_range(shape, len(base64.b64decode(value, validate=True)), path)
    elif kind == "boolean":
        assert isinstance(value, bool), path
    elif kind == "integer":
        assert isinstance(value, int) and not isinstance(value, bool), path
        in_range(shape, value, path)
    elif kind == "timestamp":
        assert isinstance(value, (int, float)), path
    else:
        raise AssertionError(f"{path} is of unknown type {kind}")


def in_range(shape, number, path):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    assert least is None or number >= least, f"{path}: {number} is less than {least}"
    assert most is None or number <= most, f"{path}: {number} is more than {most}"
