"""Content credentials (C2PA) of a WAV file: a signed statement, inside the file, that a machine made it.

The statement has one action, `c2pa.created`, with the digital source type trainedAlgorithmicMedia, and covers all other
bytes of the file. Format: https://spec.c2pa.org. Needs the extra `c2pa`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtc.errors import InputError, install_hint
from dtc.wav_mark import SOURCE_TYPE, version_of_dtc

WAV = "audio/wav"
CURVES = {"secp256r1": b"es256", "secp384r1": b"es384", "secp521r1": b"es512"}
EXTRA = "c2pa"


@dataclass(frozen=True)
class Credentials:
    """A private key, and the certificates from the signer's own to the one below its authority, as PEM."""

    key: bytes = field(repr=False)  # a secret, which no message may show
    certificates: bytes
    algorithm: bytes

    @classmethod
    def read(cls, key: Path, certificates: Path) -> Credentials:
        """Return the credentials in two PEM files. Raises InputError for another key, and without the extra `c2pa`."""
        try:
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            _c2pa()
        except ModuleNotFoundError:
            raise InputError("--credentials", "c2pa-python is not installed", remedy=install_hint(EXTRA)) from None
        found = key.read_bytes()
        try:
            algorithm = _algorithm_of(load_pem_private_key(found, password=None))
        except (ValueError, TypeError) as error:
            expected = "a private key as PEM, without a password: EC P-256, P-384 or P-521, Ed25519, or RSA"
            raise InputError(key, str(error), expected) from None
        return cls(found, certificates.read_bytes(), algorithm)

    def sign(self, wav: bytes) -> bytes:
        """Return a WAV file with content credentials in it. Every signature is another one.

        Raises InputError where key and certificates do not fit, or are none that may sign.
        """
        c2pa, signed = _c2pa(), io.BytesIO()
        agent = {"name": "dtc", "version": version_of_dtc()}
        created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent}
        statement = {
            "claim_generator_info": [agent],
            "title": "synthetic speech",
            "format": WAV,
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
        }
        try:
            signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(self.algorithm, self.certificates, self.key, None))
            c2pa.Builder(statement).sign(signer, WAV, io.BytesIO(wav), signed)
        except c2pa.C2paError as error:
            expected = "a key with its certificate for signing (digitalSignature; emailProtection or documentSigning)"
            raise InputError("--credentials", f"cannot sign ({error})", expected) from None
        return signed.getvalue()


@dataclass(frozen=True)
class Verified:
    """What the reader of C2PA finds in a file.

    Args:
        state: Valid; Trusted, where its authority is in the reader's list of trust; or Invalid.
        signer: the organisation and the name in the signer's certificate.
        source_types: the digital source types of its actions.
    """

    state: str
    signer: str
    source_types: tuple[str, ...]


def verify_credentials(wav: bytes) -> Verified:
    """Return what C2PA's own reader says of the content credentials in a WAV file.

    Raises ModuleNotFoundError without the extra `c2pa`. Damaged credentials, which cannot be read, are Invalid.
    """
    c2pa = _c2pa()
    try:
        reader = c2pa.Reader(WAV, io.BytesIO(wav))
        manifest, state = reader.get_active_manifest(), str(reader.get_validation_state())
    except c2pa.C2paError as error:
        return Verified("Invalid", f"unknown ({error})", ())
    info = manifest.get("signature_info", {})
    actions = [
        action
        for assertion in manifest.get("assertions", [])
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    types = tuple(action["digitalSourceType"] for action in actions if "digitalSourceType" in action)
    signer = ", ".join(filter(None, (info.get("issuer"), info.get("common_name"))))
    return Verified(state, signer, types)


def _c2pa() -> Any:
    import c2pa

    return c2pa


def _algorithm_of(key: Any) -> bytes:
    """Return C2PA's name of the algorithm for a private key. Raises ValueError for a key of another kind."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return b"ps256"
    raise ValueError(f"a key of the kind {type(key).__name__}")
