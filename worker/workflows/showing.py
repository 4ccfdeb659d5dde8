"""An order as an operator sees it: in Temporal's UI found by status and id and told in the details, and in the log."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from checkout.orders import Order, OrderStatus
    from runtime.search_attributes import CHECKOUT_STATUS, ORDER_ID


def about(order: Order) -> dict[str, str]:
    """The fields of a log line about it (`runtime.logs`)."""
    return {"order_id": order.order_id, "checkout_key": order.checkout_key}


def show(order: Order, *, even_pending: bool = False) -> Order:
    """Show the order as it is now, and answer it.

    A search attribute costs an event and a write to the visibility store each time. A pending order has its session in
    a moment and is then shown once instead of twice, unless it has to wait (`even_pending`).
    """
    because = f" ({order.reason})" if order.reason else ""
    session = f"\n\nsession `{order.session.session_id}`" if order.session else ""
    workflow.set_current_details(f"order `{order.order_id}` **{order.status}**{because}{session}")
    if order.status is OrderStatus.PENDING and not even_pending:
        return order
    wanted = {CHECKOUT_STATUS: order.status.value, ORDER_ID: order.order_id}
    shown = workflow.info().typed_search_attributes
    updates = [key.value_set(value) for key, value in wanted.items() if shown.get(key) != value]
    if updates:
        workflow.upsert_search_attributes(updates)
    return order
