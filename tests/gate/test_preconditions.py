"""Nobody overwrites what they have not seen, and nobody is told of a change that is none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gate.asking import Held
from tests.gate.cases import READS, WRITES, document, reader, real
from tests.gate.test_authority import headers_for
from tests.gate.world import everything, taken_back

MATCHED = [name for name, write in WRITES.items() if write.needs_match]
ONE_THING = sorted(path for path in READS if path.endswith("}"))
# What is said once and never changes needs no tag.
UNCHANGING = {"/promises/{promiseId}", "/pos/batches/{batchId}"}


def test_everything_that_is_put_patched_or_deleted_asks_for_what_was_seen():
    assert {name for name in WRITES if name.startswith(("PUT", "PATCH", "DELETE"))} == set(MATCHED)


@pytest.mark.parametrize("name", MATCHED)
def test_a_change_needs_the_tag_of_what_it_was_made_from(world, name):
    write, side = WRITES[name], world.alpha
    method, path = name.split(" ", 1)
    client, url = Held(write.client(world, side)), real(path, side, write.thing)
    right = headers_for(world, write, path, side)["If-Match"]
    before = everything()
    for sent, status, code in (
        (None, 428, "precondition_required"),
        ('"0"', 412, "precondition_failed"),
        (f'"{right.strip(chr(34))}0"', 412, "precondition_failed"),
        ("*", 412, "precondition_failed"),
        (f"W/{right}", 412, "precondition_failed"),
        (right.strip('"'), 412, "precondition_failed"),
        ("", 412, "precondition_failed"),
        (f'{right}, "{"0" * 2_000}"', 412, "precondition_failed"),
    ):
        headers = {} if sent is None else {"If-Match": sent}
        answer = client.request(method, url, write.body(side), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (name, sent)
        assert everything() == before, (name, sent)
    done = client.request(method, url, write.body(side), headers={"If-Match": f'"0", {right}'})
    assert done.status_code in write.status, done.content
    again = client.request(method, url, write.body(side), headers={"If-Match": right})
    if method == "DELETE":
        assert (again.status_code, everything() == before) == (404, False)
    elif everything() != before:
        assert done["ETag"] != right
        assert (again.status_code, again.json()["currentEtag"]) == (412, done["ETag"])


@pytest.mark.parametrize("path", ONE_THING)
def test_who_has_it_already_is_told_so_with_a_304(world, path):
    client, url = world.alpha.clients[reader(path)], real(path, world.alpha)
    read = client.get(url)
    if path in UNCHANGING:
        assert client.get(url).content == read.content
        return
    tag = read["ETag"]
    assert tag.startswith('"')
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        same = client.get(url, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag), known
    other = client.get(url, headers={"If-None-Match": '"another"'})
    assert (other.status_code, other.content, other["ETag"]) == (200, read.content, tag)


def seen(world: Any) -> dict[str, tuple[str, bytes]]:
    """Tag and content of every single thing of one side, as its owner reads it."""
    found = {}
    for path in ONE_THING:
        if path not in UNCHANGING:
            url = real(path, world.alpha)
            answer = world.alpha.clients[reader(path)].get(url)
            found[url] = (answer["ETag"], answer.content) if answer.status_code == 200 else ("", b"")
    return found


@pytest.fixture(scope="module")
def at_first() -> dict[str, Any]:
    """What was seen before any step: it is the same before each."""
    return {}


@pytest.mark.parametrize("name", WRITES)
def test_a_tag_changes_exactly_when_what_its_owner_reads_does(world, at_first, name):
    write, side = WRITES[name], world.alpha
    method, path = name.split(" ", 1)
    before = at_first["seen"] = at_first.get("seen") or seen(world)
    headers = headers_for(world, write, path, side)
    with taken_back():
        write.client(world, side).request(method, real(path, side, write.thing), write.body(side), headers=headers)
        after = seen(world)
    for url, (tag, content) in before.items():
        is_same = content == after[url][1]
        assert is_same == (tag == after[url][0]), (name, url, tag, after[url][0], content, after[url][1])


def steps() -> list[str]:
    """The steps that may say what they were decided on."""
    found = []
    for name in WRITES:
        method, path = name.split(" ", 1)
        parameters = document()["paths"][f"/api/v1{path}"][method.lower()].get("parameters", [])
        found += [name for row in parameters if row["name"] == "If-Match" and not row.get("required")]
    return found


def tag_of_the_thing(world: Any, name: str) -> str:
    write, side = WRITES[name], world.alpha
    url = real(name.split(" ", 1)[1], side, write.thing)
    thing = url.split("/lines/")[0] if "/lines/" in url else url.rpartition("/")[0]
    answer = write.client(world, side).get(thing)
    assert answer.status_code == 200, thing
    return str(answer["ETag"])


def test_the_steps_that_are_matched_are_many():
    assert len(steps()) > 25


@pytest.mark.parametrize("name", steps())
def test_a_step_decided_on_what_has_changed_since_is_not_taken(world, name):
    write, side = WRITES[name], world.alpha
    method, path = name.split(" ", 1)
    client, url, right = Held(write.client(world, side)), real(path, side, write.thing), tag_of_the_thing(world, name)
    before = everything()
    for sent in ('"0"', "*", f"W/{right}"):
        stale = client.request(method, url, write.body(side), headers={"If-Match": sent})
        assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed"), (name, sent)
        assert stale.json()["currentEtag"] == right
        assert everything() == before
    for headers in ({"If-Match": right}, {}):
        with taken_back():
            answer = client.request(method, url, write.body(side), headers=headers)
            assert answer.status_code in write.status, (name, headers, answer.content)
