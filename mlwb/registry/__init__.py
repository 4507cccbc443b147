"""Model versions on disk or an object store: published once, promoted by decision, rolled back.

Belongs here: the layout of a version, the channels, the log of what happened to them, the
protocol that survives a crash at any point, backups.
Does not belong here: deciding (gates), loading a model (inference; it is handed in as a check),
building one (model).
"""

from mlwb.registry._channels import CHANNELS
from mlwb.registry._checks import is_mirror
from mlwb.registry._compare import Difference, differences
from mlwb.registry._evidence_heads import audit_heads, evidence_heads
from mlwb.registry._mirror import Mirror, Pulled
from mlwb.registry._obstore import REMOTE_ENV, open_store
from mlwb.registry._registry import Registry
from mlwb.registry._remote import RemoteRegistry
from mlwb.registry._state import State
from mlwb.registry._store import MemoryStore, ObjectStore
from mlwb.registry._version import REQUIRED_FILES, VersionInfo

__all__ = [
    "CHANNELS",
    "REMOTE_ENV",
    "REQUIRED_FILES",
    "Difference",
    "MemoryStore",
    "Mirror",
    "ObjectStore",
    "Pulled",
    "Registry",
    "RemoteRegistry",
    "State",
    "VersionInfo",
    "audit_heads",
    "differences",
    "evidence_heads",
    "is_mirror",
    "open_store",
]
