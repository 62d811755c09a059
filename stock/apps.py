from django.apps import AppConfig

from catalog import effects


class StockConfig(AppConfig):
    name = "stock"
    verbose_name = "Stock"

    def ready(self) -> None:
        from partners import subjects
        from stock import queries

        effects.tell_by("stock", queries.held)
        subjects.count_by("stock", queries.available_at)
