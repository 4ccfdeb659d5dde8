"""`POST /payment_webhook`: the payment service's signed events."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from api import signatures, webhooks
from api.state import GatewayDependency

router = APIRouter(tags=["payment service"])


_REQUEST = {
    "parameters": [
        {
            "name": "Stripe-Signature",
            "in": "header",
            "required": True,
            "schema": {"type": "string"},
            "description": "`t=<unix seconds>,v1=<HMAC-SHA256>`, several `v1` while secrets are rotated.",
        }
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
}


@router.post("/payment_webhook/", include_in_schema=False)  # as it is easily typed into a dashboard
@router.post("/payment_webhook", summary="Take a signed event", openapi_extra=_REQUEST)
async def payment_webhook(request: Request, gateway: GatewayDependency) -> JSONResponse:
    """200 once the event is safely with Temporal; 400 for a bad signature; 503 to have it sent again."""
    payload = await request.body()
    secrets = [secret.get_secret_value() for secret in gateway.settings.stripe_webhook_secrets]
    signatures.verify(payload, request.headers.get("stripe-signature", ""), secrets)
    event = webhooks.parse(payload, gateway.settings.is_live)
    if event is not None:
        await webhooks.deliver(event, gateway.temporal, gateway.engine)
        signatures.EVENTS.labels("taken").inc()
    return JSONResponse({"received": True})
