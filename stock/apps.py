from django.apps import AppConfig

from catalog import effects


class StockConfig(AppConfig):
    name = "stock"
    verbose_name = "Stock"

    def ready(self) -> None:
        from stock import queries

        effects.tell_by("stock", queries.held)
