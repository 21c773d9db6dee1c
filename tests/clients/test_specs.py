"""Keys of every spec and usage, checked by Python's cryptography: signatures, MACs, shared secrets, ciphertexts, and imports of keys made there."""

import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from test_keys import refused

REGION = "eu-west-1"
MESSAGE = b"a message that is longer than any digest, so that one cannot be taken for the other" * 3
RSA = ["RSA_2048", "RSA_3072", "RSA_4096"]
CURVES = {
    "ECC_NIST_P256": (ec.SECP256R1, "ECDSA_SHA_256", hashes.SHA256),
    "ECC_NIST_P384": (ec.SECP384R1, "ECDSA_SHA_384", hashes.SHA384),
    "ECC_NIST_P521": (ec.SECP521R1, "ECDSA_SHA_512", hashes.SHA512),
    "ECC_SECG_P256K1": (ec.SECP256K1, "ECDSA_SHA_256", hashes.SHA256),
}
HASHES = {"SHA_256": hashes.SHA256, "SHA_384": hashes.SHA384, "SHA_512": hashes.SHA512}
MACS = {"HMAC_224": ("sha224", 28), "HMAC_256": ("sha256", 32), "HMAC_384": ("sha384", 48), "HMAC_512": ("sha512", 64)}


@pytest.fixture(scope="module")
def kms(deployment):
    return deployment.kms(REGION)


@pytest.fixture(scope="module")
def elsewhere(deployment):
    """Another node of the region."""
    return deployment.kms(REGION, 1)


def created(kms, spec, usage, **more):
    return kms.create_key(KeySpec=spec, KeyUsage=usage, **more)["KeyMetadata"]


def public_key(kms, key_id):
    return serialization.load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"])


def digest_of(algorithm, message):
    hashed = hashes.Hash(algorithm())
    hashed.update(message)
    return hashed.finalize()


def signed(kms, key_id, algorithm, message=MESSAGE, message_type="RAW"):
    return kms.sign(KeyId=key_id, Message=message, MessageType=message_type, SigningAlgorithm=algorithm)["Signature"]


def check_verify(kms, key_id, algorithm, signature, message=MESSAGE, message_type="RAW"):
    named = {"KeyId": key_id, "SigningAlgorithm": algorithm, "MessageType": message_type}
    answer = kms.verify(Message=message, Signature=signature, **named)
    assert answer["SignatureValid"] is True and answer["KeyId"].endswith(key_id)
    other = bytes([message[0] ^ 1]) + message[1:]
    assert refused(lambda: kms.verify(Message=other, Signature=signature, **named), "KMSInvalidSignatureException") == ""
    refused(lambda: kms.verify(Message=message, Signature=signature[:-1] + bytes([signature[-1] ^ 1]), **named), "KMSInvalidSignatureException")


def rsa_padding(algorithm):
    chosen = HASHES[algorithm[-7:]]()
    if "PSS" in algorithm:
        return padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH), chosen
    return padding.PKCS1v15(), chosen


