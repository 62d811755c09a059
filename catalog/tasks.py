"""Work the catalog does by itself: imports that wait are planned and applied, what schemas declare is indexed."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from catalog.operations import plan_sweeping, plan_work, ranges
from partners.problems import Problem

log = logging.getLogger(__name__)


@shared_task
def index_attributes() -> None:
    """Index what the newest schemas let partners ask for from and to. They are the truth: a call too many finds
    nothing to do, and what a call broke off or found another at is done by the next."""
    ranges.index_ranges()


@shared_task
def forget_import_rows() -> int:
    """Imports that are over give up their rows, a bounded number at a time; what is left goes the next time."""
    return plan_sweeping.forget_rows(at=timezone.now())


@shared_task
def work_on_imports() -> int:
    """Everything that waits, the oldest first; how many there were.

    Two workers may come to the same import: the second waits for its lock, and finds it done or tries another time.
    """
    waiting = plan_work.waiting()
    for plan in waiting:
        try:
            plan_work.work_on(plan=plan)
        except Problem as problem:
            log.info("%s: %s", plan.number, problem.detail)
        except OperationalError as error:
            log.warning("%s is held by somebody else (%s); it is tried again.", plan.number, error)
        except Exception:
            log.exception("%s cannot be worked on", plan.number)
            plan_work.fail(plan=plan, reason="It went wrong on our side and nothing was changed; the log says more.")
    return len(waiting)
