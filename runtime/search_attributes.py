"""How orders are found in Temporal. A cluster must know these names, or workflow tasks fail over and over."""

from temporalio.common import SearchAttributeKey

CHECKOUT_STATUS = SearchAttributeKey.for_keyword("CheckoutStatus")
ORDER_ID = SearchAttributeKey.for_keyword("OrderId")
SEARCH_ATTRIBUTES = (CHECKOUT_STATUS, ORDER_ID)
