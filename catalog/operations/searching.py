"""What products are found by, made anew: after an upgrade of PostgreSQL, and to sweep words nobody uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction

SLICE = 10_000

# Written to be the same, so that the database computes its own column again.
MEND = """
UPDATE catalog_variant SET name = name
 WHERE id > %s AND id <= %s AND search IS DISTINCT FROM catalog_document(sku, name, brand, attributes)
"""
NEXT_SLICE = "SELECT max(id) FROM (SELECT id FROM catalog_variant WHERE id > %s ORDER BY id LIMIT %s) slice"
# Words and vehicles are learnt before any is forgotten: somebody may be searching.
WORDS = """
CREATE TEMP TABLE used_word ON COMMIT DROP AS
SELECT catalog_terms(search) AS word FROM catalog_variant
 UNION
SELECT unnest(catalog_vehicle_terms(words)) FROM catalog_searchvehicle
"""
LEARN_WORDS = "SELECT catalog_learn(ARRAY(SELECT word FROM used_word))"
FORGET_WORDS = """
DELETE FROM catalog_searchword word
 WHERE NOT EXISTS (SELECT FROM used_word used WHERE used.word = word.word)
    OR EXISTS (SELECT FROM catalog_searchword twin WHERE twin.word = word.word AND twin.id < word.id)
"""
FORGET_VEHICLES = """
DELETE FROM catalog_searchvehicle vehicle
 WHERE NOT EXISTS (SELECT FROM catalog_fitment fitment
                    WHERE fitment.make = vehicle.make AND fitment.model = vehicle.model)
    OR EXISTS (SELECT FROM catalog_searchvehicle twin
                WHERE twin.make = vehicle.make AND twin.model = vehicle.model AND twin.id < vehicle.id)
    OR words <> catalog_vehicle_words(make, model)
"""
LEARN_VEHICLES = """
INSERT INTO catalog_searchvehicle (make, model, words)
SELECT make, model, catalog_vehicle_words(make, model)
  FROM (SELECT DISTINCT make, model FROM catalog_fitment WHERE make <> '') used
 WHERE NOT EXISTS (SELECT FROM catalog_searchvehicle known WHERE known.make = used.make AND known.model = used.model)
"""
INDEXES = ("variant_search", "variant_name_start", "variant_code", "identifier_code", "vehicle_alias_words")


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """How many documents differed, words and vehicles were forgotten, vehicles learnt. All 0: nothing was amiss."""

    documents: int
    words: int
    vehicles_forgotten: int
    vehicles_learnt: int


def rebuild(*, indexes: bool = False) -> Rebuilt:
    """Compute every document again, mend those that differ, and forget words and vehicles nothing goes by any more.

    Nothing differs unless the rules of folding did: they come with PostgreSQL's major version, after which the
    `indexes` over folded names want to be made anew, too. Works in slices of 10,000 products, each a transaction;
    search goes on meanwhile. A second run does nothing.
    """
    documents = sum(_mend(first, last) for first, last in _slices())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FORGET_VEHICLES)
        forgotten = cursor.rowcount
        cursor.execute(LEARN_VEHICLES)
        learnt = cursor.rowcount
        cursor.execute(WORDS)
        cursor.execute(LEARN_WORDS)
        cursor.execute(FORGET_WORDS)
        words = cursor.rowcount
        cursor.execute("DROP TABLE used_word")
    if indexes:
        with connection.cursor() as cursor:
            for index in INDEXES:
                cursor.execute(f"REINDEX INDEX CONCURRENTLY {index}")
    return Rebuilt(documents=documents, words=words, vehicles_forgotten=forgotten, vehicles_learnt=learnt)


def _slices() -> Iterator[tuple[int, int]]:
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(NEXT_SLICE, [last, SLICE])
            [upto] = cursor.fetchone()
        if upto is None:
            return
        yield last, upto
        last = upto


def _mend(first: int, last: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(MEND, [first, last])
        mended: int = cursor.rowcount
    return mended
