"""The operator's stress run: it proves a book that is right, and tells of one that is not."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from catalog.models import Variant
from stock import stress, stressed
from stock.models import Movement
from tests import make

SMALL = {"operations": 150, "processes": 2, "kills": 1, "variants": 12, "seed": 7}


@pytest.mark.races
def test_a_small_run_with_a_worker_killed_proves_itself(own_database, capsys):
    call_command("stress", json=True, **SMALL)
    result = json.loads(capsys.readouterr().out)
    assert (result["ok"], result["killed"], result["deadlocks"], result["seed"]) == (True, 1, 0, 7)
    assert sum(result["done"].values()) + sum(result["refused"].values()) >= result["operations"] >= 150
    assert {"reserve", "commit", "receive"} <= result["done"].keys()


@pytest.mark.races
def test_an_acknowledged_effect_that_is_not_there_is_told(own_database, tmp_path):
    world = stress.make_world(variants=12, seed=1)
    plan = stress.Plan(seconds=60, operations=60, processes=1, kills=0, seed=1)
    run = stress.run(world=world, plan=plan, folder=tmp_path)
    told = stressed.read(tmp_path)
    assert stressed.differences(world=world, told=told, run=run, deadlocks_seen=0) == []
    told.facts["committed"].append([10**9])
    told.facts["booked"].append([10**9])
    told.facts["reserved"].append([10**9, 1, 1])
    found = stressed.differences(world=world, told=told, run=run, deadlocks_seen=2)
    assert found[0] == "the database broke 2 deadlocks"
    assert sum("1000000000 was acknowledged" in line for line in found) == 4
    assert found[-1].startswith("-1 reservations nobody was told of")
    assert len(found) == 6


@pytest.mark.races
def test_a_worker_that_dies_by_itself_ends_the_run_and_is_told(own_database, tmp_path, monkeypatch):
    def die(worker):
        raise SystemExit(3)

    world = stress.make_world(variants=12, seed=1)
    monkeypatch.setattr(stress.Worker, "step", die)
    run = stress.run(
        world=world, plan=stress.Plan(seconds=60, operations=None, processes=1, kills=0, seed=1), folder=tmp_path
    )
    assert run.deaths == ["a worker ended by itself with 3"]


def test_it_refuses_where_there_is_real_stock(db, capsys):
    make.make_level(variant=make.make_variant(sku="REAL"), warehouse=make.make_warehouse())
    with pytest.raises(CommandError, match="REAL is in stock here"):
        call_command("stress", seconds=1)
    assert (Movement.objects.count(), Variant.objects.count()) == (1, 1)
    assert connection.in_atomic_block
