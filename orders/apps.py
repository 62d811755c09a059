from django.apps import AppConfig

from catalog import effects


class OrdersConfig(AppConfig):
    name = "orders"
    verbose_name = "Orders"

    def ready(self) -> None:
        from orders import queries

        effects.tell_by("orders", queries.open_lines)
