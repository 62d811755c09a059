# ruff: noqa: S608  (put together from our own pieces; what is typed are values)
"""Finding products by anything they are called."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from catalog.models import Variant
from catalog.models.product import own_products
from catalog.search import question, statement
from catalog.search.question import Meant, Question, Vehicle
from partners.models import Partner

HITS_MAX = 1_000
NEAR_TIER = 3
VEHICLES_SEEN_MAX = 2_000
GUESSED_MAX = 4
DIGITS_MIN = 4
INSIDE_MIN = 3

# A word of letters that no product and no vehicle knows may be a vehicle's typed wrong; a number with no blank in it
# is nobody's typing error.
UNDERSTAND = f"""
WITH said AS MATERIALIZED (SELECT catalog_split(%(text)s) AS words),
guessed AS MATERIALIZED (
    SELECT asked.word, near.ways
      FROM (SELECT DISTINCT asked.word FROM said, unnest(said.words) asked (word)
             WHERE %(text)s LIKE '%% %%' AND asked.word ~ '^[[:alpha:]]{{4,40}}$'
               AND NOT EXISTS (SELECT FROM catalog_searchword known WHERE known.word = asked.word)
             LIMIT {GUESSED_MAX}) asked,
           LATERAL (SELECT array_agg(way) AS ways FROM ({statement.near_ways(sure=1)}) known (way)) near),
named AS (
    SELECT make_key, model_key, make, model FROM catalog_searchvehicle, said
     WHERE catalog_searchvehicle.words && (said.words || ARRAY(SELECT unnest(ways) FROM guessed))
     UNION
    SELECT make_key, model_key, make, model FROM catalog_vehiclealias, said
     WHERE status = 'confirmed'
       AND catalog_vehicle_words(make, model) && (said.words || ARRAY(SELECT unnest(ways) FROM guessed)))
SELECT catalog_fold(%(text)s), (SELECT jsonb_object_agg(word, ways) FROM guessed WHERE ways IS NOT NULL),
       vehicle.make_key, vehicle.model_key, catalog_split(vehicle.make), catalog_split(vehicle.model),
       lower(catalog_code(catalog_fold(vehicle.model)))
  FROM (SELECT) one
  LEFT JOIN (SELECT * FROM named, said
              ORDER BY catalog_vehicle_words(make, model) && said.words DESC, make_key, model_key, make, model
              LIMIT %(most)s) vehicle ON true
"""


# Where a hit stands among the others: tier, score (less is better) and SKU. No two stand in the same place.
Place = tuple[int, int, str]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A product that was found, where it stands, and by what of it.

    `why` is sku, barcode, packBarcode, supplierCode, partnerCode, asin, brandPart, oe, interchange (another brand's
    number of a part it is equal to), name, words, vehicle or near; `what` the number, where it is one.
    """

    variant_id: int
    sku: str
    place: Place
    why: str
    what: str

    @property
    def is_exact(self) -> bool:
        """The very code was asked for."""
        return self.place[0] == 0

    @property
    def is_near(self) -> bool:
        """Only something like it was asked for."""
        return self.place[0] == NEAR_TIER


def find(
    text: str,
    *,
    within: QuerySet[Variant] | None = None,
    partner: Partner | None = None,
    most: int = HITS_MAX,
    limit: int | None = None,
    after: Place | None = None,
) -> list[Hit]:
    """Products called so, the best first: by SKU, any number they or their packs are known by, the words of name,
    brand and attributes, the vehicle they fit; typed wrong, without accents or in part.

    `within` is what is asked for (None: everything). A `partner` (None: staff) finds its assortment only, and
    nothing by a number that is another's own; what the number means to itself comes first. The `most` ≤ 1,000 best are ranked; a page
    of them is `limit` hits `after` a place. No text, no hits.
    Two queries, each a handful of index scans of bounded length.
    """
    asked = understand(text)
    if not asked.words:
        return []
    try:
        sql, values = prepare(asked, within=within, partner=partner, most=most)
    except EmptyResultSet:  # nothing at all may be found
        return []
    tier, score, sku = after or (None, None, None)
    page = {"after_tier": tier, "after_score": score, "after_sku": sku, "limit": limit or most}
    with connection.cursor() as cursor:
        cursor.execute(sql, values | page)
        return [
            Hit(variant_id=variant_id, sku=sku, place=(tier, score, sku), why=why, what=what)
            for variant_id, sku, tier, score, why, what in cursor.fetchall()
        ]


def prepare(
    asked: Question, *, within: QuerySet[Variant] | None = None, partner: Partner | None = None, most: int = HITS_MAX
) -> tuple[str, dict[str, Any]]:
    """The statement that answers a question, and its values; its first page, unless they are replaced.

    Raises EmptyResultSet where nothing may be found.
    """
    values = _values(asked)
    arms, more = _arms(asked)
    most = min(most, HITS_MAX)
    sql = statement.compose(
        arms=arms,
        more=more,
        within=_ids(within.values("pk"), values) if within is not None and within.query.where else None,
        own=_assortment(partner, values),
        numbers=_numbers(partner),
        vehicles=[name for name, meant in _vehicles(asked) if meant],
        most=most,
    )
    page = {"after_tier": None, "after_score": None, "after_sku": None, "limit": most}
    return sql, values | page | {"asker": partner.pk if partner else None}


