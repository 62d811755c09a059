"""Warehouses are asked to fulfil. Requests follow the promises of an order, never the other way round.

Everything here happens under the order's lock, so requests and items need none of their own. Lock order: order,
reservation, levels, and last of all the clocks of the warehouses (`ticking`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Sum

from orders.models import FulfilmentItem, FulfilmentRequest, Order, Package, PackageLine, RoutingDecision, Stamp
from orders.operations import sourcing, waiting
from orders.operations.leftovers import Leftover
from orders.operations.ticking import Part as Gone
from orders.operations.ticking import Ticks
from partners import prepared, rows
from partners.actors import Actor
from partners.problems import IllegalStep, InvalidInput
from stock.models import Level, Warehouse
from stock.operations import changing, counting
from stock.operations.changing import Less

Status = FulfilmentRequest.Status
Failure = FulfilmentRequest.Failure
# warehouse, order line
Part = tuple[int, int]
OF_LINE = ("order_line__variant", "order_line__reservation_line")
ASKING = (Order.Status.CONFIRMED, Order.Status.PACKED)

KEPT = """
    SELECT leaf.id, leaf.kit_line_id, leaf.quantity,
           (SELECT max(line.id) FROM orders_orderline line WHERE line.order_id = %s AND line.reservation_line_id = leaf.id),
           location.warehouse_id, CAST(sum(kept.quantity - kept.consumed - kept.freed) AS bigint)
      FROM stock_reservationline leaf
      LEFT JOIN stock_allocation kept ON kept.line_id = leaf.id AND kept.quantity > kept.consumed + kept.freed
      LEFT JOIN stock_level level ON level.id = kept.level_id
      LEFT JOIN stock_location location ON location.id = level.location_id
     WHERE leaf.reservation_id = %s
     GROUP BY leaf.id, location.warehouse_id
     ORDER BY leaf.id, location.warehouse_id
"""
OPEN_ITEMS = """
    JOIN orders_fulfilmentrequest request ON request.id = orders_fulfilmentitem.request_id
   WHERE request.order_id = %s AND orders_fulfilmentitem.quantity > completed + failed
   ORDER BY orders_fulfilmentitem.id
"""
CHOSEN = "SELECT id, chosen FROM orders_routingdecision WHERE order_id = %s ORDER BY id"


class Kept(NamedTuple):
    """A line of the reservation, for which line of the order, and what a warehouse keeps for it (None: nothing)."""

    leaf_id: int
    kit_id: int | None
    quantity: int
    line_id: int | None
    warehouse_id: int | None
    units: int


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


def left(
    *, order: Order, warehouse: Warehouse, units: Mapping[int, int], gone: Mapping[int, Sequence[Gone]], ticks: Ticks
) -> None:
    """So many units by order line left a warehouse: its requests are completed by them, the oldest first.

    `gone` says of each line what left the shelf for it: batches, and of a kit its components.

    What nobody asked for there, since the promise was moved at the door, gets a request that is complete at once:
    every unit that left has its stamp. The caller holds the order, and writes the ticks.
    """
    open_units = dict(units)
    done = []
    on_the_way = {line_id: Leftover(parts, units[line_id]) for line_id, parts in gone.items()}
    for item in (item for item in _open_items(order) if item.request.warehouse_id == warehouse.pk):
        if count := min(open_units.get(item.order_line_id, 0), item.open_quantity):
            open_units[item.order_line_id] -= count
            _complete(item, count, ticks, on_the_way)
            done.append(item)
    more = [FulfilmentItem(order_line_id=line_id, quantity=count) for line_id, count in open_units.items() if count]
    if more:
        _assign(order, {warehouse.pk: more}, ticks)
        for item in more:
            _complete(item, item.quantity, ticks, on_the_way)
    _conclude(done + more)


def _promised(order: Order) -> Counter[Part]:
    """What is promised to each line, by warehouse: of a kit, so many as are whole there; the rest where it began."""
    kept = [Kept(*row) for row in prepared.fetch(KEPT, [order.pk, order.reservation_id])]
    wanted: Counter[Part] = Counter()
    kits: dict[int, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for row in kept:
        if row.warehouse_id and row.kit_id:
            kits[row.kit_id][row.warehouse_id][row.leaf_id] = row.units
        elif row.warehouse_id and row.line_id:
            wanted[row.warehouse_id, row.line_id] += row.units
    leaves = {row.leaf_id: row for row in kept}
    for kit_id, by_warehouse in kits.items():
        ratios = {
            row.leaf_id: row.quantity // leaves[kit_id].quantity for row in leaves.values() if row.kit_id == kit_id
        }
        whole = {code: min(found[pk] // ratio for pk, ratio in ratios.items()) for code, found in by_warehouse.items()}
        in_all = min(sum(found[pk] for found in by_warehouse.values()) // ratio for pk, ratio in ratios.items())
        first = min(by_warehouse)
        whole[first] += max(0, in_all - sum(whole.values()))
        if line_id := leaves[kit_id].line_id:
            wanted.update({(code, line_id): units for code, units in whole.items() if units})
    return wanted


def _open_items(order: Order) -> list[FulfilmentItem]:
    """The oldest first; items of one request share it."""
    items = rows.read(FulfilmentItem, OPEN_ITEMS, [order.pk])
    if items:
        found = FulfilmentRequest.objects.select_related("warehouse", "order")
        requests = found.in_bulk({item.request_id for item in items})
        for item in items:
            item.request = requests[item.request_id]
    return items


def _assign(order: Order, new: Mapping[int, Sequence[FulfilmentItem]], ticks: Ticks) -> None:
    """A request to each of these warehouses, for its items, and the decision that chose it. Five statements, however
    many there are."""
    if not new:
        return
    found = rows.read(Warehouse, "WHERE id = ANY(%s::bigint[])", [prepared.bigints(new)])
    warehouses = {row.pk: row for row in found}
    why: dict[str, int] = {}
    for decision_id, chosen in prepared.fetch(CHOSEN, [order.pk]):
        why |= dict.fromkeys(chosen, decision_id)
    requests = [
        FulfilmentRequest(
            order=order, warehouse=warehouses[pk], routing_id=why.get(warehouses[pk].code), assigned_at=ticks.at
        )
        for pk in new
    ]
    rows.insert(requests)
    rows.trace(requests, kind="+", reason="request assigned")
    for request in requests:
        for item in new[request.warehouse_id]:
            item.request = request
        ticks.note(request, Stamp.Kind.ASSIGNED)
    rows.insert([item for items in new.values() for item in items])


def _complete(item: FulfilmentItem, units: int, ticks: Ticks, gone: Mapping[int, Leftover]) -> None:
    item.completed += units
    parts = gone[item.order_line_id].take(units) if item.order_line_id in gone else []
    ticks.note(item.request, Stamp.Kind.COMPLETED, item, units, parts)


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
    units = lines.order_by().values("order_line").annotate(units=Sum("quantity"))
    return dict(units.values_list("order_line", "units"))


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
