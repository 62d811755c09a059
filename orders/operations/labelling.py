"""Each package gets a number nobody else's ever had: an SSCC of a series of ours.

The row of the series is locked from the number to the end of the transaction; packers of one series wait for one
another, as briefly as a package takes to be written down.
"""

from __future__ import annotations

from django.db.models import Q
from stdnum import ean

from orders.models import Package, SsccSeries
from partners.problems import Problem
from stock.models import Warehouse


class NoSsccSeries(Problem):
    """Nobody told us our GS1 company prefix. Data: warehouseLocation."""

    code = "no_sscc_series"
    title = "There is no SSCC series"
    remedy = "Send an sscc of your own, or ask the operator to enter the company prefix."


class SsccSeriesUsedUp(Problem):
    """Every serial reference of the series was given. Data: companyPrefix, extensionDigit."""

    code = "sscc_series_used_up"
    title = "The SSCC series is used up"
    remedy = "Send an sscc of your own, or ask the operator for another series."


def sscc_of(*, extension_digit: int, company_prefix: str, serial_reference: int) -> str:
    """18 digits: extension, company prefix, serial reference, check digit (GS1 General Specifications 3.2). Pure."""
    width = SsccSeries.DIGITS - len(company_prefix)
    digits = f"{extension_digit}{company_prefix}{serial_reference:0{width}}"
    return digits + str(ean.calc_check_digit(digits))


def next_sscc(*, warehouse: Warehouse) -> str:
    """The next number of the warehouse's own series, else of the one for all. Locks it; the caller is in a transaction.

    Numbers that stand on a package already, since they were typed in or two prefixes overlap, are passed over.
    Raises NoSsccSeries and SsccSeriesUsedUp.
    """
    chosen = SsccSeries.objects.filter(Q(warehouse=warehouse) | Q(warehouse=None)).order_by("warehouse").first()
    if chosen is None:
        raise NoSsccSeries(
            f"Packages of {warehouse.code} get no number: add an SSCC series with your GS1 company prefix, or name the"
            " package's SSCC.",
            warehouseLocation=warehouse.code,
        )
    series = SsccSeries.objects.lock().get(pk=chosen.pk)
    while series.last < series.last_possible:
        series.last += 1
        sscc = sscc_of(
            extension_digit=series.extension_digit, company_prefix=series.company_prefix, serial_reference=series.last
        )
        if not Package.objects.filter(sscc=sscc).exists():
            SsccSeries.objects.filter(pk=series.pk).update(last=series.last)
            return sscc
    raise SsccSeriesUsedUp(
        f"All {series.last_possible:,} numbers of {series} are used; add a series with another extension digit.",
        companyPrefix=series.company_prefix,
        extensionDigit=series.extension_digit,
    )