@pytest.mark.parametrize("spec", RSA)
def test_rsa_signs_with_every_algorithm(kms, elsewhere, spec):
    metadata = created(kms, spec, "SIGN_VERIFY")
    assert "EncryptionAlgorithms" not in metadata and "CurrentKeyMaterialId" not in metadata
    assert metadata["CustomerMasterKeySpec"] == spec and len(metadata["SigningAlgorithms"]) == 6
    key_id = metadata["KeyId"]
    public = public_key(elsewhere, key_id)
    assert public.key_size == int(spec[-4:])
    for algorithm in metadata["SigningAlgorithms"]:
        scheme, chosen = rsa_padding(algorithm)
        for message, kind in [(MESSAGE, "RAW"), (digest_of(type(chosen), MESSAGE), "DIGEST")]:
            signature = signed(kms, key_id, algorithm, message, kind)
            public.verify(signature, MESSAGE, scheme, chosen)
            check_verify(elsewhere, key_id, algorithm, signature, message, kind)
    wrong = refused(lambda: signed(kms, key_id, "RSASSA_PSS_SHA_256", b"short", "DIGEST"), "ValidationException")
    assert wrong == "Digest is invalid length for algorithm RSASSA_PSS_SHA_256."
    refused(lambda: signed(kms, key_id, "ECDSA_SHA_256"), "InvalidKeyUsageException")
    message = refused(lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256"), "InvalidKeyUsageException")
    assert message == f"{metadata['Arn']} key usage is SIGN_VERIFY which is not valid for Encrypt."


@pytest.mark.parametrize("spec", CURVES)
def test_curves_sign(kms, elsewhere, spec):
    curve, algorithm, chosen = CURVES[spec]
    key_id = created(kms, spec, "SIGN_VERIFY")["KeyId"]
    public = public_key(elsewhere, key_id)
    assert public.curve.name == curve.name
    for message, kind in [(MESSAGE, "RAW"), (digest_of(chosen, MESSAGE), "DIGEST")]:
        signature = signed(kms, key_id, algorithm, message, kind)
        public.verify(signature, MESSAGE, ec.ECDSA(chosen()))
        check_verify(elsewhere, key_id, algorithm, signature, message, kind)


def test_edwards25519_signs_messages_and_digests_apart(kms, elsewhere):
    metadata = created(kms, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    assert "CustomerMasterKeySpec" not in metadata
    key_id = metadata["KeyId"]
    signature = signed(kms, key_id, "ED25519_SHA_512")
    public_key(elsewhere, key_id).verify(signature, MESSAGE)
    check_verify(elsewhere, key_id, "ED25519_SHA_512", signature)
    digest = hashlib.sha512(MESSAGE).digest()
    prehashed = signed(kms, key_id, "ED25519_PH_SHA_512", digest, "DIGEST")
    check_verify(elsewhere, key_id, "ED25519_PH_SHA_512", prehashed, digest, "DIGEST")
    refused(lambda: signed(kms, key_id, "ED25519_SHA_512", digest, "DIGEST"), "ValidationException")
    refused(lambda: signed(kms, key_id, "ED25519_PH_SHA_512", MESSAGE), "ValidationException")
    mixed = {"KeyId": key_id, "Message": digest, "Signature": prehashed}
    refused(lambda: kms.verify(SigningAlgorithm="ED25519_SHA_512", **mixed), "KMSInvalidSignatureException")


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
def test_ml_dsa_signs_messages_and_their_representatives(kms, elsewhere, spec):
    key_id = created(kms, spec, "SIGN_VERIFY")["KeyId"]
    signature = signed(kms, key_id, "ML_DSA_SHAKE_256")
    check_verify(elsewhere, key_id, "ML_DSA_SHAKE_256", signature)
    # mu = SHAKE256(SHAKE256(public key, 64) || 0 || 0 || message, 64), FIPS 204 section 6.2 with an empty context.
    raw = elsewhere.get_public_key(KeyId=key_id)["PublicKey"]
    length = {"ML_DSA_44": 1312, "ML_DSA_65": 1952, "ML_DSA_87": 2592}[spec]
    tr = hashlib.shake_256(raw[-length:]).digest(64)
    mu = hashlib.shake_256(tr + b"\0\0" + MESSAGE).digest(64)
    check_verify(elsewhere, key_id, "ML_DSA_SHAKE_256", signature, mu, "EXTERNAL_MU")
    check_verify(elsewhere, key_id, "ML_DSA_SHAKE_256", signed(kms, key_id, "ML_DSA_SHAKE_256", mu, "EXTERNAL_MU"))
    refused(lambda: signed(kms, key_id, "ML_DSA_SHAKE_256", mu[:63], "EXTERNAL_MU"), "ValidationException")


@pytest.mark.parametrize("spec", MACS)
def test_macs(kms, elsewhere, spec):
    metadata = created(kms, spec, "GENERATE_VERIFY_MAC")
    [algorithm] = metadata["MacAlgorithms"]
    key_id = metadata["KeyId"]
    mac = kms.generate_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=algorithm)["Mac"]
    assert len(mac) == MACS[spec][1]
    assert elsewhere.verify_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=algorithm, Mac=mac)["MacValid"] is True
    for bad in [mac[:-1], mac[:-1] + bytes([mac[-1] ^ 1])]:
        refused(lambda: kms.verify_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=algorithm, Mac=bad), "KMSInvalidMacException")
    other = next(name for name in ["HMAC_SHA_256", "HMAC_SHA_512"] if name != algorithm)
    message = refused(lambda: kms.generate_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=other), "InvalidKeyUsageException")
    assert message == f"Algorithm {other} is incompatible with key spec {spec}."


