"""manage.py stress: random operations from many processes, some of them killed, and then the proof."""

import json
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from stock import stress, stressed


class Command(BaseCommand):
    help = (
        "Works the stock book with random operations from several processes, kills some of them in the middle, and proves"
        " that nothing was oversold, lost, done twice or deadlocked. Exit code 1 when there is any difference. Wants a"
        " database without real stock, since nothing is ever taken out of the ledger again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=60, help="how long, unless --operations is given")
        parser.add_argument("--operations", type=int, help="so many operations, however long they take")
        parser.add_argument("--processes", type=int, default=8, help="workers, each with one connection")
        parser.add_argument("--kills", type=int, default=5, help="so many workers are killed and replaced")
        parser.add_argument("--seed", type=int, help="the same seed makes the same plans; how they meet is chance")
        parser.add_argument("--variants", type=int, default=200, help="fewer products, more collisions")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        seed = options["seed"] if options["seed"] is not None else secrets.randbelow(10**9)
        plan = stress.Plan(
            seconds=options["seconds"], operations=options["operations"], processes=options["processes"],
            kills=options["kills"], seed=seed,
        )  # fmt: skip
        if plan.seconds <= 0 or plan.processes < 1 or plan.kills < 0 or (plan.operations or 1) < 1:
            raise CommandError("Seconds, operations and processes are above zero, kills not below it.")
        if options["variants"] < stress.LINES_MAX:
            raise CommandError(f"It takes {stress.LINES_MAX} products at least.")
        self.stderr.write(f"Seed {seed}.")
        try:
            world = stress.make_world(variants=options["variants"], seed=seed)
        except stress.RealStock as refusal:
            raise CommandError(str(refusal)) from refusal
        folder = Path(tempfile.mkdtemp(prefix="backstock-stress-"))
        deadlocks = stressed.deadlocks()
        with tqdm(total=plan.operations, unit=" operations", disable=None) as bar:
            run = stress.run(world=world, plan=plan, folder=folder, progress=bar.update)
        told = stressed.read(folder)
        deadlocks = stressed.deadlocks() - deadlocks
        differences = stressed.differences(world=world, told=told, run=run, deadlocks_seen=deadlocks)
        result = {
            "ok": not differences,
            "seed": seed,
            "operations": run.operations,
            "seconds": round(run.seconds, 1),
            "operationsPerSecond": round(run.operations / run.seconds),
            "killed": run.killed,
            "deadlocks": deadlocks,
            "done": dict(told.done.most_common()),
            "refused": {f"{verb}: {code}": times for (verb, code), times in told.refused.most_common()},
            "differences": differences,
        }
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self._say(result)
        for difference in differences:
            self.stderr.write(difference)
        if differences:
            self.stderr.write(f"What the workers were told is in {folder}.")
            sys.exit(1)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()

    def _say(self, result: dict[str, Any]) -> None:
        for outcome in ("done", "refused"):
            for verb, times in result[outcome].items():
                self.stdout.write(f"{times:>9,} {outcome}  {verb}")
        self.stdout.write(
            f"{result['operations']:,} operations in {result['seconds']:,} s, {result['operationsPerSecond']:,} a second;"
            f" {result['killed']} workers killed, {result['deadlocks']} deadlocks, seed {result['seed']}."
        )
        self.stdout.write(
            "The book disagrees." if result["differences"] else "The book is right, and so is all it told."
        )
