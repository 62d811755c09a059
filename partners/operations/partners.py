"""Partners come, change their details, get credentials, and are suspended."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from oauth2_provider.generators import generate_client_id, generate_client_secret
from stdnum import ean

from partners import disclosure, scopes
from partners.actors import Actor
from partners.limits import LIMIT_MAX
from partners.models import Application, Partner
from partners.problems import Conflict, InvalidInput


class PartnerExists(Conflict):
    """The code is taken. Data: partnerId."""

    code = "partner_exists"
    title = "A partner with this code exists"
    remedy = "Change the one that is there with PATCH, or choose another code."


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The only time the secret is seen; the database keeps a hash."""

    application: Application
    client_id: str
    client_secret: str


@transaction.atomic
def onboard(
    *,
    code: str,
    name: str,
    kind: str,
    actor: Actor,
    contact_email: str = "",
    gln: str = "",
    granted_warehouses: list[str] | None = None,
    rule: disclosure.Rule | None = None,
) -> Partner:
    """Make a partner known. A supplier sees its own products, everybody else the whole assortment.

    `granted_warehouses` null grants all. Raises PartnerExists (data: partnerId) and InvalidInput;
    asked twice, the second time is a PartnerExists.
    """
    check_gln(gln)
    rule = rule or disclosure.Rule()
    own = Partner.Assortment.OWN if kind == Partner.Kind.SUPPLIER else Partner.Assortment.ALL
    partner = Partner(
        code=code,
        name=name,
        kind=kind,
        contact_email=contact_email,
        gln=gln,
        assortment=own,
        granted_warehouses=granted_warehouses,
        disclosure=rule.kind,
        disclosure_cap=rule.cap,
        buffer_units=rule.buffer_units,
        buffer_percent=rule.buffer_percent,
    )
    try:
        with transaction.atomic():
            partner.save()
    except IntegrityError as error:
        if "code" not in str(error):
            raise
        raise PartnerExists(f"A partner with the code {code} exists already.", partnerId=code) from error
    return partner


@transaction.atomic
def revise(*, partner: Partner, changes: dict[str, str], actor: Actor) -> Partner:
    """Change a partner's details; unchanged values write nothing. Bumps the version (its ETag).

    Locks the partner. Raises InvalidInput for a GLN with a wrong check digit.
    """
    check_gln(changes.get("gln", ""))
    locked = Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)
    changed = {field: value for field, value in changes.items() if getattr(locked, field) != value}
    if not changed:
        return locked
    for field, value in changed.items():
        setattr(locked, field, value)
    locked.version += 1
    locked._change_reason = "partner revised"  # type: ignore[attr-defined]  # read by the history
    locked.save()
    return locked


@transaction.atomic
def issue_credentials(*, partner: Partner, granted_scopes: list[str], actor: Actor, name: str = "") -> Credentials:
    """Give the partner an OAuth client for the client-credentials grant; the secret is shown once.

    Called again it makes another client, so that two can overlap while one is being replaced.
    Raises InvalidInput for a scope that does not exist.
    """
    if unknown := sorted(set(granted_scopes) - set(scopes.TEXTS)):
        raise InvalidInput.at("scopes", f"Unknown: {', '.join(unknown)}. There are: {', '.join(scopes.TEXTS)}.")
    secret = generate_client_secret()
    application = Application.objects.create(
        partner=partner,
        name=name or partner.name,
        client_id=generate_client_id(),
        client_secret=secret,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        scopes=list(dict.fromkeys(granted_scopes)),
    )
    return Credentials(application=application, client_id=application.client_id, client_secret=secret)


@transaction.atomic
def set_limits(
    *, application: Application, reads_per_minute: int | None, writes_per_minute: int | None, actor: Actor
) -> Application:
    """How much an application may ask for in a minute; null: as much as the site allows everybody.

    Counts within a second, also in the minute that runs. Raises InvalidInput for a number out of bounds; asked
    twice, the second time changes nothing.
    """
    for field, units in (("readsPerMinute", reads_per_minute), ("writesPerMinute", writes_per_minute)):
        if units is not None and not 1 <= units <= LIMIT_MAX:
            raise InvalidInput.at(field, f"A whole number from 1 to {LIMIT_MAX:,}, or nothing.")
    locked: Application = Application.objects.select_for_update(no_key=True).get(pk=application.pk)
    locked.reads_per_minute, locked.writes_per_minute = reads_per_minute, writes_per_minute
    locked._change_reason = f"limits set by {actor.label}"
    locked.save(update_fields=["reads_per_minute", "writes_per_minute", "updated"])
    return locked


def check_gln(gln: str) -> None:
    if gln and not (len(gln) == 13 and ean.is_valid(gln)):
        raise InvalidInput.at("gln", "A GLN has 13 digits and ends in its GS1 check digit.")