@pytest.mark.parametrize("spec", RSA)
def test_rsa_encrypts(kms, elsewhere, spec):
    metadata = created(kms, spec, "ENCRYPT_DECRYPT")
    key_id, bits = metadata["KeyId"], int(spec[-4:])
    public = public_key(kms, key_id)
    for algorithm, chosen in [("RSAES_OAEP_SHA_1", hashes.SHA1), ("RSAES_OAEP_SHA_256", hashes.SHA256)]:
        most = bits // 8 - 2 * chosen.digest_size - 2
        plaintext = os.urandom(most)
        blob = kms.encrypt(KeyId=key_id, Plaintext=plaintext, EncryptionAlgorithm=algorithm)["CiphertextBlob"]
        theirs = public.encrypt(plaintext, padding.OAEP(padding.MGF1(chosen()), chosen(), None))
        for ciphertext in [blob, theirs]:
            opened = elsewhere.decrypt(KeyId=key_id, CiphertextBlob=ciphertext, EncryptionAlgorithm=algorithm)
            assert opened["Plaintext"] == plaintext and "KeyMaterialId" not in opened
        message = refused(lambda: kms.encrypt(KeyId=key_id, Plaintext=bytes(most + 1), EncryptionAlgorithm=algorithm), "ValidationException")
        assert message == f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."
        damaged = bytes([blob[0] ^ 1]) + blob[1:]
        refused(lambda: kms.decrypt(KeyId=key_id, CiphertextBlob=damaged, EncryptionAlgorithm=algorithm), "InvalidCiphertextException")
    refused(lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x"), "InvalidKeyUsageException")
    refused(
        lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_1", EncryptionContext={"a": "b"}),
        "ValidationException",
    )
    symmetric = kms.create_key()["KeyMetadata"]["KeyId"]
    moved = kms.re_encrypt(
        CiphertextBlob=kms.encrypt(KeyId=key_id, Plaintext=b"moved", EncryptionAlgorithm="RSAES_OAEP_SHA_256")["CiphertextBlob"],
        SourceKeyId=key_id, SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256", DestinationKeyId=symmetric,
    )
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"moved"
    assert "SourceKeyMaterialId" not in moved and len(moved["DestinationKeyMaterialId"]) == 64


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_shared_secrets(kms, elsewhere, spec):
    curve = CURVES[spec][0]
    metadata = created(kms, spec, "KEY_AGREEMENT")
    assert metadata["KeyAgreementAlgorithms"] == ["ECDH"]
    peer = ec.generate_private_key(curve())
    spki = peer.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ask = {"KeyId": metadata["KeyId"], "KeyAgreementAlgorithm": "ECDH"}
    derived = elsewhere.derive_shared_secret(PublicKey=spki, **ask)
    assert derived["SharedSecret"] == peer.exchange(ec.ECDH(), public_key(kms, metadata["KeyId"]))
    assert derived["KeyOrigin"] == "AWS_KMS"
    other = ec.generate_private_key(ec.SECP256K1()).public_key()
    stranger = other.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for bad in [stranger, spki[:-1], b"x"]:
        refused(lambda: kms.derive_shared_secret(PublicKey=bad, **ask), "ValidationException")
    refused(lambda: signed(kms, metadata["KeyId"], CURVES[spec][1]), "InvalidKeyUsageException")


@pytest.mark.parametrize("spec", [*RSA, *CURVES, "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs(kms, spec):
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    context = {"for": spec}
    pair = kms.generate_data_key_pair(KeyId=key_id, KeyPairSpec=spec, EncryptionContext=context)
    private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], None)
    spki = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert spki == pair["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == pair["PrivateKeyPlaintext"] and opened["KeyMaterialId"] == pair["KeyMaterialId"]
    without = kms.generate_data_key_pair_without_plaintext(KeyId=key_id, KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in without
    serialization.load_der_private_key(kms.decrypt(CiphertextBlob=without["PrivateKeyCiphertextBlob"])["Plaintext"], None)


def pkcs8(private):
    return private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def wrapped(parameters, algorithm, material):
    wrapping = serialization.load_der_public_key(parameters["PublicKey"])
    chosen = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(chosen), chosen, None)
    if algorithm.startswith("RSAES"):
        return wrapping.encrypt(material, oaep)
    key = os.urandom(32)
    return wrapping.encrypt(key, oaep) + aes_key_wrap_with_padding(key, material)


def imported(kms, key_id, material, algorithm="RSA_AES_KEY_WRAP_SHA_256", spec="RSA_2048", **more):
    parameters = kms.get_parameters_for_import(KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    more = more or {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return kms.import_key_material(
        KeyId=key_id, ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrapped(parameters, algorithm, material), **more
    )


IMPORTS = {
    "SYMMETRIC_DEFAULT": ("ENCRYPT_DECRYPT", lambda: os.urandom(32)),
    **{spec: ("GENERATE_VERIFY_MAC", lambda length=length: os.urandom(length)) for spec, (_, length) in MACS.items()},
    **{spec: ("SIGN_VERIFY", lambda spec=spec: pkcs8(rsa.generate_private_key(65537, int(spec[-4:])))) for spec in RSA},
    **{spec: ("SIGN_VERIFY", lambda curve=curve: pkcs8(ec.generate_private_key(curve()))) for spec, (curve, _, _) in CURVES.items()},
    "ECC_NIST_EDWARDS25519": ("SIGN_VERIFY", lambda: pkcs8(ed25519.Ed25519PrivateKey.generate())),
}


@pytest.mark.parametrize("spec", IMPORTS)
def test_keys_made_elsewhere_are_imported_in_every_wrapping_and_used(kms, elsewhere, spec):
    usage, make = IMPORTS[spec]
    algorithms = ["RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
    if spec not in RSA:
        algorithms += ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
    material = make()
    metadata = created(kms, spec, usage, Origin="EXTERNAL")
    key_id = metadata["KeyId"]
    assert metadata["KeyState"] == "PendingImport" and "ExpirationModel" not in metadata and "CurrentKeyMaterialId" not in metadata
    ids = set()
    for number, algorithm in enumerate(algorithms):
        wrapping_spec = RSA[number % 3] if spec != "ECC_NIST_P521" else "RSA_4096"
        ids.add(imported(kms, key_id, material, algorithm, wrapping_spec)["KeyMaterialId"])
    assert len(ids) == 1, "the same material has the same id, however it came"
    described = elsewhere.describe_key(KeyId=key_id)["KeyMetadata"]
    assert described["KeyState"] == "Enabled" and described["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    refused(lambda: imported(kms, key_id, make()), "IncorrectKeyMaterialException")
    if usage == "GENERATE_VERIFY_MAC":
        name = MACS[spec][0]
        algorithm = f"HMAC_SHA_{spec[-3:]}"
        assert kms.generate_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=algorithm)["Mac"] == hmac.new(material, MESSAGE, name).digest()
    elif usage == "SIGN_VERIFY":
        public = serialization.load_der_private_key(material, None).public_key()
        spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert elsewhere.get_public_key(KeyId=key_id)["PublicKey"] == spki
        algorithm = described["SigningAlgorithms"][0]
        check_verify(elsewhere, key_id, algorithm, signed(kms, key_id, algorithm))
    else:
        blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
        assert elsewhere.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        assert described["CurrentKeyMaterialId"] in ids


def test_what_is_no_import(kms):
    key_id = created(kms, "ECC_NIST_P256", "SIGN_VERIFY", Origin="EXTERNAL")["KeyId"]
    other = created(kms, "ECC_NIST_P256", "SIGN_VERIFY", Origin="EXTERNAL")["KeyId"]
    algorithm = "RSA_AES_KEY_WRAP_SHA_256"
    parameters = kms.get_parameters_for_import(KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    good = wrapped(parameters, algorithm, pkcs8(ec.generate_private_key(ec.SECP256R1())))

    def bring(key=key_id, token=parameters["ImportToken"], material=good):
        return kms.import_key_material(
            KeyId=key, ImportToken=token, EncryptedKeyMaterial=material, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE"
        )

    refused(lambda: bring(key=other), "InvalidImportTokenException")
    refused(lambda: bring(token=b"x" * 100), "InvalidImportTokenException")
    refused(lambda: bring(material=good[:-8]), "InvalidCiphertextException")
    for wrong in [pkcs8(ec.generate_private_key(ec.SECP384R1())), pkcs8(ed25519.Ed25519PrivateKey.generate()), b"x" * 64]:
        refused(lambda: bring(material=wrapped(parameters, algorithm, wrong)), "IncorrectKeyMaterialException")
    generated = kms.create_key()["KeyMetadata"]
    ask = {"WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048"}
    message = refused(lambda: kms.get_parameters_for_import(KeyId=generated["KeyId"], **ask), "UnsupportedOperationException")
    assert message == f"{generated['Arn']} origin is AWS_KMS which is not valid for this operation."
    bring()
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Enabled"


def test_a_replica_of_an_asymmetric_key_signs_for_it(deployment, kms):
    metadata = created(kms, "ECC_NIST_P384", "SIGN_VERIFY", MultiRegion=True)
    kms.replicate_key(KeyId=metadata["KeyId"], ReplicaRegion="us-east-1")
    there = deployment.kms("us-east-1")
    deployment.await_enabled("us-east-1", metadata["KeyId"])
    assert there.get_public_key(KeyId=metadata["KeyId"])["PublicKey"] == kms.get_public_key(KeyId=metadata["KeyId"])["PublicKey"]
    check_verify(kms, metadata["KeyId"], "ECDSA_SHA_384", signed(there, metadata["KeyId"], "ECDSA_SHA_384"))


def test_prehashed_signatures_of_others_verify(kms):
    """A digest that was made outside, in both directions."""
    key_id = created(kms, "ECC_NIST_P256", "SIGN_VERIFY")["KeyId"]
    digest = hashlib.sha256(MESSAGE).digest()
    signature = signed(kms, key_id, "ECDSA_SHA_256", digest, "DIGEST")
    public_key(kms, key_id).verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
