"""Which words there are: what is typed wrong is compared with these, not with every product."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from catalog.models.keys import KeptKey, PlainKey


class SearchWord(models.Model):
    """A word some product's name, brand or attributes hold, or the name of a vehicle, or held once.

    Kept by triggers (migrations 0007, 0008), which add and never take away: a word too many costs nothing. Nothing is
    unique here, so that two who write the same new word do not wait for each other; `rebuild_search` sweeps.
    """

    word = models.CharField(max_length=40)

    class Meta:
        indexes = [
            models.Index(fields=["word"], name="search_word", opclasses=["text_pattern_ops"]),
            GinIndex(fields=["word"], name="search_word_trigrams", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.word


class SearchVehicle(models.Model):
    """A make and model some part fits, with the words people call it by: "f", "150", "f150", "ford". Kept likewise."""

    make = models.CharField(max_length=60)
    model = models.CharField(max_length=100)
    words = ArrayField(models.TextField())
    make_key = KeptKey(expression=PlainKey("make"))
    model_key = KeptKey(expression=PlainKey("model"))

    class Meta:
        indexes = [
            models.Index(fields=["make", "model"], name="search_vehicle"),
            GinIndex(fields=["words"], name="search_vehicle_words"),
        ]

    def __str__(self) -> str:
        return f"{self.make} {self.model}"
