# ruff: noqa: S608  (put together from our own pieces; what is typed are values)
"""The statement that finds: one arm for each way a product is called, each over an index of its own and bounded.

An arm gives id, sku, tier, score, why and what. Tiers: 0 the very code, 1 a code that begins so, 2 the words,
3 near words, vehicles named wrong and the middle of a SKU. A further way to be called is one more arm and one more
index; a further scheme of numbers is neither, for all of them are found among the identifiers.
"""

from __future__ import annotations

from collections.abc import Sequence

# As many rows an arm ranks: a word more products hold says little, and any of them will do.
RANKED_MAX = 2_000
# With so many good hits nobody looks for near ones.
ENOUGH = 20
NEAR_MAX = 300
INSIDE_MAX = 50
WORDS_NEAR_MAX = 6
WORDS_INSIDE_MAX = 20
# Below this it is another word: "fondation" shares 0.54 of its trigrams with "foundation", "brak" 0.57 with "brake".
NEAR = 0.35
# Two letters changed about leave a short word no trigram ("craem"); they are two edits, or one in four letters.
EDITS = "CASE WHEN length(asked.word) < 4 THEN 0 WHEN length(asked.word) = 4 THEN 1 ELSE 2 END"

# What the arms leave of the catalog: all of it, or what the caller may see, or what it asked for besides.
ALL, OWN = "true", "(variant.id IN ({own}) OR variant.id IN ({parents}))"
WITHIN = "variant.id IN (SELECT id FROM within)"
# Whose numbers find something: anybody's; everybody's and the caller's own; those and what offers show to all.
ANYBODYS = "true"
OWN_NUMBERS = "(identifier.partner_id IS NULL OR identifier.partner_id = %(asker)s)"
SHOWN_NUMBERS = f"({OWN_NUMBERS} OR (identifier.scheme = 'supplier' AND identifier.is_main))"

VARIANT = "catalog_variant variant"
IDENTIFIER = "catalog_identifier identifier JOIN catalog_variant variant ON variant.id = identifier.variant_id"
# What is equal to another brand's part is found by that one's number, behind what goes by the number itself.
INTERCHANGE = """
    catalog_interchangemember number
      JOIN catalog_interchangemember equal ON equal.group_id = number.group_id
      JOIN catalog_variant variant ON variant.id = equal.variant_id
"""
OTHERS_NUMBER, BEHIND = "number.variant_id IS NULL", "-1"
IS_GTIN = "identifier.scheme IN ('gtin', 'upc', 'ean')"
IS_CODE = "identifier.scheme NOT IN ('gtin', 'upc', 'ean')"
# What is the caller's own comes before what the same number means to the house or to everybody.
OWN_FIRST = "coalesce(identifier.partner_id = %(asker)s::bigint, false)::int"
WHY_CODE = """
    CASE identifier.scheme WHEN 'supplier' THEN 'supplierCode' WHEN 'partner' THEN 'partnerCode'
                           ELSE identifier.scheme END
"""
WHY_BARCODE = "CASE WHEN identifier.pack_id IS NULL THEN 'barcode' ELSE 'packBarcode' END"
# Always true, and says it is dear: else the planner reads the table from its beginning wherever a word is common,
# and looking into a document costs far more than it believes.
BY_INDEX = "catalog_by_index(search)"


def _begins(code: str, typed: str) -> str:
    """Codes that begin so, read from the index alone: LIKE would compute each of them again."""
    return f"{code} ~>=~ {typed} AND {code} ~<~ ({typed} || U&'\\+10FFFF')"


def _code(source: str, column: str, why: str, *, own: str = "0", among: str = "true") -> str:
    """Numbers compared without dashes and capitals; the one written as it was typed comes first."""
    return f"""
    SELECT variant.id, variant.sku, 0 AS tier, (2 * {own} + (upper({column}) = upper(%(text)s))::int)::real AS score,
           {why}::text AS why, {column}::text AS what
      FROM {source}
     WHERE catalog_code({column}) = catalog_code(%(text)s) AND catalog_code(%(text)s) <> ''
       AND {among} AND {{mine}} LIMIT {{most}}
    """


def _code_begun(source: str, column: str, why: str, *, own: str = "0", among: str = "true") -> str:
    return f"""
    SELECT variant.id, variant.sku, 1, {own}, {why}::text, {column}::text FROM {source}
     WHERE {_begins(f"catalog_code({column})", "catalog_code(%(text)s)")}
       AND catalog_code(%(text)s) <> '' AND {among} AND {{mine}}
     ORDER BY catalog_code({column}) USING ~<~ LIMIT {{most}}
    """


