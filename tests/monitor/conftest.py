"""A server and a registry of small versions."""

from __future__ import annotations

from tests.serve.conftest import app, models, registry, registry_template

__all__ = ["app", "models", "registry", "registry_template"]
