"""What every door of the API has in common: a caller with a scope, and writes that happen once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, cast

from django.db import OperationalError, transaction
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from partners import actors, idempotency, prepared
from partners.actors import Actor
from partners.api import bodies, conditional, errors, gate, limiting
from partners.api.auth import Caller, scope_for
from partners.api.deprecation import Deprecation
from partners.api.pagination import QUERY_CHARACTERS_MAX, BadPage, KeysetPagination
from partners.api.schema import query_names
from partners.models import IdempotencyKey, Partner
from partners.problems import InvalidInput, Problem

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    required=True,
    description=(
        "Any text of your own (1 to 255 visible ASCII characters), new for each intent and the same for each "
        f"retry. Kept {idempotency.KEPT_HOURS} hours. A retry gets the first answer again with "
        "`Idempotent-Replayed: true`."
    ),
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "minLength": 1, "maxLength": conditional.IF_MATCH_CHARACTERS_MAX, "examples": ['"3"']},
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag this change was made from.",
)


class Door(GenericAPIView[Any]):
    """A view that names its scopes, knows its caller, and pages its lists by `keyset`."""

    required_scopes: ClassVar[dict[str, str]] = {}
    keyset: ClassVar[str] = "id"
    pagination_class = KeysetPagination
    filterset_class: ClassVar[Any] = None
    # Whether its steps (a POST to something that is there) may say by If-Match what they were decided on: see `seen`.
    are_steps_matched: ClassVar[bool] = False
    # By method: what will go (of this class alone, not of those below it), and refusals that cannot be seen in the source (partners/api/refusals.py).
    deprecated: ClassVar[dict[str, Deprecation]] = {}
    refusals: ClassVar[dict[str, tuple[type[Problem], ...]]] = {}

    @property
    def caller(self) -> Caller:
        return cast(Caller, self.request.user)  # HasScope let nobody else in

    @property
    def partner(self) -> Partner:
        return self.caller.partner

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    def seen[Row](self, row: Row, *locks: Any) -> Row:
        """The row; for a step that says by If-Match what it was decided on, locked and compared with that first.

        `locks` are the rows the step will lock anyway, in its order. Raises PreconditionFailed.
        """
        conditional.check_seen(self.request, lambda: self.answer(row)["ETag"], *locks)  # type: ignore[attr-defined]
        return row

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # The caller is known only once DRF has authenticated; history rows ask for it later.
        with actors.acting(actors.NOBODY), ExitStack() as self.held:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        actors.announce(self.actor)
        gate.passage_of(request).client_id = self.caller.application.client_id
        if request.method in self.allowed_methods:
            check_query(request, query_names(type(self), "GET" if request.method == "HEAD" else str(request.method)))
        self.held.enter_context(gate.admitted(request, self.caller, str(scope_for(self, request.method))))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if spent := gate.passage_of(request).spent:
            for name, value in limiting.headers(spent):
                answer[name] = value
        if gone := deprecated_of(type(self)).get(str(request.method)):
            gone.put(answer)
        return answer

    def filter_queryset(self, queryset: Any) -> Any:
        if self.filterset_class is None:
            return queryset
        filters = self.filterset_class(self.request.query_params, queryset=queryset, request=self.request)
        if not filters.is_valid():
            raise BadPage(
                " ".join(bodies.refused_filter(filters.form, name, found) for name, found in filters.errors.items())
            )
        return filters.qs

    def listed(self, queryset: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(queryset))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def understood(self, serializer_class: type[Any], **kwargs: Any) -> dict[str, Any]:
        """The body as the serializer understands it. Raises InvalidInput, naming each field that is wrong and each that
        is not known: what would be left out in silence is refused."""
        body = self.request.data
        if not isinstance(body, dict):
            wrong = {"field": "body", "pointer": "#", "detail": "Send a JSON object, {…}."}
            raise InvalidInput("The body is no JSON object.", errors=[wrong])
        serializer = serializer_class(data=body, **kwargs)
        unknown = bodies.unknown_fields(serializer, body)
        if serializer.is_valid() and not unknown:
            return dict(serializer.validated_data)
        found = errors.flatten(bodies.with_choices(serializer, serializer.errors))
        raise InvalidInput.of([*unknown, *found])


def check_query(request: Request, known: frozenset[str]) -> None:
    """A filter that is mistyped must not list everything. Raises BadPage (data: parameter, known)."""
    for name, values in request.query_params.lists():
        is_one_of_many = any(one.endswith("<name>") and name.startswith(one[: -len("<name>")]) for one in known)
        if name not in known and not is_one_of_many:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "see `known`." if known else "nothing can be asked here."
            raise BadPage(f"{name[:80]!r} is not known here; {hint}", parameter=name[:80], known=sorted(known))
        if len(values) > 1:
            raise BadPage(f"{name[:80]}: it is there {len(values)} times; send it once.", parameter=name[:80])
        if len(values[0]) > QUERY_CHARACTERS_MAX:
            raise BadPage(f"{name[:80]}: at most {QUERY_CHARACTERS_MAX:,} characters.", parameter=name[:80])


Method = Callable[..., Response]


def deprecated_of(door: type) -> dict[str, Deprecation]:
    """What of the door itself will go: doors inherit from their neighbours, and what goes with one does not with all."""
    return dict(vars(door).get("deprecated", {}))


def replayed(*, application_id: int, key: str, fingerprint: str) -> HttpResponse | None:
    """The answer a key got before, for a door that reads the body before it claims the key."""
    row = idempotency.find(application_id=application_id, key=key, fingerprint=fingerprint)
    return _replay(row) if row else None


def once(method: Method) -> Method:
    """Run a writing method at most once per Idempotency-Key, in one transaction with its answer.

    A final refusal is an answer too: the effect is rolled back, the answer kept. A body that cannot be
    understood is refused before the key is taken, so that it may be mended under the same key.
    """

    @extend_schema(parameters=[IDEMPOTENCY_KEY])
    @wraps(method)
    def wrapper(view: Door, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = idempotency.read_key(request.headers.get("Idempotency-Key"))
        mark = idempotency.fingerprint(method=str(request.method), path=request.path, body=request.data)
        with transaction.atomic(durable=True):
            row, is_ours = idempotency.claim(application_id=view.caller.application.pk, key=key, fingerprint=mark)
            if not is_ours:
                return _replay(row)
            try:
                with transaction.atomic():
                    response = method(view, request, *args, **kwargs)
            except Problem as refusal:
                if not refusal.is_final:
                    raise
                response = errors.respond(refusal, instance=request.path, caller=request)
                _write_down(refusal)
            return _kept(row, response)

    return wrapper  # type: ignore[return-value]  # an HttpResponse is as good to DRF, and keeps the bytes


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A write that may be done together with others: whose it is, under which key, and what it wants."""

    application_id: int
    key: str
    fingerprint: str
    path: str
    wish: Any


