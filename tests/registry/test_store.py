"""Stores that lose answers, want repeats, ignore headers or stay away, and what is made of it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlwb.core.errors import ParamsError, StorageError, StoreUnavailableError
from mlwb.registry import MemoryStore, ObjectStore, open_store
from mlwb.registry._obstore import _remedy
from mlwb.registry._store import in_parallel, probe, put_right, write_once
from tests.registry.faulty_store import Careless, Faulty, Stale

ROOM = Path(__file__).resolve().parents[2] / "mlwb" / "registry"


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """A store that keeps its promises."""
    if request.param == "memory":
        return MemoryStore()
    return open_store(request.getfixturevalue("s3_url"), os.environ)


def test_a_store_keeps_its_promises(store: ObjectStore) -> None:
    """Read, create once, swap by tag, list, delete; what is not there is None."""
    assert store.get("log/1") is None
    first = store.put_if_absent("log/1", b"one")
    assert first is not None
    assert store.put_if_absent("log/1", b"two") is None
    read = store.get("log/1")
    assert read is not None
    assert (read.data, read.tag) == (b"one", first)
    second = store.compare_and_swap("log/1", b"three", first)
    assert second not in (None, first)
    assert store.compare_and_swap("log/1", b"four", first) is None
    assert store.compare_and_swap("log/2", b"four", first) is None
    store.put_if_absent("other", b"")
    assert store.list("log/") == ("log/1",)
    store.delete("log/1")
    store.delete("log/1")
    assert (store.get("log/1"), store.list("")) == (None, ("other",))
    probe(store)
    assert store.list("") == ("other",)
    keys = [f"many/{number}" for number in range(20)]
    in_parallel(store, lambda key: write_once(store, key, key.encode()), keys)
    assert [found.data.decode() for key in keys if (found := store.get(key))] == keys


@pytest.mark.parametrize("fault", ["lost", "timeout", "conflict"])
def test_a_write_whose_answer_is_unclear_is_looked_at(fault: str) -> None:
    """A lost answer, a call that never came, a conflict to be repeated: it is ours in the end."""
    store = Faulty(MemoryStore(), {1: fault})
    assert write_once(store, "a", b"mine")
    assert store.behind.get("a") == store.get("a")


def test_a_refusal_of_our_own_repeated_write_is_no_defeat() -> None:
    """A client that repeats by itself is told 412 by its own first write: the bytes say whose."""
    store = MemoryStore()
    store.put_if_absent("a", b"mine")
    assert write_once(store, "a", b"mine")
    assert not write_once(store, "a", b"another's")
    assert store.objects == {"a": b"mine"}


@pytest.mark.parametrize("fault", ["lost", "timeout", "conflict"])
def test_a_slot_that_another_took_is_lost_whatever_the_answer(fault: str) -> None:
    """With other bytes in place the answer is no, also when it came in a roundabout way."""
    store = Faulty(MemoryStore(), {1: fault})
    store.behind.put_if_absent("a", b"another's")
    assert not write_once(store, "a", b"mine")


def test_a_store_that_stays_away_is_not_guessed_about() -> None:
    """No answer at all: it is said that nobody knows, and where to look."""
    store = Faulty(MemoryStore(), is_away=True)
    with pytest.raises(StoreUnavailableError, match="not known whether log/1 was written"):
        write_once(store, "log/1", b"mine")


@pytest.mark.parametrize("there", [b"right", b"wrong", None])
def test_bytes_are_put_right(there: bytes | None) -> None:
    """Whatever stood there, and whatever goes wrong on the way."""
    for fault in ("lost", "timeout", "conflict"):
        for place in range(1, 5):
            store = Faulty(MemoryStore(), {place: fault})
            if there is not None:
                store.behind.put_if_absent("a", there)
            put_right(store, "a", b"right")
            found = store.behind.get("a")
            assert found is not None
            assert found.data == b"right"


@pytest.mark.parametrize(
    ("clone", "said"), [(Careless, "created the same object twice"), (Stale, "tag was stale")]
)
def test_the_probe_finds_clones_that_ignore_the_headers(clone: type[Faulty], said: str) -> None:
    """A store that takes what it must refuse holds no registry, and it is said why."""
    behind = MemoryStore()
    with pytest.raises(StorageError, match=rf"ignores conditional writes.*{said}"):
        probe(clone(behind))
    assert behind.objects == {}


@pytest.mark.parametrize("call", range(1, 7))
def test_the_probe_takes_no_lost_answer_for_a_careless_store(call: int) -> None:
    """A good store that hiccups is found good, or said not to answer; never called careless."""
    for fault in ("lost", "timeout", "conflict"):
        store = Faulty(MemoryStore(), {call: fault})
        try:
            probe(store)
        except StorageError as error:
            assert "ignores" not in str(error)  # noqa: PT017 - most faults raise nothing


def test_a_machine_without_keys_is_told_which_to_set() -> None:
    """The service for roles is asked where nothing gives keys; its address alone helps nobody."""
    asked = OSError("Error performing PUT http://169.254.169.254/latest/api/token")
    assert "set AWS_ACCESS_KEY_ID" in _remedy(asked)
    assert _remedy(OSError("timeout")).startswith("check the network and the address")


def test_importing_the_room_does_not_import_obstore() -> None:
    """The serving path stays light: obstore comes with the first remote store."""
    code = "import sys, mlwb.registry; sys.exit('obstore' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    users = [
        path.name
        for path in sorted(ROOM.parent.rglob("*.py"))
        if re.search(r"^\s*(from|import) obstore", path.read_text(), re.MULTILINE)
    ]
    assert users == ["_obstore.py"]


def test_without_obstore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL and no extra: one line with the command."""
    for name in [name for name in sys.modules if name.split(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ParamsError, match=r"pip install 'mlwb\[s3\]'"):
        open_store("s3://bucket/prefix", {})


@pytest.mark.parametrize(
    "url", ["", "bucket/prefix", "http://host/b", "s3://", "s3:///x", "file:///x"]
)
def test_what_names_no_store_is_refused(url: str) -> None:
    """Said with an example of what does."""
    with pytest.raises(ParamsError, match="s3://bucket/prefix"):
        open_store(url, {})


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_timeout_is_a_time(text: str) -> None:
    """A variable that is no time is an error, not a default."""
    with pytest.raises(ParamsError, match="MLWB_REGISTRY_TIMEOUT_S"):
        open_store("s3://bucket/prefix", {"MLWB_REGISTRY_TIMEOUT_S": text})


def test_credentials_in_a_url_are_not_shown() -> None:
    """A store is named in errors and on screens: without what stands before the @, one way."""
    importlib.import_module("obstore")
    for url in ("s3://key:secret@bucket/prefix", "s3://bucket/prefix/"):
        assert open_store(url, {}).name == "s3://bucket/prefix"


@pytest.mark.server
def test_what_a_real_server_refuses_is_named(s3_url: str) -> None:
    """No such bucket is an error of the registry, not an empty one."""
    nowhere = open_store(s3_url.replace("models", "no-such-bucket"), os.environ)
    jobs: list[Callable[[], object]] = [
        lambda: nowhere.get("a"), lambda: nowhere.put_if_absent("a", b"1")
    ]  # fmt: skip
    for job in jobs:
        with pytest.raises(StorageError, match="no bucket"):
            job()


def test_a_server_that_is_gone_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: reads and writes say that the store does not answer."""
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "us-east-1",
        "MLWB_REGISTRY_TIMEOUT_S": "0.2",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    store = open_store("s3://bucket/prefix", os.environ)
    for job in (lambda: store.get("a"), lambda: store.put_if_absent("a", b"1")):
        with pytest.raises(StoreUnavailableError, match="does not answer") as error:
            job()
        assert "hush" not in str(error.value)
        assert "http://127.0.0.1:9: " in error.value.got
        assert "AWS_ENDPOINT_URL" in error.value.todo
    with pytest.raises(StoreUnavailableError, match="nothing was changed") as refused:
        probe(store)
    assert "probe/" not in str(refused.value)
    assert (refused.value.got, refused.value.todo) == (error.value.got, error.value.todo)
