"""Warehouses are asked to fulfil. Requests follow the promises of an order, never the other way round.

Everything here happens under the order's lock, so requests and items need none of their own. Lock order: order,
reservation, levels, and last of all the clocks of the warehouses (`ticking`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F, Sum

from orders.models import FulfilmentItem, FulfilmentRequest, Order, Package, PackageLine, RoutingDecision, Stamp
from orders.operations import sourcing, waiting
from orders.operations.ticking import Ticks
from partners.actors import Actor
from partners.problems import IllegalStep, InvalidInput
from stock.models import Allocation, Level, ReservationLine, Warehouse
from stock.operations import changing, counting
from stock.operations.changing import Less

Status = FulfilmentRequest.Status
Failure = FulfilmentRequest.Failure
# warehouse, order line
Part = tuple[int, int]
OF_LINE = ("order_line__variant", "order_line__reservation_line")
ASKING = (Order.Status.CONFIRMED, Order.Status.PACKED)


def follow(*, order: Order, ticks: Ticks) -> None:
    """Make the open requests of an order ask for exactly what is promised, warehouse by warehouse.

    Where more is promised than asked for, a new request is assigned; where less, the youngest are withdrawn by as
    much. An order that is not confirmed asks nobody. The caller holds the order, and writes the ticks.
    """
    wanted = _promised(order) if order.status in ASKING else Counter[Part]()
    items = _open_items(order)
    asked: Counter[Part] = Counter()
    for item in items:
        asked[item.part] += item.open_quantity
    withdrawn = []
    for item in reversed(items):
        if (units := min(item.open_quantity, asked[item.part] - wanted[item.part])) > 0:
            asked[item.part] -= units
            _fail(item, units, Failure.WITHDRAWN, ticks)
            withdrawn.append(item)
    _conclude(withdrawn)
    new: dict[int, list[FulfilmentItem]] = defaultdict(list)
    for part in sorted(wanted):
        if (units := wanted[part] - asked[part]) > 0:
            warehouse_id, line_id = part
            new[warehouse_id].append(FulfilmentItem(order_line_id=line_id, quantity=units))
    _assign(order, new, ticks)


@transaction.atomic
def accept(*, request: FulfilmentRequest, actor: Actor, at: datetime) -> FulfilmentRequest:
    """The warehouse will fulfil it. Accepted twice answers the same. Raises IllegalStep (data: currentStatus,
    allowedFrom)."""
    _, locked = _lock(request)
    if locked.status == Status.ACCEPTED:
        return locked
    must_live(locked, verb="accepted")
    locked.status = Status.ACCEPTED
    _save(locked, "request accepted")
    return locked


@transaction.atomic
def reject(
    *,
    request: FulfilmentRequest,
    failure: str,
    actor: Actor,
    at: datetime,
    note: str = "",
    units: Mapping[int, int] | None = None,
    levels: Sequence[Level] = (),
) -> FulfilmentRequest:
    """The warehouse cannot fulfil it, all that is open of it or so many `units` by order line.

    What was promised there is free again and routed anew, as the order was, never again to a warehouse that refused
    this order; the rest waits. What could not be found is counted: a blind count of the products is opened, or of
    the bins of the `levels` named, whose promises are given up first. Raises IllegalStep once nothing of it is open,
    and InvalidInput for more than is open.
    """
    order, locked = _lock(request)
    must_live(locked, verb="rejected")
    items = {item.order_line_id: item for item in locked.items.select_related(*OF_LINE)}
    for item in items.values():
        item.request = locked
    refused = units or {line_id: item.open_quantity for line_id, item in items.items() if item.open_quantity}
    check_open(items, units=refused, verb="rejected")
    less = [
        Less(
            line=kept,
            quantity=count,
            warehouse_code=locked.warehouse.code,
            level_ids=frozenset(level.pk for level in levels),
        )
        for line_id, count in refused.items()
        if (kept := items[line_id].order_line.reservation_line)
    ]
    if order.reservation:
        changing.give_back(
            reservation=order.reservation, less=less, to_keep_anew=sourcing.variants_of(order.reservation),
            actor=actor, at=at,
        )  # fmt: skip
    ticks = Ticks(actor=actor, at=at)
    locked.note = note
    for line_id, count in refused.items():
        _fail(items[line_id], count, Failure(failure), ticks)
    _conclude([items[line_id] for line_id in refused])
    waiting.keep(order=order, cause=RoutingDecision.Cause.REJECTED, actor=actor, at=at)
    follow(order=order, ticks=ticks)
    Order.objects.filter(pk=order.pk).update(version=F("version") + 1)
    if failure == Failure.NOT_FOUND:
        _count(locked.warehouse, [items[line_id] for line_id in refused], levels, actor=actor, at=at)
    ticks.write()
    return locked


def left(*, order: Order, warehouse: Warehouse, units: Mapping[int, int], ticks: Ticks) -> None:
    """So many units by order line left a warehouse: its requests are completed by them, the oldest first.

    What nobody asked for there, since the promise was moved at the door, gets a request that is complete at once:
    every unit that left has its stamp. The caller holds the order, and writes the ticks.
    """
    open_units = dict(units)
    done = []
    for item in (item for item in _open_items(order) if item.request.warehouse_id == warehouse.pk):
        if count := min(open_units.get(item.order_line_id, 0), item.open_quantity):
            open_units[item.order_line_id] -= count
            _complete(item, count, ticks)
            done.append(item)
    rows = [FulfilmentItem(order_line_id=line_id, quantity=count) for line_id, count in open_units.items() if count]
    if rows:
        _assign(order, {warehouse.pk: rows}, ticks)
        for item in rows:
            _complete(item, item.quantity, ticks)
    _conclude(done + rows)


def _promised(order: Order) -> Counter[Part]:
    """What is promised to each line, by warehouse: of a kit, so many as are whole there; the rest where it began."""
    lines = {line.reservation_line_id: line.pk for line in order.lines.all() if line.reservation_line_id}
    leaves = {row.pk: row for row in ReservationLine.objects.filter(reservation=order.reservation_id)}
    kept = (
        Allocation.objects.filter(line__reservation=order.reservation_id, quantity__gt=F("consumed") + F("freed"))
        .values_list("line", "level__location__warehouse")
        .annotate(units=Sum(sourcing.OPEN))
        .order_by("line", "level__location__warehouse")
    )
    wanted: Counter[Part] = Counter()
    kits: dict[int, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for leaf_id, warehouse_id, units in kept:
        leaf = leaves[leaf_id]
        if leaf.kit_line_id:
            kits[leaf.kit_line_id][warehouse_id][leaf_id] = units
        elif leaf_id in lines:
            wanted[warehouse_id, lines[leaf_id]] += units
    for kit_id, by_warehouse in kits.items():
        ratios = {
            row.pk: row.quantity // leaves[kit_id].quantity for row in leaves.values() if row.kit_line_id == kit_id
        }
        whole = {code: min(found[pk] // ratio for pk, ratio in ratios.items()) for code, found in by_warehouse.items()}
        in_all = min(sum(found[pk] for found in by_warehouse.values()) // ratio for pk, ratio in ratios.items())
        first = min(by_warehouse)
        whole[first] += max(0, in_all - sum(whole.values()))
        wanted.update({(code, lines[kit_id]): units for code, units in whole.items() if units and kit_id in lines})
    return wanted


def _open_items(order: Order) -> list[FulfilmentItem]:
    """The oldest first; items of one request share it."""
    rows = FulfilmentItem.objects.filter(request__order=order, quantity__gt=F("completed") + F("failed"))
    items = list(rows.select_related("request__warehouse", "request__order").order_by("id"))
    requests: dict[int, FulfilmentRequest] = {}
    for item in items:
        item.request = requests.setdefault(item.request_id, item.request)
    return items


def _assign(order: Order, new: Mapping[int, Sequence[FulfilmentItem]], ticks: Ticks) -> None:
    """A request to each of these warehouses, for its items, and the decision that chose it. Five statements, however
    many there are."""
    if not new:
        return
    warehouses = Warehouse.objects.in_bulk(new)
    why: dict[str, RoutingDecision] = {}
    codes = [row.code for row in warehouses.values()]
    for decision in RoutingDecision.objects.filter(order=order, chosen__overlap=codes).order_by("id"):
        why |= dict.fromkeys(decision.chosen, decision)
    requests = [
        FulfilmentRequest(
            order=order, warehouse=warehouses[pk], routing=why.get(warehouses[pk].code), assigned_at=ticks.at
        )
        for pk in new
    ]  # fmt: skip
    FulfilmentRequest.objects.bulk_create(requests)
    FulfilmentRequest.history.bulk_history_create(requests, default_change_reason="request assigned")
    for request in requests:
        for item in new[request.warehouse_id]:
            item.request = request
        ticks.note(request, Stamp.Kind.ASSIGNED)
    FulfilmentItem.objects.bulk_create([item for items in new.values() for item in items])


def _complete(item: FulfilmentItem, units: int, ticks: Ticks) -> None:
    item.completed += units
    ticks.note(item.request, Stamp.Kind.COMPLETED, item, units)


def _fail(item: FulfilmentItem, units: int, failure: FulfilmentRequest.Failure, ticks: Ticks) -> None:
    item.failed += units
    item.request.failure = failure
    ticks.note(item.request, Stamp.Kind.FAILED, item, units)


def _conclude(changed: Sequence[FulfilmentItem]) -> None:
    """Keep what became of items. A request's status follows: over when nothing is open, completed where any left."""
    FulfilmentItem.objects.bulk_update(changed, ["completed", "failed"])
    for request in {item.request_id: item.request for item in changed}.values():
        done = request.items.aggregate(open=Sum(F("quantity") - F("completed") - F("failed")), left=Sum("completed"))
        if not done["open"]:
            request.status = Status.COMPLETED if done["left"] else Status.FAILED
        _save(request, f"request {request.status}")


