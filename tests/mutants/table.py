"""All planted bugs, in the order in which they are run."""

from tests.mutants.answers import ANSWERS
from tests.mutants.around import AROUND
from tests.mutants.entrance import ENTRANCE
from tests.mutants.gateway import GATEWAY
from tests.mutants.journeys import JOURNEYS
from tests.mutants.late import LATE
from tests.mutants.mutant import Mutant
from tests.mutants.orders import ORDERS
from tests.mutants.payment_service import PAYMENT_SERVICE

MUTANTS: tuple[Mutant, ...] = (*ORDERS, *JOURNEYS, *AROUND, *LATE, *GATEWAY, *ENTRANCE, *ANSWERS, *PAYMENT_SERVICE)
