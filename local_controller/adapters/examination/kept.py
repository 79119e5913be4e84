"""Is the journal of outages whole, its key secret, and does it hold what a person has to settle?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.journal import KEY_NAME, NAME
from local_controller.adapters.journal_file import JournalFile
from local_controller.adapters.secret_source import readable_by_others
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError
from local_controller.site.spoken import many


def examine_journal(config: SiteConfig) -> Iterator[Finding]:
    """Nothing where no gateway has made one yet."""
    folder = Path(config.state_directory or "")
    if not any(csms.outage for csms in config.csms) or not (folder / NAME).exists():
        return
    for secret in (folder / NAME, folder / KEY_NAME):
        if text := readable_by_others(secret):
            yield Finding("journal", State.WARNING, text, f"chmod 600 {secret}")
    try:
        file = JournalFile(folder)
        counts, readable = file.counts().values(), [*file.oldest().values(), *file.put_aside()]
    except LocalControllerError as error:
        text, _, remedy = str(error).partition("; ")
        yield Finding("journal", State.ERROR, text, remedy)
        return
    if any(one.payload is None for one in readable):
        text = f"not all of it can be read with {file.key_path}"
        yield Finding("journal", State.ERROR, text, "put the right key back from a backup")
    if aside := sum(one.put_aside for one in counts):
        text = f"{many(aside, 'message')} could not be delivered, and {'waits' if aside == 1 else 'wait'} for a person"
        yield Finding("journal", State.WARNING, text, "look at them with `local-controller journal`")
    yield Finding("journal", State.OK, f"{many(sum(one.waiting for one in counts), 'message')} to be delivered")
