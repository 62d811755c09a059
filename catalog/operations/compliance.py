"""What the law asks of a product is written down beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

from catalog.models import ProductType, RegulatoryNote, Variant
from partners.problems import InvalidInput

NOTES_MAX = 20
REASON = "notes said"
JURISDICTION = re.compile(r"^([A-Z]{2}(-[A-Z0-9]{1,3})?)?\Z")


@dataclass(frozen=True, kw_only=True)
class NoteOf:
    """One rule: where it holds (empty: everywhere), what it asks, which document says so, from and to which day."""

    jurisdiction: str = ""
    text: str
    document: str = ""
    valid_from: date | None = None
    valid_to: date | None = None


def set_notes(*, of: Variant | ProductType, notes: Sequence[NoteOf]) -> bool:
    """Make `notes` the ones there are of a product or a type, which the caller holds locked; whether that changed anything.

    A note that is there already stays the row it is. Raises InvalidInput at `regulatoryNotes`.
    """
    if len(notes) > NOTES_MAX:
        raise InvalidInput.at("regulatoryNotes", f"A product has at most {NOTES_MAX} notes.")
    for place, note in enumerate(notes):
        if not JURISDICTION.fullmatch(note.jurisdiction):
            raise InvalidInput.at(
                f"regulatoryNotes[{place}].jurisdiction", "EU, a country or a part of one (ISO 3166: US, US-CA)."
            )
        if note.valid_from and note.valid_to and note.valid_to < note.valid_from:
            raise InvalidInput.at(f"regulatoryNotes[{place}].validTo", "Ends before it begins.")
    wanted = dict.fromkeys(notes)
    there = {_content(row): row for row in of.regulatory_notes.all()}
    whose = {"variant": of} if isinstance(of, Variant) else {"product_type": of}
    for note, row in there.items():
        if note not in wanted:
            row._change_reason = REASON  # type: ignore[attr-defined]  # read by the history
            row.delete()
    for note in wanted:
        if note not in there:
            row = RegulatoryNote(**whose, **asdict(note))
            row._change_reason = REASON  # type: ignore[attr-defined]  # read by the history
            row.save()
    return wanted.keys() != there.keys()


def _content(row: RegulatoryNote) -> NoteOf:
    return NoteOf(
        jurisdiction=row.jurisdiction, text=row.text, document=row.document, valid_from=row.valid_from,
        valid_to=row.valid_to,
    )  # fmt: skip
