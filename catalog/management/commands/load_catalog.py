"""manage.py load_catalog: a file of products, or of fitments, becomes the catalog; also ACES and PIES."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from catalog.models import CatalogImport
from catalog.operations import imports, plan_work, plans
from partners import actors, loading
from partners.actors import Actor
from partners.load_command import LoadCommand
from partners.problems import Problem

LISTED_MAX = 1_000


class Command(LoadCommand):
    help = (
        "Creates and revises products from ACES and PIES files (XML, also .gz or .zip), or from CSV, XLSX or JSON lines with the columns productId, name, brand, "
        "productType, parentId, gtin, tracking, shelfLifeDays, warrantyMonths, unit, status, supplierId, supplierCode, "
        "supplierPack, minimumOrderQuantity, orderMultiple, leadTimeDays, leadTimeDeviationDays, cost, currency, "
        "lastConfirmedOn, asin, brandPart, oe, warrantyPer, warrantyTerms, axes (shade|size), axisValues.<axis>, "
        "attributes.<name>; or fitments with productId, make, model, yearFrom, yearTo, engine, position, quantity, note. "
        "Good rows are applied, refused rows listed; exit code 1 when there is any. With --plan nothing is applied: "
        "the plan is kept, to be looked at, applied (--apply) and taken back (--undo) by its number."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        for action in parser._actions:
            if action.dest == "file":
                action.nargs, action.required = "?", False
        steps = parser.add_mutually_exclusive_group()
        steps.add_argument("--plan", action="store_true", help="say what each row would do, and keep that as a plan")
        steps.add_argument("--apply", metavar="NUMBER", help="apply a plan")
        steps.add_argument("--undo", metavar="NUMBER", help="take an applied import back")

    def loader(self, path: Path, actor: Actor) -> loading.Loader:
        return imports.loader_for(path, actor=actor)

    def handle(self, *args: Any, **options: Any) -> None:
        actor = actors.job("load_catalog")
        number = options["apply"] or options["undo"]
        if not number and options["file"] is None:
            raise CommandError("Name a file, or a plan with --apply or --undo.")
        if not number and not options["plan"]:
            return super().handle(*args, **options)
        try:
            with actors.acting(actor):
                if not number:
                    return self.plan(options["file"], actor)
                plan = CatalogImport.objects.filter(number=number).first()
                if plan is None:
                    raise CommandError(f"There is no import {number}.")
                step = plans.apply if options["apply"] else plans.undo
                done = step(plan=plan, actor=actor)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(f"{done.number} is {done.get_state_display().lower()}")
        return None

    def plan(self, path: Path, actor: Actor) -> None:
        """The summary and the number; rows that are refused, the first thousand of them."""
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        opened = plans.open_plan(kind="products", title=path.name, actor=actor)
        watched = partial(tqdm, unit=" rows", disable=None)
        plan = plan_work.plan_path(plan=opened, path=path, actor=actor, watched=watched)
        if plan.state == CatalogImport.State.REFUSED and not plan.refused_count:
            raise CommandError(f"{plan.number} is refused: {plan.reason}")
        for row in plan.rows.filter(outcome="refused").order_by("id")[:LISTED_MAX]:
            for field, why in row.reasons:
                self.stderr.write(f"{plan.place} {row.number}: {field}: {why}")
        for note in plan.notes:
            self.stdout.write(note)
        if plan.effects:
            self.stdout.write(f"felt by stock and orders: {json.dumps(plan.effects)}")
        counts = ", ".join(f"{name} {count}" for name, count in plan.counts.items() if count or name != "dropped")
        self.stdout.write(f"{plan.number} is {plan.get_state_display().lower()}: {counts}")
        if plan.refused_count:
            sys.exit(1)
