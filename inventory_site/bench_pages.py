"""What the staff's pages ask of the database in a house of few products and in one of many: the same.

Counted are the list of every kind of thing, the same list searched, and what every field that is searched while one
types asks for. A count is no time: it is the same on every machine, and the figure is 1.00 or a page has a fault,
which is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import Variant
from inventory_site import bench, bench_search
from inventory_site.bench import Figure

TERM = "a"


def lists() -> list[str]:
    """The list of every kind there is, plain and searched; the log of sign-ins is its library's."""
    urls = []
    for model, page in admin.site._registry.items():
        meta = model._meta
        if meta.app_label != "axes":
            url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
            urls += [url, f"{url}?q={TERM}"] if page.search_fields else [url]
    return sorted(urls)


def choices() -> list[str]:
    """What every field that is searched while one types asks for, on pages and in their inlines."""
    urls = set()
    for model, page in admin.site._registry.items():
        for one in (page, *(inline(model, admin.site) for inline in page.inlines)):
            meta = one.model._meta
            for name in one.autocomplete_fields:
                asked = f"app_label={meta.app_label}&model_name={meta.model_name}&field_name={name}"
                url = f"{reverse('admin:autocomplete')}?{asked}"
                urls |= {url, f"{url}&term={TERM}"}
    return sorted(urls)


def count(urls: Sequence[str]) -> dict[str, int]:
    """How many queries each page asks of this database, as one who may see everything and has been there before."""
    client = Client(headers={"host": settings.ALLOWED_HOSTS[0].removeprefix(".")})
    counts = {}
    with transaction.atomic():
        client.force_login(get_user_model().objects.create_superuser("bench"))
        for url in urls:
            client.get(url, secure=True)
            with CaptureQueriesContext(connection) as seen:
                answer = client.get(url, secure=True)
            if answer.status_code != 200:
                raise RuntimeError(f"{url} answers {answer.status_code}.")
            counts[url] = len(seen)
        transaction.set_rollback(True)
    return counts


def run(*, only: Sequence[str], say: Callable[[str], None], variants: int = bench_search.VARIANTS) -> Iterator[Figure]:
    """Lists and choices, each in a house of a hundredth of the products beside the whole.

    Makes databases <name>_bench_pages and <name>_bench_search beside the one it is given, or takes those that a run
    before has left.
    """
    few = variants // 100
    kinds = {
        f"queries of the admin's {kind}, {few:,} products beside {variants:,}": pages
        for kind, pages in (("lists and their searches", lists), ("choices while one types", choices))
    }
    base = str(connection.settings_dict["NAME"])
    for name, pages in kinds.items():
        if only and not any(word in name for word in only):
            continue
        counts = []
        for suffix, products in (("pages", few), ("search", variants)):
            bench.make(database := f"{base}_bench_{suffix}", say)
            with bench.database(database):
                call_command("migrate", verbosity=0)
                if not Variant.objects.exists():
                    say(f"Filling {database}: {products:,} products")
                    bench_search.fill(variants=products)
                counts.append(count(pages()))
        there, here = counts
        for url in (url for url in here if here[url] != there[url]):
            say(f"{url} asks {there[url]} queries among {few:,} products, {here[url]} among {variants:,}")
        most = max(here, key=here.__getitem__)
        yield Figure(
            name=f"{name}: {len(here)} pages, at most {here[most]} ({most.partition('?')[0]})", beside="with few",
            ours=sum(here.values()), other=sum(there.values()), unit=" queries", reach="1, exactly",
            ratio=sum(there.values()) / sum(here.values()),
        )  # fmt: skip