def understand(text: str) -> Question:
    """The text taken apart, as far as its words name vehicles there are parts for. One query."""
    text = question.cut(text)
    with connection.cursor() as cursor:
        cursor.execute(UNDERSTAND, {"text": text, "most": VEHICLES_SEEN_MAX})
        rows = cursor.fetchall()
    vehicles = [
        Vehicle(make_key=make, model_key=model, make_words=make_words, model_words=model_words, written=written)
        for _, _, make, model, make_words, model_words, written in rows
        if make is not None
    ]
    folded, ways = rows[0][:2]
    return question.ask(text, folded, vehicles, json.loads(ways) if ways else None)


def _arms(asked: Question) -> tuple[list[str], list[str]]:
    """The arms a question needs, and those for when they find too little."""
    arms = [*statement.CODES, statement.NAME_BEGINS, statement.WORDS]
    if question.barcodes(asked.text):
        arms.append(statement.BARCODES)
    if len(_digits(asked.text)) >= DIGITS_MIN:
        arms.append(statement.BARCODES_BEGUN)
    if asked.meant:
        arms.append(statement.FITS if asked.rest else statement.FITS_WHATEVER)
    more = []
    if not asked.is_short:
        if asked.rest:
            more.append(statement.NEAR_WORDS_FITTING if asked.meant else statement.NEAR_WORDS)
        if asked.nearly:
            more.append(statement.NEARLY_FITS if asked.nearly.rest else statement.NEARLY_FITS_WHATEVER)
        more += [statement.INSIDE_SKU] if len(asked.text) >= INSIDE_MIN else []
    return arms, more


def _values(asked: Question) -> dict[str, Any]:
    values: dict[str, Any] = {
        "text": asked.text,
        "folded": asked.folded,
        "inside": f"%{_literally(asked.text)}%",
        "barcodes": question.barcodes(asked.text),
        "digits": _digits(asked.text),
        "typed": _typed(asked.words, is_short=asked.is_short),
        "whole": " & ".join(_ways(word) for word in asked.words),
        "typed_rest": _typed(asked.rest, is_short=False),
        "whole_rest": " & ".join(_ways(word) for word in asked.rest),
        "rest": list(asked.rest),
    }
    for name, meant in _vehicles(asked):
        keys = list(dict.fromkeys((one.make_key, one.model_key) for one in meant.vehicles)) if meant else []
        values[f"{name}_makes"] = [make for make, _ in keys]
        values[f"{name}_models"] = [model for _, model in keys]
        values[f"{name}_year"] = meant.year if meant else None
        values[f"{name}_rest"] = list(meant.rest) if meant else []
    return values


def _vehicles(asked: Question) -> list[tuple[str, Meant | None]]:
    return [(statement.MEANT, asked.meant), (statement.NEARLY, asked.nearly)]


def _numbers(partner: Partner | None) -> str:
    """Our own channels know everybody's numbers, as staff do; a supplier its own; others those of all offers, too."""
    if partner is None or partner.kind == Partner.Kind.CHANNEL:
        return statement.ANYBODYS
    return statement.OWN_NUMBERS if partner.speaks_for_itself else statement.SHOWN_NUMBERS


def _typed(words: Sequence[str], *, is_short: bool) -> str:
    """The words as a tsquery: all of them; the last may go on, for somebody may still be typing."""
    if is_short or not words:
        return " & ".join(_ways(word) for word in words)
    return " & ".join([*(_ways(word) for word in words[:-1]), _ways(words[-1], ends=":*")])


def _ways(word: str, ends: str = "") -> str:
    """A word, or its singular where it looks like a plural: `pads` finds a brake pad."""
    ways = [f"'{word}'{ends}"]
    if len(word) > 3 and word.endswith("s"):
        ways.append(f"'{word[:-1]}'")
    return f"({' | '.join(ways)})"


def _digits(text: str) -> str:
    """A barcode as far as it is typed, without leading zeros."""
    digits = re.sub(r"[\s-]", "", text)
    return digits.lstrip("0") if digits.isascii() and digits.isdigit() and len(digits) <= 14 else ""


def _literally(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _assortment(partner: Partner | None, values: dict[str, Any]) -> tuple[str, str] | None:
    if partner is None or partner.assortment == Partner.Assortment.ALL:
        return None
    own, parents = own_products(partner)
    return _ids(own, values), _ids(parents, values)


def _ids(rows: QuerySet[Any, Any], values: dict[str, Any]) -> str:
    """The SQL of a query of ids; what it compares with joins the statement's `values` under names of its own."""
    sql, parameters = rows.order_by().query.sql_with_params()
    given = iter(parameters)

    def name(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%%"
        key = f"given_{len(values)}"
        values[key] = next(given)
        return f"%({key})s"

    return re.sub(r"%%|%s", name, sql)
