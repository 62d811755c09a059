"""One search over the catalog, for partners, staff's lists and the palette: `search.find(...)`."""

from catalog.search.finding import HITS_MAX, Hit, Place, find
from catalog.search.question import TEXT_MAX

__all__ = ["HITS_MAX", "TEXT_MAX", "Hit", "Place", "find"]
