"""The site's own Celery app on a queue of the test's, with one task whose traces the test can see."""

import os
import time
from pathlib import Path

from inventory_site.celery import app

app.conf.task_default_queue = os.environ["TEST_QUEUE"]
app.conf.broker_transport_options = {
    **app.conf.broker_transport_options,
    "visibility_timeout": int(os.environ["TEST_VISIBILITY_SECONDS"]),
}


@app.task(name="tests.leave_trace")
def leave_trace(folder: str) -> None:
    """The first run starts and hangs, as if killed in the middle; the next one finishes."""
    place = Path(folder)
    if not (place / "started").exists():
        (place / "started").touch()
        if (place / "hang").exists():
            time.sleep(60)
    (place / "finished").touch()
