"""Which product a brand's part number stands for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef

from catalog.models import Identifier, Variant
from catalog.models.identifier import plain_code

type PartKey = tuple[str, str]
"""The AAIA id of a brand, and its part number without separators and case."""

SKU_LENGTH_MAX = 64
NOT_IN_A_SKU = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A product, whose it is, and whether it bears a brand's number."""

    pk: int
    sku: str
    is_parent: bool
    brand: str
    aaia_id: str
    is_numbered: bool = True


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The products that bear some part numbers: by brand, and those of whom only the name of the brand is known."""

    of_brand: dict[PartKey, list[Known]] = field(default_factory=lambda: defaultdict(list))
    of_no_brand: dict[str, list[Known]] = field(default_factory=lambda: defaultdict(list))

    def found(self, part: PartKey, label: str = "") -> list[Known]:
        """The products of a part: those of its brand, else those whose brand is only called as it is."""
        if products := self.of_brand.get(part):
            return products
        wanted = label.casefold()
        return [known for known in self.of_no_brand.get(part[1], ()) if wanted and known.brand.casefold() == wanted]


def key(brand: str, number: str) -> PartKey:
    return brand.upper(), plain_code(number)


def sku_of(brand: str, number: str) -> str:
    """The SKU of a part that comes into the catalog: `ZZIR-BRK-4417`; what no SKU may hold becomes a dash."""
    return NOT_IN_A_SKU.sub("-", f"{brand.upper()}-{number}").rstrip("-")


def find(parts: Iterable[PartKey]) -> Parts:
    """The products that bear these numbers as their brand's (identifiers of the scheme brandPart).

    A product is of the brand its attribute `brandAaiaId` names. One query, by the index of numbers.
    """
    found = Parts()
    rows = Identifier.objects.filter(scheme=Identifier.Scheme.BRAND_PART, plain__in={plain for _, plain in parts})
    seen: set[tuple[str, int]] = set()
    for plain, pk, sku, is_parent, brand, aaia_id in rows.order_by("variant_id").values_list(
        "plain",
        "variant_id",
        "variant__sku",
        "variant__is_parent",
        "variant__brand",
        "variant__attributes__brandAaiaId",
    ):
        if (plain, pk) in seen:
            continue
        seen.add((plain, pk))
        owner = _owner(aaia_id)
        known = Known(pk=pk, sku=sku, is_parent=is_parent, brand=brand, aaia_id=owner)
        if owner:
            found.of_brand[owner, plain].append(known)
        else:
            found.of_no_brand[plain].append(known)
    return found


def with_skus(skus: Collection[str]) -> dict[str, Known]:
    """The products of these SKUs, whatever numbers they bear. One query."""
    numbered = Identifier.objects.filter(variant=OuterRef("pk"), scheme=Identifier.Scheme.BRAND_PART)
    rows = Variant.objects.filter(sku__in=skus).annotate(is_numbered=Exists(numbered))
    return {
        sku: Known(pk=pk, sku=sku, is_parent=is_parent, brand=brand, aaia_id=_owner(aaia_id), is_numbered=is_numbered)
        for pk, sku, is_parent, brand, aaia_id, is_numbered in rows.values_list(
            "pk", "sku", "is_parent", "brand", "attributes__brandAaiaId", "is_numbered"
        )
    }


def _owner(aaia_id: object) -> str:
    """The attribute may be anything staff or a file put there."""
    return aaia_id.upper() if isinstance(aaia_id, str) else ""
