"""Object stores by URL, through `obstore`; the only module that imports it, and only when asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mlwb.core.errors import ParamsError, StorageError, StoreUnavailableError
from mlwb.registry._store import ObjectStore, Stored, Tag

if TYPE_CHECKING:
    from obstore import PutMode

__all__ = ["REMOTE_ENV", "TIMEOUT_ENV", "open_store"]

REMOTE_ENV, TIMEOUT_ENV = "MLWB_REGISTRY", "MLWB_REGISTRY_TIMEOUT_S"
_SCHEMES = ("s3://", "gs://", "az://")
_ROLE_SERVICE = "169.254.169.254"
_TIMEOUT_S = 10.0
_RETRIES = 2
_ASKED = re.compile(r"performing \w+ (\w+://[^/\s]+).* - (.+)")


def open_store(url: str, environ: Mapping[str, str]) -> ObjectStore:
    """The store that a URL names; nothing is sent yet.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``.
    environ : mapping
        ``os.environ`` of the entry point. ``MLWB_REGISTRY_TIMEOUT_S`` is read here (seconds a
        request may take, default 10); endpoint and credentials are read by `obstore` from the
        usual variables of the process (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ...).

    Raises
    ------
    ParamsError
        The URL cannot name a store, the timeout is no number above 0, or `obstore` is not
        installed.
    """
    if not url.startswith(_SCHEMES) or not url.partition("://")[2].partition("/")[0]:
        raise ParamsError(
            "that is no object store", expected="s3://bucket/prefix", got=repr(_shown(url))
        )
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        raise ParamsError(
            "a registry on an object store needs obstore", todo="pip install 'mlwb[s3]'"
        ) from error
    timeout = timedelta(seconds=_timeout(environ))
    is_plain = environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    try:
        store = from_url(
            url,
            client_options={"timeout": timeout, "connect_timeout": timeout, "allow_http": is_plain},
            retry_config={"max_retries": _RETRIES, "retry_timeout": timeout},
        )
    except (BaseError, ValueError) as error:
        raise ParamsError(
            "that object store cannot be opened", got=f"{_shown(url)}: {_first_line(error)}"
        ) from error
    return _Obstore(store, _shown(url))


def _timeout(environ: Mapping[str, str]) -> float:
    text = environ.get(TIMEOUT_ENV, "") or str(_TIMEOUT_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ParamsError(f"{TIMEOUT_ENV} is no time", expected="seconds above 0", got=repr(text))
    return seconds


def _shown(url: str) -> str:
    """A URL without what may be a password, and one spelling of it."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}".rstrip("/") if rest else url


def _remedy(error: BaseException) -> str:
    safe = "what was there before still is"
    if _ROLE_SERVICE in str(error):  # asked as a last resort, where nothing else gives keys
        return (
            f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role; {safe}"
        )
    return f"check the network and the address (AWS_ENDPOINT_URL), then try again; {safe}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _why_silent(error: BaseException) -> str:
    """Whom we asked in vain and what came of it, without the object and the repetitions."""
    line = _first_line(error)
    found = _ASKED.search(line)
    return f"{found[1]}: {found[2]}" if found else line


class _Obstore:
    """As :class:`mlwb.registry._store.ObjectStore` says."""

    pause_s, n_parallel = 0.1, 8

    def __init__(self, store: Any, name: str) -> None:
        import obstore

        self._calls, self._store, self.name = obstore, store, name

    def get(self, key: str) -> Stored | None:
        with self._errors(f"read {key}"):
            try:
                found = self._calls.get(self._store, key)
                meta = found.meta
                data = bytes(found.bytes())
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise StorageError(f"there is no bucket for {self.name}") from error
                return None
        return Stored(data, Tag(meta["e_tag"] or "", meta["version"] or ""))

    def put_if_absent(self, key: str, data: bytes) -> Tag | None:
        return self._put(key, data, "create")

    def compare_and_swap(self, key: str, data: bytes, tag: Tag) -> Tag | None:
        return self._put(
            key,
            data,
            {name: value for name, value in tag._asdict().items() if value},  # type: ignore[arg-type]
        )

    def _put(self, key: str, data: bytes, mode: PutMode) -> Tag | None:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._errors(f"write {key}"):
            try:
                # in one request: an upload in parts knows no conditions
                done = self._calls.put(self._store, key, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return None
            except FileNotFoundError as error:
                if mode != "create" and "NoSuchBucket" not in str(error):
                    return None  # nothing there to replace
                raise StorageError(f"there is no bucket for {self.name}") from error
        return Tag(done["e_tag"] or "", done["version"] or "")

    def list(self, prefix: str) -> tuple[str, ...]:
        with self._errors(f"list {prefix}"):
            found = [
                meta["path"] for part in self._calls.list(self._store, prefix) for meta in part
            ]
        return tuple(sorted(found))

    def delete(self, key: str) -> None:
        with self._errors(f"delete {key}"):
            try:
                self._calls.delete(self._store, key)
            except FileNotFoundError:
                return

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from obstore.exceptions import (
            BaseError,
            InvalidPathError,
            NotSupportedError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StorageError(
                f"{self.name} does not let us {what}", got=_first_line(error),
                todo="check the credentials and the policy of the bucket",
            ) from error  # fmt: skip
        except (InvalidPathError, NotSupportedError) as error:
            raise StorageError(f"{self.name} cannot {what}", got=_first_line(error)) from error
        except BaseError as error:
            raise StoreUnavailableError(
                f"{self.name} does not answer: cannot {what}", got=_why_silent(error),
                todo=_remedy(error),
            ) from error  # fmt: skip
