"""A Nitro hypervisor and an enclave on it, as far as a key management service sees them: documents, and envelopes opened."""

import datetime
import pathlib
import subprocess
import time

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.x509.oid import NameOID

ES384 = {1: -35}


class Hypervisor:
    """A root, a certificate of a zone, and the one that signs documents: P-384 all."""

    def __init__(self):
        self._root_key, zone_key, self._key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(3))
        self.root = certificate("aws.nitro-enclaves", self._root_key, "aws.nitro-enclaves", self._root_key, is_ca=True)
        self._zone = certificate("zone.nitro-enclaves", zone_key, "aws.nitro-enclaves", self._root_key, is_ca=True)
        self._certificate = certificate("i-0123456789abcdef0", self._key, "zone.nitro-enclaves", zone_key, is_ca=False)

    def root_pem(self):
        return self.root.public_bytes(serialization.Encoding.PEM)

    def document(self, public_key, registers, age=0, kind="pcrs", header=ES384, tagged=False):
        """A signed document that is so many seconds old."""
        payload = {
            "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
            "digest": "SHA384",
            "timestamp": int((time.time() - age) * 1000),
            kind: registers,
            "certificate": der(self._certificate),
            "cabundle": [der(self.root), der(self._zone)],
            "public_key": public_key,
            "user_data": None,
            "nonce": None,
        }
        # A map that says its end and not its length, as today's hypervisors write it.
        protected, payload = cbor2.dumps(header), b"\xbf" + cbor2.dumps(payload)[1:] + b"\xff"
        signed = cbor2.dumps(["Signature1", protected, b"", payload])
        r, s = utils.decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA384())))
        message = [protected, {}, payload, r.to_bytes(48, "big") + s.to_bytes(48, "big")]
        return cbor2.dumps(cbor2.CBORTag(18, message) if tagged else message)


class Enclave:
    """It alone has the private key."""

    def __init__(self, directory, bits=2048):
        self._key = rsa.generate_private_key(65537, bits)
        self._directory = pathlib.Path(directory)
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (self._directory / "enclave.key").write_bytes(self._key.private_bytes(*form))

    def public_key(self):
        form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(*form)

    def open(self, envelope):
        """What is in a CMS message, by OpenSSL."""
        command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", str(self._directory / "enclave.key")]
        return subprocess.run(command, input=envelope, capture_output=True, check=True).stdout


def certificate(subject, key, issuer, issuer_key, is_ca):
    now = datetime.datetime.now(datetime.timezone.utc)

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Amazon"), x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=3))
    builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    return builder.sign(issuer_key, hashes.SHA384())


def der(made):
    return made.public_bytes(serialization.Encoding.DER)