Act = Callable[[Sequence[Any]], Sequence[Response | Problem]]


def once_together(asks: Sequence[Ask], act: Act) -> list[HttpResponseBase | Problem]:
    """Run several writes at most once per key, all in one transaction with their answers.

    `act` grants each wish or answers its refusal without spoiling the others. No two asks may share a key.
    """
    outcomes: dict[int, HttpResponseBase | Problem] = {}
    rows: dict[int, IdempotencyKey] = {}
    with transaction.atomic(durable=True):
        # In an order of their own: two groups, of two processes, may hold the same keys.
        for place, ask in sorted(enumerate(asks), key=lambda row: (row[1].application_id, row[1].key)):
            try:
                row, is_ours = idempotency.claim(
                    application_id=ask.application_id, key=ask.key, fingerprint=ask.fingerprint,
                    is_alone=len(asks) == 1,
                )  # fmt: skip
            except Problem as refusal:
                outcomes[place] = refusal
                continue
            if is_ours:
                rows[place] = row
            else:
                outcomes[place] = _replay(row)
        ours = sorted(rows)
        for place, answer in zip(ours, act([asks[place].wish for place in ours]), strict=True):
            if isinstance(answer, Problem) and not answer.is_final:
                idempotency.give_up(rows[place])
                outcomes[place] = answer
            else:
                if isinstance(answer, Problem):
                    _write_down(answer)
                    answer = errors.respond(answer, instance=asks[place].path)
                outcomes[place] = _kept(rows[place], answer)
    return [outcomes[place] for place in range(len(asks))]


@dataclass(frozen=True, kw_only=True)
class Deed:
    """A wish as one call of a function of the database, and a reading of what it has made."""

    call: prepared.Step
    columns: Sequence[str]
    reading: prepared.Step


def once_at_once(
    ask: Ask, deed: Deed, answer: Callable[[prepared.Rows, prepared.Rows], Response | None]
) -> HttpResponse | None:
    """`once_together` for a single wish in two trips to the database: key, deed and reading, then answer and commit.

    `answer` makes of what the deed and the reading gave what is to be kept. None where it cannot, or where the key is
    taken. Raises StillRunning, and what the deed raises. Without an answer all is undone, the key too.
    """
    claiming = idempotency.claiming(
        application_id=ask.application_id, key=ask.key, fingerprint=ask.fingerprint, call=deed.call,
        columns=deed.columns,
    )  # fmt: skip
    with prepared.TwoTrips() as trips:
        try:
            claimed, read = trips.begin(claiming, deed.reading)
        except OperationalError as error:
            if idempotency.was_running(error):
                raise idempotency.StillRunning(idempotency.RUNNING) from error
            raise
        response = answer([row[1:] for row in claimed], read) if claimed else None
        if response is None:
            return None
        body, headers = _bytes(response)
        trips.end(idempotency.keeping(claimed[0][0], status=response.status_code, body=body, headers=headers))
    return HttpResponse(body, status=response.status_code, headers=headers)


def _write_down(refusal: Problem) -> None:
    if refusal.aftermath is not None:
        refusal.aftermath()


def _kept(row: IdempotencyKey, response: Response) -> HttpResponse:
    """The answer as bytes, kept beside its key."""
    body, headers = _bytes(response)
    idempotency.keep(row, status=response.status_code, body=body, headers=headers)
    return HttpResponse(body, status=response.status_code, headers=headers)


def _bytes(response: Response) -> tuple[bytes, dict[str, str]]:
    headers = {name: response[name] for name in ("Location", "ETag") if name in response}
    headers["Content-Type"] = response.content_type or "application/json"
    return JSONRenderer().render(response.data), headers


def _replay(row: IdempotencyKey) -> HttpResponse:
    answer = HttpResponse(bytes(row.body or b""), status=row.status or 500, headers=row.headers)
    answer["Idempotent-Replayed"] = "true"
    return answer