def _save(request: FulfilmentRequest, why: str) -> None:
    request.version += 1
    request._change_reason = why  # type: ignore[attr-defined]  # read by the history
    request.save()


def _lock(request: FulfilmentRequest) -> tuple[Order, FulfilmentRequest]:
    order = Order.objects.lock().get(pk=request.order_id)
    return order, FulfilmentRequest.objects.select_related("warehouse", "order").get(pk=request.pk)


def must_live(request: FulfilmentRequest, *, verb: str) -> None:
    """Raises IllegalStep (data: currentStatus, allowedFrom) for a request that is over."""
    if request.status not in FulfilmentRequest.LIVE:
        raise IllegalStep(
            f"It is {request.status} and cannot be {verb}.",
            currentStatus=request.status,
            allowedFrom=[str(status) for status in FulfilmentRequest.LIVE],
        )


def in_packages(request: FulfilmentRequest) -> dict[int, int]:
    """Units by order line in packages that have not left. One query."""
    lines = PackageLine.objects.filter(package__fulfilment_request=request, package__status=Package.Status.PACKED)
    rows = lines.order_by().values("order_line").annotate(units=Sum("quantity"))
    return dict(rows.values_list("order_line", "units"))


def check_open(
    items: Mapping[int, FulfilmentItem],
    *,
    units: Mapping[int, int],
    verb: str,
    packed: Mapping[int, int] | None = None,
) -> None:
    """Raises InvalidInput where more units, by order line, are named than a request has open, but for the `packed`."""
    for line_id, count in units.items():
        still = items[line_id].open_quantity if line_id in items else 0
        inside = packed.get(line_id, 0) if packed else 0
        if count > still - inside:
            boxes = f", {inside} of them in packages that leave as such" if inside else ""
            raise InvalidInput.at("items", f"{count} would be {verb}, {still} are open in this request{boxes}.")


def _count(
    warehouse: Warehouse, items: Sequence[FulfilmentItem], levels: Sequence[Level], *, actor: Actor, at: datetime
) -> None:
    skus = tuple(sorted({item.order_line.variant.sku for item in items}))
    bins = tuple(sorted({level.location.code for level in levels}))
    scope = counting.Scope(locations=bins) if bins else counting.Scope(skus=skus)
    counting.open(warehouse=warehouse, scope=scope, rules=counting.Rules(), actor=actor, at=at)
