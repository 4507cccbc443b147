"""Signatures: good for exactly the bytes, the kind and the key they were made with."""

from __future__ import annotations

import base64
import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mlwb.core.errors import SignatureError
from mlwb.core.signing import PRIVATE_KEY_ENV, PUBLIC_KEY_ENV, Signer, write_key_pair

KIND, DATA = "application/vnd.mlwb.test+json", b'{"a":1}'


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """A fresh pair of keys, signing and pinned."""
    return Signer(tmp_path / "key", write_key_pair(tmp_path / "key"))


def test_what_was_signed_verifies(signer: Signer) -> None:
    """The same bytes, kind and key: the id of the key comes back, and is the envelope's."""
    envelope = signer.sign(KIND, DATA)
    assert signer.verify(envelope, KIND, DATA) == envelope["signatures"][0]["keyid"]


def test_the_signed_bytes_are_those_of_the_dsse_standard(tmp_path: Path) -> None:
    """The example of the protocol's text: kind and bytes, each after its length."""
    write_key_pair(tmp_path / "key")
    envelope = Signer(tmp_path / "key").sign("http://example.com/HelloWorld", b"hello world")
    key = pem.load_pem_private_key((tmp_path / "key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    key.public_key().verify(
        base64.b64decode(envelope["signatures"][0]["sig"]),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
    )


@pytest.mark.parametrize(
    ("kind", "data"), [(KIND, b'{"a":2}'), ("application/other", DATA), (KIND, b"")]
)
def test_other_bytes_or_another_kind_are_refused(kind: str, data: bytes, signer: Signer) -> None:
    """A good signature does not carry over, neither to other bytes nor to another kind."""
    with pytest.raises(SignatureError, match="something else"):
        signer.verify(signer.sign(KIND, DATA), kind, data)


def test_a_forged_envelope_is_refused(signer: Signer) -> None:
    """Bytes and kind as wanted, but the signature is of others: that is what is checked."""
    envelope = signer.sign(KIND, b"something harmless")
    envelope["payload"] = base64.b64encode(DATA).decode()
    with pytest.raises(SignatureError, match="no signature is by a pinned key"):
        signer.verify(envelope, KIND, DATA)


def test_every_flipped_bit_of_a_signature_is_noticed(signer: Signer) -> None:
    """Each of the 512 bits counts."""
    good = signer.sign(KIND, DATA)
    signature = base64.b64decode(good["signatures"][0]["sig"])
    for bit in range(0, 512, 7):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        bad = copy.deepcopy(good)
        bad["signatures"][0]["sig"] = base64.b64encode(flipped).decode()
        with pytest.raises(SignatureError):
            signer.verify(bad, KIND, DATA)


@pytest.mark.parametrize(
    "envelope",
    [
        None, [], "{}", {}, {"payload": "", "payloadType": KIND},
        {"payload": "%%", "payloadType": KIND, "signatures": []},
        {"payload": 3, "payloadType": KIND, "signatures": []},
        {"payload": "", "payloadType": KIND, "signatures": [{"keyid": "a"}]},
        {"payload": "", "payloadType": KIND, "signatures": 7},
    ],
)  # fmt: skip
def test_junk_is_no_envelope(envelope: Any, signer: Signer) -> None:
    """Whatever a file holds, the answer is one error."""
    with pytest.raises(SignatureError, match="DSSE"):
        signer.verify(envelope, KIND, DATA)


def test_no_signatures_are_no_signature(signer: Signer) -> None:
    """An envelope whose list is empty is not signed."""
    envelope = {**signer.sign(KIND, DATA), "signatures": []}
    with pytest.raises(SignatureError, match="pinned"):
        signer.verify(envelope, KIND, DATA)


def test_a_key_is_replaced_without_a_gap(signer: Signer, tmp_path: Path) -> None:
    """While both keys are pinned both are good; afterwards only the new one is."""
    new = Signer(tmp_path / "new", write_key_pair(tmp_path / "new"))
    assert signer.public_keys is not None
    assert new.public_keys is not None
    both = tmp_path / "both.pub"
    both.write_bytes(signer.public_keys.read_bytes() + new.public_keys.read_bytes())
    for one in (signer, new):
        Signer(public_keys=both).verify(one.sign(KIND, DATA), KIND, DATA)
    with pytest.raises(SignatureError):
        new.verify(signer.sign(KIND, DATA), KIND, DATA)


def test_a_private_key_is_for_its_owner_only(signer: Signer) -> None:
    """Written 0600; readable by others it is not used."""
    assert signer.private_key is not None
    assert signer.private_key.stat().st_mode & 0o777 == 0o600
    signer.private_key.chmod(0o640)
    with pytest.raises(SignatureError, match="chmod 600"):
        signer.sign(KIND, DATA)


def test_a_private_key_stays_out_of_checkouts(signer: Signer, tmp_path: Path) -> None:
    """Neither written into a git checkout nor used from one."""
    (tmp_path / ".git").mkdir()
    with pytest.raises(SignatureError, match="git"):
        write_key_pair(tmp_path / "deep" / "other")
    with pytest.raises(SignatureError, match="git"):
        signer.sign(KIND, DATA)


@pytest.mark.parametrize("there", ["key", "key.pub"])
def test_keys_are_never_replaced(there: str, tmp_path: Path) -> None:
    """Making a pair where either key is leaves it as it was, and makes nothing."""
    (tmp_path / there).write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_key_pair(tmp_path / "key")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_other_keys_are_refused(tmp_path: Path) -> None:
    """Junk, another algorithm and an absent file each give the one error."""
    other = generate_private_key(SECP256R1())
    private, public = tmp_path / "key", tmp_path / "key.pub"
    private.write_bytes(
        other.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    private.chmod(0o600)
    public.write_bytes(
        other.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    envelope = {"payload": "", "payloadType": KIND, "signatures": []}
    for signer in (Signer(private, public), Signer(tmp_path / "none", tmp_path / "none")):
        with pytest.raises(SignatureError):
            signer.sign(KIND, b"")
        with pytest.raises(SignatureError):
            signer.verify(envelope, KIND, b"")
    private.write_bytes(b"junk")
    public.write_bytes(b"junk")
    with pytest.raises(SignatureError):
        Signer(private).sign(KIND, b"")
    with pytest.raises(SignatureError):
        Signer(public_keys=public).verify(envelope, KIND, b"")


def test_the_environment_names_the_keys() -> None:
    """Absent and empty variables are no key; nothing is read before a key is used."""
    assert Signer.from_env({}) == Signer.from_env({PRIVATE_KEY_ENV: ""}) == Signer()
    named = Signer.from_env({PRIVATE_KEY_ENV: "/k", PUBLIC_KEY_ENV: "/k.pub"})
    assert named == Signer(Path("/k"), Path("/k.pub"))
    assert (named.can_sign, named.is_pinned) == (True, True)
    with pytest.raises(SignatureError, match=PRIVATE_KEY_ENV):
        Signer().sign(KIND, DATA)
    with pytest.raises(SignatureError, match=PUBLIC_KEY_ENV):
        Signer().verify({"payload": "", "payloadType": KIND, "signatures": []}, KIND, b"")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_keys_of_openssl_work_as_they_are(tmp_path: Path) -> None:
    """Oracle: a pair made by `openssl genpkey` signs and verifies."""
    key, public = tmp_path / "key", tmp_path / "key.pub"
    make = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    key.chmod(0o600)
    show = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)]
    subprocess.run(show, check=True, capture_output=True)
    signer = Signer(key, public)
    assert signer.verify(signer.sign(KIND, DATA), KIND, DATA)
