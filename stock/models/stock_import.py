from __future__ import annotations

from functools import partial

from django.db import models
from django.db.models import F, Q

from catalog.models import Variant
from partners import numbers
from partners.models import Partner
from stock.models.batch import Batch
from stock.models.warehouse import Warehouse


class StockImportQuerySet(models.QuerySet["StockImport"]):
    def for_partner(self, partner: Partner) -> StockImportQuerySet:
        """What somebody sent in is their own business; our own channels see all."""
        return self if partner.kind == Partner.Kind.CHANNEL else self.filter(partner=partner)

    def lock(self) -> StockImportQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class StockImport(models.Model):
    """What another system says lies in warehouses: taken in whole first, then applied in chunks, each recorded.

    Its numbers contain the departures of a range of each warehouse's logical timestamps (`StockImportRange`); what left
    later is taken off them.
    """

    class Mode(models.TextChoices):
        SNAPSHOT = "snapshot", "What lies there"
        DELTA = "delta", "What came or went"

    class Basis(models.TextChoices):
        ON_HAND = "onHand", "On hand"
        ATP_WITHOUT_ORDERS = "atpWithoutYourOrders", "Free to promise, our orders not taken off"
        ATP_WITH_ORDERS = "atpWithYourOrders", "Free to promise, our orders taken off"

    class Scope(models.TextChoices):
        LISTED = "listed", "What is listed"
        ALL = "all", "All that left"

    class State(models.TextChoices):
        CREATED = "created", "Created"
        RUNNING = "running", "Running"
        APPLIED = "applied", "Applied"
        FAILED = "failed", "Failed"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "SI"), editable=False)
    title = models.CharField(max_length=200, blank=True)
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.SNAPSHOT)
    basis = models.CharField(max_length=20, choices=Basis)
    scope = models.CharField(max_length=6, choices=Scope, default=Scope.LISTED)
    state = models.CharField(max_length=7, choices=State, default=State.CREATED)
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Who sent it; empty: we."
    )
    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text="Of rows that name none.",
    )  # fmt: skip
    snapshot_id = models.CharField(max_length=120, blank=True, help_text="The sender's own name for it.")
    fingerprint = models.CharField(max_length=64, editable=False, help_text="SHA-256 over what was sent.")
    actor = models.CharField(max_length=160, help_text="Who sent it.")
    started_by = models.CharField(max_length=160, blank=True)
    row_count = models.PositiveIntegerField("rows", default=0)
    changed_count = models.PositiveIntegerField("changed", default=0)
    unchanged_count = models.PositiveIntegerField("unchanged", default=0)
    refused_count = models.PositiveIntegerField("refused", default=0)
    reason = models.TextField(blank=True, help_text="Why it failed.")
    file_name = models.CharField(max_length=200, blank=True)
    file_content = models.BinaryField(null=True, help_text="What was sent, until all its rows are taken in.")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    taken_in_at = models.DateTimeField(null=True, help_text="When all its rows were there.")
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = StockImportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "stock import"
        indexes = [
            models.Index(fields=["partner", "-id"], name="stock_import_by_partner"),
            models.Index(
                fields=["id"], name="stock_import_at_work",
                condition=Q(state="running") | Q(state="created", taken_in_at=None),
            ),
        ]  # fmt: skip
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "snapshot_id"], name="stock_import_snapshot_once", condition=~Q(snapshot_id=""),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(state__in=["created", "running", "applied", "failed"]), name="stock_import_state_known"
            ),
            models.CheckConstraint(
                condition=Q(basis__in=["onHand", "atpWithoutYourOrders", "atpWithYourOrders"]),
                name="stock_import_basis_known",
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(started_at__isnull=False, taken_in_at__isnull=False),
                name="stock_import_applied_once_started",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.number

    @property
    def done_count(self) -> int:
        """Rows that are over, whichever way."""
        return self.changed_count + self.unchanged_count + self.refused_count


class StockImportRange(models.Model):
    """Of one warehouse: the numbers contain what left at these logical timestamps, both ends included.

    `starts` null: from the first; `ends` null: nothing is said, see `ranges.contained`. `promised` is what the sender
    has taken off already for orders of ours, by variant, where the basis is `atpWithYourOrders`.
    """

    stock_import = models.ForeignKey(StockImport, on_delete=models.CASCADE, related_name="ranges", db_index=False)
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    starts = models.BigIntegerField(null=True)
    ends = models.BigIntegerField(null=True)
    promised = models.JSONField(default=dict)

    class Meta:
        ordering = ["warehouse_id"]
        constraints = [
            models.UniqueConstraint(fields=["stock_import", "warehouse"], name="stock_import_range_once"),
            models.CheckConstraint(
                condition=Q(starts=None) | Q(starts__gte=1, ends__gte=F("starts")), name="stock_import_range_forward"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.warehouse.code}: {self.starts or '…'}-{self.ends or '…'}"


class StockImportRow(models.Model):
    """One row: what it says lies at a place, and what that did. Places are unique among the rows not refused."""

    class Outcome(models.TextChoices):
        WAITING = "waiting", "Waiting"
        CHANGED = "changed", "Changed"
        UNCHANGED = "unchanged", "Unchanged"
        REFUSED = "refused", "Refused"

    # The index by outcome begins with it.
    stock_import = models.ForeignKey(StockImport, on_delete=models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField(help_text="As people count; the header of a table is row 1.")
    sku = models.CharField("SKU", max_length=64, blank=True)
    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    batch_number = models.CharField(max_length=60, blank=True)
    expires_on = models.DateField(null=True)
    quantity = models.BigIntegerField(default=0, help_text="As it was said: what lies there, or what came or went.")
    outcome = models.CharField(max_length=9, choices=Outcome, default=Outcome.WAITING)
    before = models.BigIntegerField(null=True, help_text="On hand by the book when it was applied.")
    left_since = models.BigIntegerField(null=True, help_text="Units taken off since the numbers do not contain them.")
    after = models.BigIntegerField(null=True, help_text="On hand by the book from then on.")
    reasons = models.JSONField(
        default=list, help_text="Why it is refused, or what is to be known: [[field, sentence]]."
    )

    class Meta:
        ordering = ["id"]
        verbose_name = "row of a stock import"
        verbose_name_plural = "rows of stock imports"
        indexes = [models.Index(fields=["stock_import", "outcome", "id"], name="stock_import_row_by_outcome")]
        constraints = [
            models.UniqueConstraint(
                fields=["stock_import", "variant", "warehouse", "batch_number"], name="stock_import_row_place_once",
                condition=~Q(outcome="refused"),
            ),
            models.CheckConstraint(
                condition=Q(outcome="refused") | Q(variant__isnull=False, warehouse__isnull=False),
                name="stock_import_row_has_a_place",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"row {self.number}: {self.sku}"


class StampedDeparture(models.Model):
    """Units of ours that left a warehouse at one of its logical timestamps; a kit's, by its components.

    Until an import of the warehouse contains it, it is taken off the numbers of every one. Refers to what it is of
    without constraints, as the ledger does.
    """

    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    logical_timestamp = models.BigIntegerField()
    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    batch = models.ForeignKey(
        Batch, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    quantity = models.BigIntegerField()
    contained_in = models.ForeignKey(
        StockImport, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="+"
    )

    class Meta:
        ordering = ["warehouse_id", "logical_timestamp"]
        indexes = [
            models.Index(
                fields=["warehouse", "variant", "logical_timestamp"], name="departure_not_contained",
                condition=Q(contained_in=None),
            ),
            models.Index(
                fields=["warehouse", "logical_timestamp"], name="departure_by_time", condition=Q(contained_in=None)
            ),
        ]  # fmt: skip
        constraints = [
            models.UniqueConstraint(
                fields=["warehouse", "logical_timestamp", "variant", "batch"], name="departure_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="departure_of_something"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.logical_timestamp}: {self.quantity}"


class LastStated(models.Model):
    """What an import last said of one place, and through which logical timestamp it contains what left there."""

    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, db_index=False, related_name="+")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    counted = models.BigIntegerField()
    through = models.BigIntegerField(default=0)
    stated_by = models.ForeignKey(StockImport, on_delete=models.PROTECT, db_index=False, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["warehouse", "variant", "batch"], name="last_stated_once_per_place", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.counted} through {self.through}"


class Acknowledged(models.Model):
    """The end of the last range a sender's applied import had for a warehouse. Only ever rises."""

    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    through = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "warehouse"], name="acknowledged_once_per_sender", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return str(self.through)
