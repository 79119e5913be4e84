"""What holds for all tests: hypothesis without deadlines (shared machines are noisy), peers that must be there in CI."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")