# Every number a product goes by, its packs' and somebody's own among them. Barcodes are compared without their
# leading zeros, which spreadsheets eat.
CODES = (
    _code(VARIANT, "variant.sku", "'sku'"),
    _code_begun(VARIANT, "variant.sku", "'sku'"),
    _code(IDENTIFIER, "identifier.value", WHY_CODE, own=OWN_FIRST, among=f"{IS_CODE} AND {{numbers}}"),
    _code_begun(IDENTIFIER, "identifier.value", WHY_CODE, among=f"{IS_CODE} AND {{numbers}}"),
    _code(INTERCHANGE, "number.part_number", "'interchange'", own=BEHIND, among=OTHERS_NUMBER),
    _code_begun(INTERCHANGE, "number.part_number", "'interchange'", own=BEHIND, among=OTHERS_NUMBER),
)
BARCODES = f"""
    SELECT variant.id, variant.sku, 0, {OWN_FIRST}, {WHY_BARCODE}::text, identifier.value::text FROM {IDENTIFIER}
     WHERE {IS_GTIN} AND ltrim(identifier.plain, '0') = ANY(%(barcodes)s::text[]) AND {{numbers}} AND {{mine}}
     LIMIT {{most}}
"""
BARCODES_BEGUN = f"""
    SELECT variant.id, variant.sku, 1, 0, {WHY_BARCODE}::text, identifier.value::text FROM {IDENTIFIER}
     WHERE {IS_GTIN} AND {_begins("ltrim(identifier.plain, '0')", "%(digits)s::text")} AND {{numbers}} AND {{mine}}
     ORDER BY ltrim(identifier.plain, '0') USING ~<~ LIMIT {{most}}
"""

NAME_BEGINS = f"""
    SELECT variant.id, variant.sku, 2, 2 + 1.0 / (1 + length(variant.name)), 'name', '' FROM {VARIANT}
     WHERE {_begins("catalog_fold(variant.name)", "%(folded)s::text")} AND {{mine}}
     ORDER BY catalog_fold(variant.name) USING ~<~ LIMIT {{most}}
"""

# ts_rank takes the weights as {D, C, B, A}: SKU, attributes, brand, name; 1 tells it to prefer the shorter document.
_RANK = """
    ts_rank('{{0.1, 0.2, 0.5, 1}}', variant.search, to_tsquery('catalog_words', %(typed)s), 1)
    + (variant.search @@ to_tsquery('catalog_words', %(whole)s))::int
"""
WORDS = f"""
    SELECT variant.id, variant.sku, 2, {_RANK}, 'words', ''
      FROM (SELECT id, sku, search FROM {VARIANT}
             WHERE search @@ to_tsquery('catalog_words', %(typed)s) AND {BY_INDEX} AND {{mine}}
             LIMIT {RANKED_MAX}) variant
     ORDER BY 4 DESC LIMIT {{most}}
"""

# The vehicles that are named: each also by the models its name is an alias of, and by the aliases it has; but by no
# other alias of those models (as in catalog.fitting).
_NAMED = """
    {name}_above (make_key, model_key) AS (
        SELECT * FROM unnest(%({name}_makes)s::text[], %({name}_models)s::text[])
         UNION SELECT alias.make_key, alias.means_key FROM {name}_above above JOIN catalog_vehiclealias alias
            ON alias.status = 'confirmed' AND alias.make_key = above.make_key AND alias.model_key = above.model_key
    ), {name}_below (make_key, model_key) AS (
        SELECT * FROM unnest(%({name}_makes)s::text[], %({name}_models)s::text[])
         UNION SELECT alias.make_key, alias.model_key FROM {name}_below below JOIN catalog_vehiclealias alias
            ON alias.status = 'confirmed' AND alias.make_key = below.make_key AND alias.means_key = below.model_key
    ), {name} AS MATERIALIZED (SELECT * FROM {name}_above UNION SELECT * FROM {name}_below),
"""


def _fits(name: str) -> str:
    """The part fits one of the vehicles `name` stands for, in the year where one is said."""
    return f"""
    variant.id IN (
        SELECT fitment.variant_id
          FROM {name} JOIN catalog_fitment fitment
            ON fitment.make_key = {name}.make_key AND fitment.model_key = {name}.model_key
         WHERE fitment.year_from <= coalesce(%({name}_year)s, fitment.year_from)
           AND fitment.year_to >= coalesce(%({name}_year)s, fitment.year_to))
    """


MEANT, NEARLY = "meant", "nearly"
FITS = f"""
    SELECT variant.id, variant.sku, 2, {_RANK.replace("typed", "typed_rest").replace("whole", "whole_rest")}, 'vehicle', ''
      FROM (SELECT id, sku, search FROM {VARIANT}
             WHERE search @@ to_tsquery('catalog_words', %(typed_rest)s) AND {BY_INDEX} AND {_fits(MEANT)} AND {{mine}}
             LIMIT {RANKED_MAX}) variant
     ORDER BY 4 DESC LIMIT {{most}}
"""
FITS_WHATEVER = f"""
    SELECT variant.id, variant.sku, 2, 0, 'vehicle', '' FROM {VARIANT} WHERE {_fits(MEANT)} AND {{mine}} LIMIT {{most}}
"""
NEARLY_FITS_WHATEVER = f"""
    SELECT variant.id, variant.sku, 3, 0, 'vehicle', '' FROM {VARIANT}
     WHERE (SELECT near FROM more) AND {_fits(NEARLY)} AND {{mine}} LIMIT {NEAR_MAX}
"""


