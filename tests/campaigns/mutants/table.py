"""All planted bugs, in the order in which they are run."""

from tests.campaigns.mutants.after_sale import AFTER_SALE
from tests.campaigns.mutants.answers import ANSWERS
from tests.campaigns.mutants.around import AROUND
from tests.campaigns.mutants.entrance import ENTRANCE
from tests.campaigns.mutants.field_db import FIELD_DB
from tests.campaigns.mutants.field_gate import FIELD_GATE
from tests.campaigns.mutants.field_health import FIELD_HEALTH
from tests.campaigns.mutants.field_pay import FIELD_PAY
from tests.campaigns.mutants.field_shop import FIELD_SHOP
from tests.campaigns.mutants.field_stack import FIELD_STACK
from tests.campaigns.mutants.gateway import GATEWAY
from tests.campaigns.mutants.journeys import JOURNEYS
from tests.campaigns.mutants.late import LATE
from tests.campaigns.mutants.money import MONEY
from tests.campaigns.mutants.mutant import Mutant
from tests.campaigns.mutants.orders import ORDERS
from tests.campaigns.mutants.payment_service import PAYMENT_SERVICE
from tests.campaigns.mutants.platform import PLATFORM

MUTANTS: tuple[Mutant, ...] = (
    *ORDERS,
    *JOURNEYS,
    *AROUND,
    *LATE,
    *GATEWAY,
    *ENTRANCE,
    *ANSWERS,
    *PAYMENT_SERVICE,
    *PLATFORM,
    *FIELD_STACK,
    *FIELD_GATE,
    *FIELD_HEALTH,
    *FIELD_DB,
    *FIELD_PAY,
    *MONEY,
    *FIELD_SHOP,
    *AFTER_SALE,
)
