"""Lets a process see another wall clock: put into its ``PYTHONPATH`` by ``test_clock.py``.

The file that CLOCK_OFFSET_FILE names holds seconds by which it is off; it is looked at twenty
times a second. Clocks that never jump are left alone, as the kernel leaves them.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep

import time_machine


def step(file: Path) -> None:
    """Follow the file for ever."""
    traveller = time_machine.travel(datetime.now(UTC), tick=True).start()
    seen = 0.0
    while True:
        sleep(0.05)
        offset = float(file.read_text("ascii"))
        if offset != seen:
            traveller.shift(timedelta(seconds=offset - seen))
            seen = offset


threading.Thread(target=step, args=(Path(os.environ["CLOCK_OFFSET_FILE"]),), daemon=True).start()
