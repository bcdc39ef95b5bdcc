"""What every campaign asks of a line, and what its own rules do: each a code and a verdict.

A verdict is True (the line passes), False (it fails), EITHER (the code is recorded or not, according to which release
decided the line), or None: it cannot be told here, since details are not disclosed, were erased or do not open, or since
the rule is an expression (`cel`), which this file does not evaluate.
"""
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Optional

from accounts import Account
from clock import HOUR, Booked, micros_of, utc_day

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EITHER = "either"

# The short form of the first campaigns: the code each rule has always had, in the order of its rules.
SHORT_FORM = {
    "mcc_allowed": "mcc_not_allowed",
    "mcc_denied": "mcc_denied",
    "merchants_allowed": "merchant_not_allowed",
    "merchants_denied": "merchant_denied",
    "amount_min_minor": "amount_too_small",
    "amount_max_minor": "amount_too_large",
    "wins_per_day": "wins_per_day",
}


@dataclass
class Subject:
    """One line of one customer, as one campaign's rules see it."""

    line: dict
    account: Account
    recorded_at: int
    terms: dict
    details: Optional[dict]
    is_earlier: bool  # of a release that recorded no amounts

    def __post_init__(self):
        self.won_in = {}
        self.booked = Booked(self.line, self.terms["time_zone"])
        self.booked_at = self.booked.micros
        # An account opened by this very line enrols when it is recorded.
        enrolled_at = self.account.enrolled_at
        self.enrolled_at = self.recorded_at if enrolled_at is None else enrolled_at

    def won(self, period):
        """Wins in the line's day, ISO week or month on the campaign's clocks: how many, and minor units."""
        if period not in self.won_in:
            first, last = self.days_of(period)
            self.won_in[period] = self.account.won(self.terms["campaign_id"], first.isoformat(), last.isoformat())
        return self.won_in[period]

    def is_of_the_night_before(self):
        """Whether its hour is one that the rules allow only as the end of a window that began the day before. The first
        terms knew no such nights."""
        if self.terms.get("rules_reading", 1) < 2 or isinstance(self.terms.get("rules", {}), dict):
            return False
        ranges = [tuple(map(int, text.split("-"))) for rule in self.terms["rules"] for text in rule.get("hours", ())]
        hour = self.booked.hour
        if hour is None:
            return False
        ends = any(first >= last and hour < last for first, last in ranges)
        return ends and not any(first <= hour < last for first, last in ranges if first < last)

    def days_of(self, period):
        first = last = self.booked.day
        if period == "week":
            first -= timedelta(days=first.weekday())
            last = first + timedelta(days=6)
        elif period == "month":
            first = first.replace(day=1)
            last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        return first, last


# --- our own checks ---------------------------------------------------------------------------------------------------


def own_checks(subject, campaign, found):
    """What every campaign asks."""
    terms, details, booked = subject.terms, subject.details, subject.booked
    yield "before_campaign", not booked.is_before(micros_of(terms["starts_at"]))
    over = "ends_at" in terms and booked.is_after(micros_of(terms["ends_at"]))
    yield "after_campaign", not (campaign.ended or over)
    yield "campaign_paused", not campaign.paused or campaign.ended
    from_enrolment = terms.get("eligible_from", "enrolment") == "enrolment"
    yield "before_enrolment", not (from_enrolment and booked.is_before(subject.enrolled_at))
    yield "account_excluded", not subject.account.excluded
    yield "credit_transaction", details and details["direction"] != "credit"
    yield "refund", details and not details["refund"]
    yield "amount_zero", details and details["amount_minor"] > 0
    yield "currency_mismatch", details and in_currency(subject)
    yield "no_merchant", details and details["merchant"] is not None
    day, last = booked.epoch(terms), max(campaign.epochs, default=None)
    yield from epoch_check(day, campaign.epochs.get(day), last, subject, found)


