"""A pytest plugin for emulated machines: hypothesis does not mind that they are slow."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("slow", max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("slow")
