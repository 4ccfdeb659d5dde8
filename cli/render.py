"""Orders, money and verdicts as tables. Everything from the network is printed as text, never as markup."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from checkout.money import money as format_money
from cli.output import Json

_COLOURS = {
    "pending": "yellow",
    "awaiting_payment": "yellow",
    "payment_processing": "yellow",
    "fulfilled": "green",
    "dispatched": "green",
    "rejected": "red",
    "cancelled": "red",
    "refunded": "magenta",
}
_NUMBERS = {"#", "amount", "checked", "p50", "p90", "p99", "max", "ms", "share"}


def status_text(order: Json) -> Text:
    """`fulfilled`, or `cancelled (timeout)`, in its colour."""
    status = str(order.get("status"))
    text = Text(status.replace("_", " "), style=_COLOURS.get(status, ""))
    if order.get("reason"):
        text.append(f" ({order['reason']})".replace("_", " "))
    return text


def money(document: Json) -> str:
    return format_money(int(document.get("amount_total") or 0), str(document.get("currency") or ""))


def facts(pairs: Iterable[tuple[str, RenderableType]]) -> RenderableType:
    """Names and values side by side, without borders. Where all are text, lines are not broken: they get copied."""
    pairs = list(pairs)
    if all(isinstance(value, str) for _, value in pairs):
        width = max(len(name) for name, _ in pairs)
        return Text("\n").join(Text.assemble((f"{name:<{width}}", "dim"), f"  {value}") for name, value in pairs)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, Text(value) if isinstance(value, str) else value)
    return table


def columns(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        is_number = name in _NUMBERS
        table.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=name == "order")
    return table


def bought(body: Json) -> RenderableType:
    again = "  (the answer this key got before)" if body["replayed"] else ""
    return facts(
        [
            ("order", str(body.get("order_id"))),
            ("amount", money(body)),
            ("pay at", str(body.get("payment_url"))),
            ("or with", f"checkout pay {body.get('order_id')}"),
            ("until", str(body.get("expires_at"))),
            ("key", f"{body.get('checkout_key')}{again}"),
        ]
    )


def order(document: Json) -> RenderableType:
    """Status, lines, payment, dispatch and the timeline."""
    payment = document.get("payment") or {}
    currency = str(document.get("currency") or "")
    lines = ", ".join(
        f"{line['quantity']} {line['sku']} at {format_money(int(line['unit_amount']), currency)}"
        for line in document.get("lines") or []
    )
    rows: list[tuple[str, RenderableType]] = [
        ("order", str(document.get("order_id"))),
        ("status", status_text(document)),
        ("lines", lines),
        ("total", money(document)),
    ]
    if payment.get("session_id"):
        state = str(payment.get("status") or "open").replace("_", " ")
        rows.append(("payment", f"{state}, {payment['session_id']}"))
    for name, field in (("given back", "refunded"), ("on its way back", "refund_pending"), ("lost", "lost")):
        if payment.get(field):
            rows.append((name, format_money(int(payment[field]), currency)))
    rows += [("refund", refund_line(refund, currency)) for refund in document.get("refunds") or []]
    rows += [("dispute", _dispute(dispute, currency)) for dispute in document.get("disputes") or []]
    progress = (document.get("dispatch") or {}).get("progress")
    if progress is not None and document.get("status") in {"fulfilled", "dispatched"}:
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=1.0, completed=float(progress), width=30), f"{float(progress):.0%}")
        rows.append(("dispatch", bar))
    return Group(facts(rows), "", timeline(document.get("timeline") or []))


def refund_line(refund: Json, currency: str) -> str:
    """`rfd_…: 4.50 USD, succeeded (Arrived broken)`"""
    why = f" ({refund['reason']})" if refund.get("reason") else ""
    waits = ", waits for the customer" if refund.get("requires_action") else ""
    return f"{refund.get('id')}: {format_money(int(refund['amount']), currency)}, {refund.get('state')}{waits}{why}"


def _dispute(dispute: Json, currency: str) -> str:
    amount, state = format_money(int(dispute["amount"]), currency), str(dispute.get("state")).replace("_", " ")
    due = f", answer by {dispute['evidence_due_by']}" if dispute.get("evidence_due_by") else ""
    return f"{dispute.get('id')}: {amount}, {state}{due}"


def timeline(events: list[Json]) -> Table:
    table = columns("#", "at", "what")
    for event in events:
        what = Text(str(event.get("kind")).replace("_", " "))
        if event.get("text"):
            what.append(f"  {event['text']}")
        for name, value in (event.get("data") or {}).items():
            what.append(f"  {name}={value}", style="dim")
        table.add_row(str(event.get("seq")), _clock(str(event.get("at"))), what)
    return table


def event(document: Json) -> Text:
    """One line of `checkout events`; an order's own stream does not repeat its id."""
    kind = str(document.get("kind"))
    line = Text(f"{_clock(str(document.get('at')))}  ", style="dim")
    if document.get("order_id"):
        line.append(f"{document['order_id']}  ", style="not dim")
    line.append(kind.replace("_", " "), style=f"not dim {_COLOURS.get(kind, '')}".strip())
    for name, value in (document.get("data") or {}).items():
        line.append(f"  {name}={value}")
    return line


def _clock(at: str) -> str:
    """`2026-11-22T11:24:08.123Z` is 11:24:08.123, in UTC as everywhere."""
    return at.partition("T")[2].removesuffix("Z").removesuffix("+00:00")[:12] or at


def orders(page: Json) -> Table:
    table = columns("order", "status", "amount", "created", "key")
    for row in page.get("orders") or []:
        created = str(row.get("created_at")).replace("T", " ")[:19]
        table.add_row(str(row.get("order_id")), status_text(row), money(row), created, str(row.get("checkout_key")))
    return table


def audit(document: Json) -> RenderableType:
    table = columns("#", "invariant", "checked", "verdict")
    for invariant in document.get("invariants") or []:
        verdict = Text("holds", "green") if invariant.get("ok") else Text("VIOLATED", "bold red")
        number, name, checked = (invariant.get(each) for each in ("number", "name", "checked"))
        table.add_row(str(number), str(name), "" if checked is None else str(checked), verdict)
        violations = invariant.get("violations") or []
        more = [f"and {len(violations) - 10} more"] if len(violations) > 10 else []
        for line in [*violations[:10], *more]:
            table.add_row("", Text(f"  {line}", "red"), "", "")
    outcomes = ", ".join(f"{count} {status}" for status, count in (document.get("outcomes") or {}).items())
    judgement = "every promise is kept" if document.get("ok") else "promises are BROKEN"
    which = "" if document.get("whole", True) else " that may have changed since the last audit"
    waiting = f"; {document['waiting']} more wait for the next one" if document.get("waiting") else ""
    told = f"{document.get('orders')} orders{which} ({outcomes or 'none'}){waiting}: {judgement}"
    return Group(table, "", Text(told))


def checks(document: Json) -> RenderableType:
    """The doctor's findings, and what they come to."""
    marks = {"ok": Text("✓", "green"), "wrong": Text("✗", "bold red"), "skipped": Text("-", "dim")}
    table = Table.grid(padding=(0, 2))
    for check in document["checks"]:
        table.add_row(marks[check["state"]], str(check["name"]), Text(str(check["says"])))
    wrong = sum(check["state"] == "wrong" for check in document["checks"])
    verdict = "All is well." if document["ok"] else f"{wrong} of {len(document['checks'])} are not well."
    return Group(table, "", Text(verdict))
