"""Telling the worker something that is void where there is none: the next one is told afresh what it needs to know."""

import logging

from avatar.client import Worker, WorkerGone
from avatar.messages import ToWorker

logger = logging.getLogger(__name__)


def tell(worker: Worker, message: ToWorker) -> None:
    """Send, or let it be where no worker is ready."""
    try:
        worker.send(message)
    except WorkerGone:
        logger.debug("no worker for %s", type(message).__name__)