def epoch_check(day, epoch, last_epoch, subject, found):
    """Whether the booking day's epoch draws, or will. The code is `no_epoch`, `after_last_epoch`, `epoch_halted` or
    `too_late`."""
    if epoch is None:
        # A day still to come is no failure: such a line waits.
        if date.fromisoformat(day) > utc_day(subject.recorded_at):
            yield "no_epoch", True
        elif last_epoch is not None and day > last_epoch:
            # Earlier releases had one word for both.
            yield ("no_epoch" if "no_epoch" in found else "after_last_epoch"), False
        else:
            yield "no_epoch", False
        return
    past_grace = subject.recorded_at >= epoch.seals_at
    if epoch.halted:
        # First such lines were declined at once. Later they wait, and are declined when the epoch is closed without
        # having been resumed. That none draws is checked where draws are.
        yield "epoch_halted", EITHER
        yield "too_late", EITHER if epoch.closed or past_grace else True
    elif epoch.cap is None and not epoch.closed and past_grace:
        # Never opened, for want of its beacon. First such lines waited, later they are declined.
        yield "too_late", EITHER
    else:
        yield "too_late", not (epoch.closed or past_grace)


def is_purchase(details):
    return details["direction"] == "debit" and not details["refund"]


def in_currency(subject):
    return subject.details["currency"] == subject.terms["prize_table"]["currency"]


# --- the campaign's rules ---------------------------------------------------------------------------------------------


class Rule:
    """One rule of a campaign: its code, what kind it is of, and how it answers a line."""

    def __init__(self, code, kind, value, missing=None):
        self.code, self.kind = code, kind
        self.is_known = kind in RULES
        self.is_about_spending = kind in ABOUT_SPENDING
        self.verdict = RULES[kind](value, missing) if self.is_known else lambda subject: None


def rules_of(terms):
    """A campaign's rules: a list of named ones, or the short form under the codes they have always had."""
    rules = terms.get("rules", {})
    if isinstance(rules, dict):
        # An empty list of denied ones is none.
        given = {kind: value for kind, value in rules.items() if value or not kind.endswith("_denied")}
        return [Rule(code, kind, given[kind]) for kind, code in SHORT_FORM.items() if kind in given]
    return [Rule(rule["code"], kind, rule[kind], rule.get("missing")) for rule in rules for kind in kinds_in(rule)]


def kinds_in(rule):
    """The one key of a rule that says what it asks."""
    return [key for key in rule if key not in ("code", "customer", "staff", "missing")]


# Each of the following makes, from a rule's value and its `missing`, the function that answers a line.


def of_merchant(field, holds, allowed):
    """A list of what a merchant's id, category or country may be, or may not be.

    Not asked of a line without a merchant, which `no_merchant` has declined. A merchant that lacks the field: a list of
    allowed ones declines it and a list of denied ones lets it pass, unless the rule says otherwise by `missing`.
    """

    def rule(listed, missing):
        is_listed = holds(listed)
        passes_without = (missing or ("decline" if allowed else "pass")) == "pass"

        def verdict(subject):
            if subject.details is None:
                return None
            merchant = subject.details["merchant"]
            if merchant is None:
                return True
            if field not in merchant:  # a bundle of a release that did not disclose it
                return None
            if merchant[field] is None:
                return passes_without
            return is_listed(merchant[field]) == allowed

        return verdict

    return rule


def is_one_of(listed):
    return frozenset(listed).__contains__


def is_in_ranges(listed):
    """Category codes such as 5411 and ranges such as 5811-5814."""
    texts = [text.partition("-") for text in listed]
    ranges = [(int(first), int(last or first)) for first, _, last in texts]
    return lambda mcc: any(first <= int(mcc) <= last for first, last in ranges)


def amount(within):
    """A bound in minor units of the campaign's currency; not asked of another."""

    def rule(bound, _missing):
        def verdict(subject):
            if subject.details is None:
                return None
            return not in_currency(subject) or within(subject.details["amount_minor"], bound)

        return verdict

    return rule


