"""The object database of a store: objects and fragments by their oids."""

from __future__ import annotations

from dpkg.odb.layout import create_store, fragment_key, object_key, open_store
from dpkg.odb.odb import Odb
from dpkg.store.base import is_remote

__all__ = ["Odb", "create_store", "fragment_key", "is_remote", "object_key", "open_store"]
