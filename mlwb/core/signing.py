"""Ed25519 signatures in DSSE envelopes, so that other tools can check them.

A signature says who claims the bytes and that they did not change, not that the model is good.
The private key signs, the pinned public keys verify; a process may hold either, both or none.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlwb.core import fsops
from mlwb.core.canonical import parse_json
from mlwb.core.errors import EvidenceSchemaError, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["MANIFEST_TYPE", "PRIVATE_KEY_ENV", "PUBLIC_KEY_ENV", "Signer", "write_key_pair"]

MANIFEST_TYPE = "application/vnd.mlwb.manifest+json"
"""Kind of the bytes that ``manifest.sig`` of a model version signs."""

# Only a process that holds a key pays for importing cryptography: imports in functions.

PRIVATE_KEY_ENV, PUBLIC_KEY_ENV = "MLWB_SIGNING_KEY", "MLWB_SIGNING_PUBLIC_KEY"
_END = b"-----END PUBLIC KEY-----"
_ID_DIGITS = 32


@dataclass(frozen=True)
class Signer:
    """The keys of a process.

    Parameters
    ----------
    private_key : Path, optional
        PEM file (PKCS 8, not encrypted) that only its owner can read; signs.
    public_keys : Path, optional
        PEM file of one public key, or of several while a key is being replaced; a signature by
        any of them is good. Pinned: with it, what is not signed is refused.
    """

    private_key: Path | None = None
    public_keys: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Signer:
        """The keys that ``MLWB_SIGNING_KEY`` and ``MLWB_SIGNING_PUBLIC_KEY`` name.

        Parameters
        ----------
        environ : mapping
            ``os.environ`` of the entry point. A variable that is empty or absent is no key.
        """
        private, public = environ.get(PRIVATE_KEY_ENV, ""), environ.get(PUBLIC_KEY_ENV, "")
        return cls(
            private_key=Path(private).expanduser() if private else None,
            public_keys=Path(public).expanduser() if public else None,
        )

    @property
    def can_sign(self) -> bool:
        """Whether there is a private key."""
        return self.private_key is not None

    @property
    def is_pinned(self) -> bool:
        """Whether signatures are demanded."""
        return self.public_keys is not None

    def sign(self, payload_type: str, payload: bytes) -> dict[str, Any]:
        """Sign bytes of a kind.

        Parameters
        ----------
        payload_type : str
            What the bytes are, for example ``"application/vnd.mlwb.manifest+json"``. Signed
            with them, so that a signature of one kind is never good for another.
        payload : bytes
            What is signed.

        Returns
        -------
        dict
            A DSSE envelope [1]_: ``payloadType``, ``payload`` (base64), ``signatures``.

        Raises
        ------
        SignatureError
            There is no private key, it cannot be read, others can read it, or it lies in a git
            checkout.

        References
        ----------
        .. [1] https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if self.private_key is None:
            raise SignatureError("there is no key to sign with", todo=f"set {PRIVATE_KEY_ENV}")
        data = _read_secret(self.private_key)
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as error:
            raise SignatureError(f"{self.private_key.name} is no plain PEM private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SignatureError("not an ed25519 key", got=type(key).__name__.lstrip("_"))
        signature = key.sign(_pre_authentication(payload_type, payload))
        return {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [
                {"keyid": _key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}
            ],
        }

    def verify(self, envelope: object, payload_type: str, payload: bytes) -> str:
        """Check that a pinned key signed exactly these bytes as this kind.

        Parameters
        ----------
        envelope : object
            Of :meth:`sign`, as parsed from JSON; anything may come from a file.
        payload_type : str
            The kind that is wanted.
        payload : bytes
            The bytes that are wanted.

        Returns
        -------
        str
            Id of the key: the first 32 hex digits of the sha256 of its 32 bytes.

        Raises
        ------
        SignatureError
            No key is pinned, the envelope is malformed or about something else, or no signature
            is by a pinned key.
        """
        from cryptography.exceptions import InvalidSignature

        kind, signed, signatures = _opened(envelope)
        if (kind, signed) != (payload_type, payload):
            raise SignatureError("the signature is of something else", expected=payload_type)
        message = _pre_authentication(payload_type, payload)
        for key in self._pinned():
            for signature in signatures:
                try:
                    key.verify(signature, message)
                except InvalidSignature:
                    continue
                return _key_id(key)
        raise SignatureError(
            "no signature is by a pinned key", todo="sign again with the right key, or pin it"
        )

    def verify_beside(self, path: Path, payload_type: str, payload: bytes) -> str:
        """As :meth:`verify`, of an envelope in a file.

        Parameters
        ----------
        path : Path
            JSON file of the envelope.
        payload_type, payload
            As of :meth:`verify`.

        Returns
        -------
        str
            Id of the key.

        Raises
        ------
        SignatureError
            The file is missing or no JSON, or as :meth:`verify`.
        """
        try:
            envelope = parse_json(fsops.read_bytes(path))
        except FileNotFoundError as error:
            raise SignatureError(
                f"{path.parent.name}/{path.name} is missing, and a key is pinned",
                todo="sign it with the private key: mlwb registry sign",
            ) from error
        except EvidenceSchemaError as error:
            raise SignatureError(f"{path.parent.name}/{path.name} cannot be read") from error
        return self.verify(envelope, payload_type, payload)

    def _pinned(self) -> list[Ed25519PublicKey]:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        if self.public_keys is None:
            raise SignatureError("no public key is pinned", todo=f"set {PUBLIC_KEY_ENV}")
        try:
            blocks = fsops.read_bytes(self.public_keys).split(_END)[:-1]
            keys = [load_pem_public_key(block.lstrip() + _END + b"\n") for block in blocks]
        except (OSError, ValueError) as error:
            raise SignatureError(f"{self.public_keys.name} cannot be read") from error
        found = [key for key in keys if isinstance(key, Ed25519PublicKey)]
        if not found or len(found) < len(keys):
            raise SignatureError(f"{self.public_keys.name} holds other than ed25519 public keys")
        return found


def write_key_pair(path: Path) -> Path:
    """Make a key pair: ``path`` (mode 0600) and, beside it, ``path`` with ``.pub``.

    Parameters
    ----------
    path : Path
        Of the private key; neither file may exist.

    Returns
    -------
    Path
        Of the public key.

    Raises
    ------
    FileExistsError
        A file is already there; nothing was replaced.
    SignatureError
        ``path`` is inside a git checkout.
    """
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    _check_outside_git(path)
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    beside = path.with_name(f"{path.name}.pub")
    fsops.write_new(beside, public)
    fsops.write_new(path, private, mode=0o600)
    return beside


def _pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What DSSE signs: kind and bytes with their lengths, so that no two pairs look the same."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _opened(envelope: object) -> tuple[str, bytes, list[bytes]]:
    fields = envelope if isinstance(envelope, dict) else {}
    try:
        payload = base64.b64decode(fields["payload"], validate=True)
        signatures = [
            base64.b64decode(entry["sig"], validate=True) for entry in fields["signatures"]
        ]
        return str(fields["payloadType"]), payload, signatures
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise SignatureError("that is no DSSE envelope") from error


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_ID_DIGITS]


def _read_secret(path: Path) -> bytes:
    _check_outside_git(path)
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise SignatureError(
                f"others can read the private key {path.name}", todo=f"chmod 600 {path.name}"
            )
        return fsops.read_bytes(path)
    except OSError as error:
        raise SignatureError(f"the private key {path.name} cannot be read: {error}") from error


def _check_outside_git(path: Path) -> None:
    if any((folder / ".git").exists() for folder in path.absolute().parents):
        raise SignatureError(
            f"the private key {path.name} is inside a git checkout, one commit from being public",
            todo="keep it elsewhere",
        )