def first_purchase(_value, missing):
    """Not bought at this merchant before. The log knows merchants by a tag that means nothing outside the account; only a
    purchase at a merchant with an id has one."""

    def verdict(subject):
        if tag := subject.line.get("merchant"):
            return tag not in subject.account.merchants
        if subject.details is None:
            return None
        merchant = subject.details["merchant"]
        if merchant is not None and merchant["id"] is None:
            return missing == "pass"
        return True

    return verdict


def weekdays(days, _missing):
    """Of booking; of an hours window over midnight, the day on which it began."""
    return lambda subject: WEEKDAYS[(subject.booked.day.weekday() - subject.is_of_the_night_before()) % 7] in days


def hours(ranges, missing):
    """Ranges such as 17-20, the last hour excluded; 22-2 goes over midnight."""
    open_hours = set()
    for text in ranges:
        first, last = map(int, text.split("-"))
        open_hours.update(range(first, last) if first < last else [*range(first, 24), *range(last)])
    return lambda subject: missing == "pass" if subject.booked.hour is None else subject.booked.hour in open_hours


def wins(period):
    return lambda most, _missing: lambda subject: subject.won(period)[0] < most


def won_minor(period):
    return lambda most, _missing: lambda subject: subject.won(period)[1] < most


def account_age(days, _missing):
    """Whole days of 24 hours from enrolment to booking; of the calendar where the bank gave a date alone."""
    return lambda subject: subject.booked.days_since(subject.enrolled_at) >= days


def within_hours(subject, hours):
    """The ends of all such hours in which the line lies: its own booking, and those of lines that were booked later and
    decided before it. None where one that may lie in them is forgotten: the rule fails."""
    if subject.account.has_forgotten(subject.booked_at - hours * HOUR):
        return None
    return [subject.booked_at, *subject.account.later(subject.booked_at, subject.booked_at + hours * HOUR)]


def transactions_max(most, _missing):
    """This one included, in any hours that it lies in, of those decided before it."""

    def verdict(subject):
        before = most["hours"] * HOUR
        keeps = lambda end: subject.account.transactions(end - before, end) + 1 <= most["count"]
        ends = within_hours(subject, most["hours"])
        if ends is not None and all(map(keeps, ends)):
            return True
        # Earlier releases looked at the hours up to the booking alone.
        return EITHER if subject.is_earlier and keeps(subject.booked_at) else False

    return verdict


def spent_max(most, _missing):
    """The same of purchases, in minor units of the campaign's currency; not asked of another, nor of what spends nothing."""

    def verdict(subject):
        details = subject.details
        if details is None:
            return None
        if not in_currency(subject) or not is_purchase(details):
            return True
        ends = within_hours(subject, most["hours"])
        if ends is None:
            return False
        before = most["hours"] * HOUR
        others = [subject.account.spent(end - before, end, details["currency"]) for end in ends]
        if max(known for known, _ in others) + details["amount_minor"] > most["minor"]:
            return False
        return True if all(is_all for _, is_all in others) else None

    return verdict


RULES = {
    "merchants_allowed": of_merchant("id", is_one_of, True),
    "merchants_denied": of_merchant("id", is_one_of, False),
    "mcc_allowed": of_merchant("mcc", is_in_ranges, True),
    "mcc_denied": of_merchant("mcc", is_in_ranges, False),
    "countries_allowed": of_merchant("country", is_one_of, True),
    "countries_denied": of_merchant("country", is_one_of, False),
    "amount_min_minor": amount(lambda minor, least: minor >= least),
    "amount_max_minor": amount(lambda minor, most: minor <= most),
    "first_purchase_at_merchant": first_purchase,
    "weekdays": weekdays,
    "hours": hours,
    "wins_per_day": wins("day"),
    "wins_per_week": wins("week"),
    "wins_per_month": wins("month"),
    "won_minor_per_day": won_minor("day"),
    "won_minor_per_week": won_minor("week"),
    "won_minor_per_month": won_minor("month"),
    "account_age_days_min": account_age,
    "transactions_max": transactions_max,
    "spent_max": spent_max,
}

# Kinds that ask what was spent before: an amount that does not open leaves them without an answer.
ABOUT_SPENDING = {"spent_max"}
