"""What the payment provider will charge, and what not: said when a product or a cart is made, before anything is
reserved, and not when the customer is about to pay. Source: Stripe, "Create a Checkout Session" and "Supported
currencies, minimum and maximum charge amounts".
"""

from checkout.currencies import currency, money

MAX_PRODUCT_NAME = 250  # characters
MAX_LINE_ITEMS = 100


def product_faults(name: str, unit_amount: int, code: str) -> dict[str, str]:
    """What of a product could never be sold: sentences by field (`name`, `unit_amount`); empty when it can."""
    faults: dict[str, str] = {}
    rules = currency(code)
    if not name.strip():
        faults["name"] = "a product needs a name"
    elif len(name) > MAX_PRODUCT_NAME:
        faults["name"] = f"the payment service takes at most {MAX_PRODUCT_NAME} characters, not {len(name)}"
    if unit_amount % rules.step:
        faults["unit_amount"] = f"amounts in {code.upper()} are multiples of {rules.step}"
    elif not 1 <= unit_amount <= rules.maximum:
        faults["unit_amount"] = f"must be from 1 to {rules.maximum} minor units"
    return faults


def cart_fault(amount_total: int, code: str, line_items: int = 1) -> str | None:
    """Why a cart cannot be paid, in a sentence for its buyer; None when it can. `amount_total` in minor units."""
    rules = currency(code)
    if line_items > MAX_LINE_ITEMS:
        return f"a cart holds at most {MAX_LINE_ITEMS} different products, not {line_items}"
    total = money(amount_total, code)
    if amount_total < rules.minimum:
        return f"the payment service takes payments from {money(rules.minimum, code)} on; this one is {total}"
    if amount_total > rules.maximum:
        return f"the payment service takes payments up to {money(rules.maximum, code)}; this one is {total}"
    if amount_total % rules.step:
        return f"amounts in {code.upper()} are multiples of {rules.step} minor units"
    return None
