"""A shop on DBOS in the shape of its published widget store, written anew: `python -m bench.peers.widgets`.

Synchronous, with the payment service inside (a route that anybody may call), one product, no idempotent provider and
no ledger: much less work a checkout than ours. After payment a second workflow takes ten steps, one a second.
"""

import os

import sqlalchemy as sa
import uvicorn
from dbos import DBOS, DBOSConfig, SetWorkflowID, SQLAlchemyDatasource
from fastapi import FastAPI, HTTPException, Response

PAYMENT, PAYMENT_ID, ORDER_ID = "payment_status", "payment_id", "order_id"
SHORT_TRIP = 10  # steps from paid to dispatched

app = FastAPI()
tables = sa.MetaData()
products = sa.Table(
    "widgets", tables, sa.Column("product_id", sa.Integer, primary_key=True), sa.Column("inventory", sa.Integer)
)
orders = sa.Table(
    "widget_orders",
    tables,
    sa.Column("order_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("progress_remaining", sa.Integer, nullable=False, default=SHORT_TRIP),
)
CANCELLED, PENDING, DISPATCHED, PAID = -1, 0, 1, 2
store: SQLAlchemyDatasource


def create_order() -> int:
    statement = orders.insert().values(status=PENDING).returning(orders.c.order_id)
    return int(store.sql_session().execute(statement).scalar_one())


def take_one() -> bool:
    left = products.c.inventory > 0
    statement = products.update().where(left).values(inventory=products.c.inventory - 1).returning(sa.literal(1))
    return store.sql_session().execute(statement).scalar() is not None


def put_back() -> None:
    store.sql_session().execute(products.update().values(inventory=products.c.inventory + 1))


def set_status(order_id: int, status: int) -> None:
    store.sql_session().execute(orders.update().where(orders.c.order_id == order_id).values(status=status))


def move_on(order_id: int) -> None:
    remaining = orders.c.progress_remaining
    one = orders.update().where(orders.c.order_id == order_id)
    left = store.sql_session().execute(one.values(progress_remaining=remaining - 1).returning(remaining)).scalar_one()
    if left == 0:
        store.sql_session().execute(one.values(status=DISPATCHED))


@DBOS.workflow()
def checkout() -> None:
    order_id = store.run_tx_step({"name": "create_order"}, create_order)
    if not store.run_tx_step({"name": "take_one"}, take_one):
        store.run_tx_step({"name": "set_status"}, set_status, order_id, CANCELLED)
        DBOS.set_event(PAYMENT_ID, None)
        return
    DBOS.set_event(PAYMENT_ID, DBOS.workflow_id)
    if DBOS.recv(PAYMENT) == "paid":
        store.run_tx_step({"name": "set_status"}, set_status, order_id, PAID)
        DBOS.start_workflow(dispatch, order_id)
    else:
        store.run_tx_step({"name": "put_back"}, put_back)
        store.run_tx_step({"name": "set_status"}, set_status, order_id, CANCELLED)
    DBOS.set_event(ORDER_ID, str(order_id))


@DBOS.workflow()
def dispatch(order_id: int) -> None:
    for _ in range(SHORT_TRIP):
        DBOS.sleep(1)
        store.run_tx_step({"name": "move_on"}, move_on, order_id)


@app.post("/checkout/{key}")
def buy(key: str) -> Response:
    with SetWorkflowID(key):
        handle = DBOS.start_workflow(checkout)
    return _told(DBOS.get_event(handle.workflow_id, PAYMENT_ID))


@app.post("/payment_webhook/{payment_id}/{status}")
def pay(payment_id: str, status: str) -> Response:
    DBOS.send(payment_id, status, PAYMENT)
    return _told(DBOS.get_event(payment_id, ORDER_ID))


def _told(text: str | None) -> Response:
    if text is None:
        raise HTTPException(404)
    return Response(text)


@app.get("/readyz")
def ready() -> None: ...


def main() -> None:
    global store
    url = os.environ["DATABASE_URL"]
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    tables.create_all(engine)
    with engine.begin() as connection:
        connection.execute(products.delete())
        connection.execute(products.insert().values(product_id=1, inventory=1_000_000))
    store = SQLAlchemyDatasource.create(url)
    config: DBOSConfig = {"name": "widgets", "application_version": "1", "system_database_url": url}
    DBOS(config=config)
    DBOS.launch()
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["CHECKOUT_API_PORT"]))


if __name__ == "__main__":
    main()