def near_ways(*, sure: int) -> str:
    """The words there are that look like `asked.word`; in its first letters, so many, nothing is wrong."""
    return f"""
    (SELECT word FROM catalog_searchword
      WHERE word %% asked.word AND similarity(word, asked.word) >= {NEAR}
      ORDER BY similarity(word, asked.word) DESC, word LIMIT {WORDS_NEAR_MAX})
    UNION ALL
    (SELECT word FROM catalog_searchword
      WHERE {_begins("word", f"left(asked.word, {sure})")} AND levenshtein_less_equal(word, asked.word, 2) <= {EDITS}
      ORDER BY levenshtein(word, asked.word), word LIMIT {WORDS_NEAR_MAX})
    """


# Each word as it is, or one of those that look like it or hold it: quoted, for a lexeme may hold anything.
_WAYS = rf"""
    SELECT string_agg('(' || each.ways || ')', ' & ')::tsquery
      FROM unnest(%(REST)s::text[]) AS asked (word),
           LATERAL (
               SELECT string_agg('''' || replace(replace(way, '\', '\\'), '''', '''''') || '''', ' | ') AS ways
                 FROM (SELECT asked.word AS way
                       UNION ALL {near_ways(sure=2)}
                       UNION ALL
                       (SELECT word FROM catalog_searchword
                         WHERE length(asked.word) >= 3 AND word LIKE '%%' || asked.word || '%%'
                         ORDER BY length(word), word LIMIT {WORDS_INSIDE_MAX})) known) each
"""


def _near_words(*, rest: str, fits: str, why: str) -> str:
    return f"""
    SELECT id, sku, 3, word_similarity(%(folded)s, catalog_fold(brand || ' ' || name)), '{why}', ''
      FROM (SELECT variant.id, variant.sku, variant.brand, variant.name FROM {VARIANT}
             WHERE (SELECT near FROM more) AND variant.search @@ ({_WAYS.replace("REST", rest)}) AND {BY_INDEX}
               AND {fits} AND {{mine}}
             LIMIT {NEAR_MAX}) variant
    """


NEAR_WORDS = _near_words(rest="rest", fits="true", why="near")
NEAR_WORDS_FITTING = _near_words(rest="rest", fits=_fits(MEANT), why="near")
NEARLY_FITS = _near_words(rest="nearly_rest", fits=_fits(NEARLY), why="vehicle")
INSIDE_SKU = f"""
    SELECT id, sku, 3, 0, 'sku', sku
      FROM (SELECT variant.id, variant.sku FROM {VARIANT}
             WHERE (SELECT inside FROM more) AND variant.sku ILIKE %(inside)s AND {BY_INDEX} AND {{mine}}
             LIMIT {INSIDE_MAX}) variant
"""


def compose(
    *,
    arms: Sequence[str],
    more: Sequence[str],
    within: str | None,
    own: tuple[str, str] | None,
    numbers: str,
    vehicles: Sequence[str],
    most: int,
) -> str:
    """The whole statement: the `arms`; `more` of them, which run only where those found too little; the best first.

    `within` is the query of the ids that are asked for, `own` are those of the caller's assortment (its products, and
    their parents); None for all. `numbers` says whose numbers count, `vehicles` which of MEANT and NEARLY are asked.
    Of the `most` best it gives `limit` behind a place, where one is said.
    """
    mine = [WITHIN] if within else []
    mine += [OWN.format(own=own[0], parents=own[1])] if own else []
    fill = {
        "most": str(most),
        "mine": " AND ".join(mine) or ALL,
        "numbers": numbers,
    }
    good = " UNION ALL ".join(f"({arm.format(**fill)})" for arm in arms)
    near = " UNION ALL ".join(f"({arm.format(**fill)})" for arm in more)
    return f"""
    WITH RECURSIVE {"".join(_NAMED.format(name=name) for name in vehicles)}
    {f"within (id) AS NOT MATERIALIZED ({within})," if within else ""}
    good (id, sku, tier, score, why, what) AS MATERIALIZED ({good}),
    more (near, inside) AS MATERIALIZED (
        SELECT count(*) < {ENOUGH} AND coalesce(min(tier), 2) > 0, count(*) = 0
          FROM (SELECT tier FROM good LIMIT {ENOUGH}) few),
    best AS (
        SELECT DISTINCT ON (id) * FROM (SELECT * FROM good {f"UNION ALL {near}" if near else ""}) found
         ORDER BY id, tier, score DESC)
    SELECT *
      FROM (SELECT id, sku COLLATE "C" AS sku, tier, (-1000000 * score)::bigint AS score, why, what
              FROM best ORDER BY 3, 4, 2 LIMIT {most}) ranked
     WHERE %(after_sku)s::text IS NULL OR (tier, score, sku) > (%(after_tier)s, %(after_score)s, %(after_sku)s)
     ORDER BY tier, score, sku LIMIT %(limit)s
    """
