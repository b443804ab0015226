"""Builds the writer that the settings ask for."""

from __future__ import annotations

import logging
import random
import time

from exporter.config.settings import Settings
from exporter.store.disk_queue import DiskQueue, Limits
from exporter.store.queue import MemoryQueue, Queue
from exporter.store.queue_folder import QueueInUseError
from exporter.store.refused_points import Rejects
from exporter.store.target_factory import make_target
from exporter.store.writer import Writer

log = logging.getLogger(__name__)


def writer_of(settings: Settings, rng: random.Random) -> Writer | None:
    """The writer, or None where nothing is to be stored.

    Raises
    ------
    SystemExit
        Another exporter has the queue.
    """
    if settings.influxdb_url is None:
        log.warning("FLEETSCOPE_INFLUXDB_URL is not set: readings are scored but not stored")
        return None
    target = make_target(settings)
    folder = settings.queue_dir
    memory = settings.queue_megabytes * 1024 * 1024
    queue: Queue
    if folder is None:
        queue = MemoryQueue(memory, settings.queue_policy)
    else:
        limits = Limits(
            disk=settings.queue_disk_megabytes * 1024 * 1024,
            memory=memory,
            age=settings.queue_hours * 3600.0,
            order=settings.queue_policy,
        )
        try:
            queue = DiskQueue(folder, limits, time.time)
        except QueueInUseError as error:
            raise SystemExit(f"fleetscope: {error}") from error
    rejects = Rejects(folder, time.time)
    return Writer(target, queue, time.time, rng, rejects, settings.queue_drain_megabytes * 1e6)
