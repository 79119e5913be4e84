"""How is the gateway started as a module? `python -m local_controller` is `local-controller`."""

from __future__ import annotations

from local_controller.cli.main import app

app()
