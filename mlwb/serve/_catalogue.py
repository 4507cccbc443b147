"""The route that lists model versions: what is published, where channels point, what is loaded."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from mlwb.core.clock import format_utc
from mlwb.core.errors import MlwbError
from mlwb.registry import CHANNELS, VersionInfo
from mlwb.registry import State as RegistryState
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._fresh import Fresh
from mlwb.serve._state import State

__all__ = ["catalogue_endpoints"]


class ModelVersion(msgspec.Struct, kw_only=True):
    """A published version; times are null where the registry's log does not say."""

    version: str
    channels: list[str]
    sha256: str | None
    size_bytes: int | None
    created_at: str | None
    registered_at: str | None
    promoted_at: str | None
    is_loaded: bool
    is_answering: bool
    loaded_at: str | None
    problem: str


class ModelCatalogue(msgspec.Struct, kw_only=True):
    """Versions by name; `log` is empty or says why the registry's log tells nothing."""

    serves: str | None
    shadows: str | None
    channels: dict[str, str | None]
    log: str
    versions: list[ModelVersion]


class _Published(msgspec.Struct):
    """What is on disk."""

    channels: dict[str, str | None]
    infos: dict[str, VersionInfo | str]
    log: RegistryState | str


def catalogue_endpoints(state: State) -> tuple[Endpoint, ...]:
    """The list of versions.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Catalogue(state)
    return (
        Endpoint(
            method="GET",
            path="/ml/models",
            permission=Permission.READ,
            summary="Published versions with digests, channels, times, and which are loaded",
            answer=ModelCatalogue,
            handler=routes.models,
        ),
    )


class _Catalogue:
    def __init__(self, state: State) -> None:
        self._state, self._registry = state, state.registry()
        self._published = Fresh(self._look, state.clock)

    async def models(self, _call: Call) -> Response:
        found, state = await self._published.get(), self._state
        champion, candidate = state.champion.live, state.candidate.live
        catalogue = ModelCatalogue(
            serves=None if champion is None else champion.version,
            shadows=None if candidate is None else candidate.version,
            channels=found.channels,
            log=found.log if isinstance(found.log, str) else "",
            versions=[self._version(name, found) for name in sorted(found.infos)],
        )
        return json_response(catalogue)

    def _version(self, name: str, found: _Published) -> ModelVersion:
        state, info = self._state, found.infos[name]
        live = next(
            (
                live
                for live in (state.champion.live, state.candidate.live)
                if live and live.version == name
            ),
            None,
        )
        registered = {} if isinstance(found.log, str) else found.log.registered_at
        promoted = {} if isinstance(found.log, str) else found.log.promoted_at
        manifest = None if isinstance(info, str) else info
        return ModelVersion(
            version=name,
            channels=[channel for channel, version in found.channels.items() if version == name],
            sha256=manifest.sha256 if manifest else None,
            size_bytes=manifest.size if manifest else None,
            created_at=manifest.created if manifest else None,
            registered_at=registered.get(name),
            promoted_at=promoted.get(name),
            is_loaded=live is not None or name in state.versions.shelf.versions,
            is_answering=live is not None and live is state.champion.live,
            loaded_at=None if live is None else format_utc(live.loaded_at),
            problem=info if isinstance(info, str) else "",
        )

    def _look(self) -> _Published:
        registry = self._registry
        log: RegistryState | str
        try:
            log = registry.state()
        except MlwbError as error:
            log = error.code
        channels = {channel: self._pointed(channel) for channel in CHANNELS}
        return _Published(channels, {name: self._info(name) for name in registry.versions()}, log)

    def _pointed(self, channel: str) -> str | None:
        try:
            return self._registry.resolve(channel).name
        except MlwbError:
            return None

    def _info(self, name: str) -> VersionInfo | str:
        try:
            return self._registry.show(name)
        except MlwbError as error:
            return error.code
