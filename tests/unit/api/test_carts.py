"""What a cart, and a restock, may say: judged without any server."""

import json

import pytest
from pydantic import ValidationError

from api.carts import CheckoutRequest
from api.catalogue import Restock


@pytest.mark.parametrize("quantity", ["1.0", "1.5", "true", '"1"', "0", "-1", "100", "2147483648", "null"])
def test_only_a_whole_number_from_1_to_99_is_a_quantity(quantity: str) -> None:
    assert CheckoutRequest.model_validate_json('{"items": [{"sku": "pen", "quantity": 99}]}')
    with pytest.raises(ValidationError):
        CheckoutRequest.model_validate_json(f'{{"items": [{{"sku": "pen", "quantity": {quantity}}}]}}')


@pytest.mark.parametrize(
    "cart",
    [
        {"items": [{"sku": "pen", "quantity": 1, "unit_amount": 1}]},
        {"items": [{"sku": "pen", "quantity": 1}], "amount_total": 1},
        {"items": [{"sku": "pen", "quantity": 1}, {"sku": "pen", "quantity": 2}]},
        {"items": []},
        {"items": [{"sku": f"sku-{number}", "quantity": 1} for number in range(51)]},
    ],
)
def test_a_cart_with_a_price_of_its_own_or_a_product_twice_or_too_many_is_refused(cart: object) -> None:
    with pytest.raises(ValidationError):
        CheckoutRequest.model_validate_json(json.dumps(cart))


@pytest.mark.parametrize("quantity", ["0", "-5", "1.5", "true", "1000001"])
def test_a_restock_only_adds(quantity: str) -> None:
    with pytest.raises(ValidationError):
        Restock.model_validate_json(f'{{"sku": "pen", "quantity": {quantity}}}')
