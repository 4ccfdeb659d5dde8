"""Every route there is, and who may call it. A new route needs a line here."""

ANYONE = "anyone: it shows nothing that is not public and changes nothing"
CUSTOMER = "anyone, as a customer: bounded by rate and reservation caps, prices are the catalogue's"
ORDER_ID = "whoever knows the order's id, 128 random bits: uniform 404 for all else"
SIGNATURE = "the payment service: HMAC over the raw body"
OPERATOR = "the operator, by bearer token: uniform 401"
CONSOLE = "the operator, by the console's cookie: else to the sign-in page; posts need its CSRF token"
SIGN_IN = "anyone who knows the operator token"
CODEC = "the operator, by bearer token or the codec's cookie; pages only of Temporal's UI"
MONITORING = "monitoring: keep it inside by the proxy; no key, no id and no address is in it"
DEVELOPMENT = "the operator, in development; production has no such route"

GATEWAY = {
    "GET /openapi.json": ANYONE,
    "GET /docs": ANYONE,
    "GET /": ANYONE,
    "GET /products": ANYONE,
    "GET /static/{name:path}": ANYONE,
    "POST /checkout": CUSTOMER,
    "POST /checkout/{key:path}": CUSTOMER,
    "GET /checkout/{key:path}": "whoever knows the key, 160 random bits: uniform 404 for all else",
    "GET /checkout/success": "whoever knows the session's id: leads to the order's page",
    "GET /checkout/cancel": ORDER_ID,
    "GET /orders/{order_id}": ORDER_ID,
    "GET /orders/{order_id}/events": ORDER_ID,
    "GET /orders/{order_id}/view": ORDER_ID,
    "POST /orders/{order_id}/view": ORDER_ID,
    "POST /orders/{order_id}/cancel": ORDER_ID,
    "POST /payment_webhook": SIGNATURE,
    "POST /payment_webhook/": SIGNATURE,
    "POST /admin/restock": OPERATOR,
    "POST /admin/write-off": OPERATOR,
    "PUT /admin/products/{sku}": OPERATOR,
    "POST /admin/products/{sku}/withdraw": OPERATOR,
    "POST /admin/products/{sku}/offer": OPERATOR,
    "GET /admin/orders": OPERATOR,
    "GET /admin/orders/{order_id}": OPERATOR,
    "POST /admin/orders/{order_id}/refund": OPERATOR,
    "GET /admin/audit": OPERATOR,
    "GET /admin/audit/progress": OPERATOR,
    "GET /admin/events": OPERATOR,
    "GET /admin": CONSOLE,
    "GET /admin/console/orders": CONSOLE,
    "GET /admin/console/orders/{order_id}": CONSOLE,
    "GET /admin/console/stock": CONSOLE,
    "GET /admin/console/audit": CONSOLE,
    "GET /admin/console/audit/progress": CONSOLE,
    "POST /admin/console/audit": CONSOLE,
    "GET /admin/console/events": CONSOLE,
    "POST /admin/console/orders/{order_id}/refund": CONSOLE,
    "POST /admin/console/orders/{order_id}/settle": CONSOLE,
    "POST /admin/console/orders/{order_id}/resend": CONSOLE,
    "POST /admin/console/restock": CONSOLE,
    "POST /admin/console/write-off": CONSOLE,
    "POST /admin/console/products/{sku}/{sale}": CONSOLE,
    "POST /admin/logout": CONSOLE,
    "GET /admin/login": ANYONE,
    "POST /admin/login": SIGN_IN,
    "POST /admin/console/processes/{name}/kill": DEVELOPMENT,
    "GET /livez": MONITORING,
    "GET /readyz": MONITORING,
    "GET /metrics": MONITORING,
    "POST /codec/decode": CODEC,
    "POST /codec/session": OPERATOR,
    "DELETE /codec/session": "whoever holds the cookie: ends it",
}

# The payment service is a stand-in for Stripe and refuses to start in production.
KEY = "whoever has the provider's secret key"
PAYER = "the customer at the payment page: whoever knows the session's id"
CONTROL = "whoever reaches the port: the control plane of a simulator, bound to 127.0.0.1"
PAYMENT = {
    **{
        f"{method} {path}": KEY
        for method, path in (
            ("POST", "/v1/checkout/sessions"),
            ("GET", "/v1/checkout/sessions"),
            ("GET", "/v1/checkout/sessions/{id}"),
            ("GET", "/v1/checkout/sessions/{id}/line_items"),
            ("POST", "/v1/checkout/sessions/{id}/expire"),
            ("GET", "/v1/payment_intents/{id}"),
            ("GET", "/v1/charges/{id}"),
            ("POST", "/v1/refunds"),
            ("GET", "/v1/refunds"),
            ("GET", "/v1/refunds/{id}"),
            ("POST", "/v1/refunds/{id}/cancel"),
            ("GET", "/v1/disputes"),
            ("GET", "/v1/disputes/{id}"),
            ("POST", "/v1/disputes/{id}"),
            ("POST", "/v1/disputes/{id}/close"),
            ("GET", "/v1/events"),
            ("GET", "/v1/events/{id}"),
            ("GET", "/v1/{rest:path}"),
            ("POST", "/v1/{rest:path}"),
            ("PUT", "/v1/{rest:path}"),
            ("PATCH", "/v1/{rest:path}"),
            ("DELETE", "/v1/{rest:path}"),
        )
    },
    "GET /payment/static/{name}": ANYONE,
    "GET /payment/{id}": PAYER,
    "POST /payment/{id}/pay": PAYER,
    "POST /payment/{id}/decline": PAYER,
    "POST /payment/{id}/cancel": PAYER,
    "POST /api/create_payment_session": "anyone, as in the guide; webhooks go to this machine only",
    "GET /api/session/{session_id}": PAYER,
    "GET /api/session_info/{session_id}": PAYER,
    "POST /api/submit_payment": PAYER,
    "POST /api/cancel_payment": PAYER,
    "GET /livez": MONITORING,
    "GET /readyz": MONITORING,
    "GET /openapi.json": ANYONE,
    "GET /docs": ANYONE,
    "FILES /docs/static": ANYONE,
    "GET /_faults": CONTROL,
    "PUT /_faults": CONTROL,
    "DELETE /_faults": CONTROL,
    "DELETE /_faults/{rule_id}": CONTROL,
    "POST /_faults/release": CONTROL,
    "POST /_faults/pay": CONTROL,
    "POST /_faults/become": CONTROL,
    "POST /_faults/refund": CONTROL,
    "POST /_faults/dispute": CONTROL,
    "POST /_faults/webhooks": CONTROL,
    "POST /_faults/webhooks/{event_id}/resend": CONTROL,
}
