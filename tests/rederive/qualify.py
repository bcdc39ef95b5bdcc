"""Which rules a line fails, from the log and, where they are disclosed, the line's details.

What each campaign's terms say is checked for every decided line: a rule that fails is recorded, a recorded one fails.
Rules that need details are left out where those are not disclosed or were erased; rules this file does not know are counted.
"""
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

CLEAR = {
    "before_campaign", "after_campaign", "campaign_paused", "before_enrolment", "account_excluded", "too_late", "no_epoch",
    "epoch_halted", "wins_per_day",
}
SEALED = {
    "credit_transaction", "refund", "currency_mismatch", "no_merchant", "mcc_not_allowed", "mcc_denied",
    "merchant_not_allowed", "merchant_denied", "amount_too_small", "amount_too_large",
}
KNOWN_RULES = {
    "mcc_allowed", "mcc_denied", "merchants_allowed", "merchants_denied", "amount_min_minor", "amount_max_minor",
    "wins_per_day",
}


def instant(text):
    """RFC 3339 in UTC, with up to nine digits of a second, of which six count."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc, microsecond=int((fraction + "000000")[:6]))


def micros_of(text):
    return (instant(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def day_of(text, terms):
    """The campaign's local day."""
    return instant(text).astimezone(ZoneInfo(terms["time_zone"])).date().isoformat()


class Account:
    def __init__(self):
        self.enrolled_at, self.excluded, self.wins = None, False, {}


class Qualification:
    """Remembers of each account what its rules need."""

    def __init__(self, campaigns, findings):
        self.campaigns, self.findings, self.accounts = campaigns, findings, {}
        self.counts = dict(lines=0, lines_with_details=0, rules_unknown=0)

    def remember(self, account, kind, fact):
        account = self.accounts.setdefault(account, Account())
        if kind == "AccountOpened":
            account.enrolled_at = micros_of(fact["enrolled_at"])
        elif kind in ("AccountExcluded", "AccountReinstated"):
            account.excluded = kind == "AccountExcluded"
        elif kind == "TransactionEvaluated":
            for draw in fact.get("draws", []):
                if draw.get("amount"):
                    day = draw["campaign_id"], draw["day"]
                    account.wins[day] = account.wins.get(day, 0) + 1

    def check(self, place, event, fact, details):
        self.counts["lines"] += 1
        self.counts["lines_with_details"] += details is not None
        checked = CLEAR | SEALED if details else CLEAR
        for considered in fact["considered"]:
            name = considered["campaign_id"]
            terms = self.campaigns[name].terms[considered["campaign_version"]]
            found = set(considered.get("failed", []))
            unknown = found - CLEAR - SEALED
            self.counts["rules_unknown"] += len(unknown) + len(set(terms["rules"]) - KNOWN_RULES)
            expected = set(self.failed(event, fact["line"], self.campaigns[name], terms, details)) & checked
            if expected != found & checked:
                self.findings.add(f"{place}, campaign {name}", "failed rules", sorted(expected), sorted(found))
        if not fact.get("draws"):
            # Nobody is declined by leaving his campaign out.
            running = {name for name, campaign in self.campaigns.items() if campaign.started}
            considered = {c["campaign_id"] for c in fact["considered"]}
            self.findings.compare(place, "campaigns considered", sorted(running), sorted(considered))

    def failed(self, event, line, campaign, terms, details):
        account = self.accounts.get(event["aggregate_id"]) or Account()
        booked_at, now = micros_of(line["booked_at"]), event["recorded_at"]
        if booked_at < micros_of(terms["starts_at"]):
            yield "before_campaign"
        if campaign.ended or ("ends_at" in terms and booked_at >= micros_of(terms["ends_at"])):
            yield "after_campaign"
        if campaign.paused and not campaign.ended:
            yield "campaign_paused"
        if terms.get("eligible_from", "enrolment") == "enrolment" and booked_at < (account.enrolled_at or now):
            yield "before_enrolment"
        if account.excluded:
            yield "account_excluded"
        most = terms["rules"].get("wins_per_day")
        won = account.wins.get((terms["campaign_id"], day_of(line["booked_at"], terms)), 0)
        if most is not None and won >= most:
            yield "wins_per_day"
        yield from self.epoch(campaign, line, now)
        if details:
            yield from of_details(terms, details)

    @staticmethod
    def epoch(campaign, line, now):
        epoch = campaign.epochs.get(line["booked_at"][:10])
        if epoch is None:
            today = datetime.fromtimestamp(now // 10**6, timezone.utc).date()
            if date.fromisoformat(line["booked_at"][:10]) <= today:
                yield "no_epoch"
        elif epoch.halted and not epoch.closed:
            yield "epoch_halted"
        elif epoch.closed or (epoch.cap is not None and now >= epoch.seals_at):
            yield "too_late"


def of_details(terms, details):
    rules, merchant, currency = terms["rules"], details["merchant"], terms["prize_table"]["currency"]
    if details["direction"] == "credit":
        yield "credit_transaction"
    if details["refund"]:
        yield "refund"
    if details["currency"] != currency:
        yield "currency_mismatch"
    if merchant is None:
        yield "no_merchant"
    else:
        mcc, name = merchant["mcc"], merchant["id"]
        if "mcc_allowed" in rules and not in_ranges(mcc, rules["mcc_allowed"]):
            yield "mcc_not_allowed"
        if in_ranges(mcc, rules.get("mcc_denied", [])):
            yield "mcc_denied"
        if "merchants_allowed" in rules and name not in rules["merchants_allowed"]:
            yield "merchant_not_allowed"
        if name is not None and name in rules.get("merchants_denied", []):
            yield "merchant_denied"
    if details["currency"] == currency:
        if details["amount_minor"] < rules.get("amount_min_minor", 0):
            yield "amount_too_small"
        if details["amount_minor"] > rules.get("amount_max_minor", details["amount_minor"]):
            yield "amount_too_large"


def in_ranges(mcc, ranges):
    if mcc is None:
        return False
    bounds = (text.partition("-") for text in ranges)
    return any(int(first) <= int(mcc) <= int(last or first) for first, _, last in bounds)
