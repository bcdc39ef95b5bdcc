"""What an account remembers, from events alone, as far as rules ask for it. The bounds are the ledger's own: a rule sees
what the ledger saw, not more."""
from bisect import bisect_left, bisect_right
from datetime import date, timedelta

from clock import micros_of

BOOKED_MAX = 64  # decided lines, those booked last
MERCHANTS_MAX = 256  # merchants, those seen last
WIN_DAYS = 96  # days before the latest win for which wins are remembered
# What was spent: nothing by a line that is no purchase, or whose release kept no amounts; or not to be told here.
NOTHING, UNKNOWN = ("", 0), None


class Account:
    def __init__(self):
        self.enrolled_at = None
        self.excluded = self.erased = False
        self.wins = {}  # by campaign and its local day: how many, and minor units
        self.booked = []  # times, in order
        self.amounts = []  # of the same lines: currency and minor units spent, NOTHING or UNKNOWN
        self.forgotten = None  # the latest booking time of those that are forgotten
        self.merchants = {}  # a set that keeps its order: the one seen longest ago comes first

    def remember(self, kind, fact, details):
        if kind == "AccountOpened":
            self.enrolled_at = micros_of(fact["enrolled_at"])
        elif kind in ("AccountExcluded", "AccountReinstated"):
            self.excluded = kind == "AccountExcluded"
        elif kind == "PersonalDataErased":
            self.erased, self.merchants = True, {}
            self.amounts = [NOTHING] * len(self.amounts)
        elif kind == "TransactionEvaluated":
            if not self.erased:
                self.purchase(fact["line"], details)
            for draw in fact.get("draws", []):
                if draw.get("amount"):
                    self.win(draw["campaign_id"], draw["day"], draw["amount"]["minor"])

    def purchase(self, line, details):
        booked_at = micros_of(line["booked_at"])
        place = bisect_right(self.booked, booked_at)
        self.booked.insert(place, booked_at)
        self.amounts.insert(place, spent(line, details))
        if len(self.booked) > BOOKED_MAX:
            self.forgotten = max(self.forgotten or self.booked[0], self.booked[0])
            del self.booked[0], self.amounts[0]
        merchant = line.get("merchant")
        if merchant:
            if merchant not in self.merchants and len(self.merchants) == MERCHANTS_MAX:
                del self.merchants[next(iter(self.merchants))]
            self.merchants.pop(merchant, None)
            self.merchants[merchant] = True

    def win(self, campaign, day, minor):
        days = self.wins.setdefault(campaign, {})
        wins, sum_minor = days.get(day, (0, 0))
        days[day] = wins + 1, sum_minor + minor
        first = (date.fromisoformat(max(days)) - timedelta(days=WIN_DAYS)).isoformat()
        self.wins[campaign] = {day: won for day, won in days.items() if day > first}

    def won(self, campaign, first, last):
        """Wins in a campaign on its local days from `first` to `last`: how many, and minor units."""
        days = [won for day, won in self.wins.get(campaign, {}).items() if first <= day <= last]
        return sum(wins for wins, _ in days), sum(minor for _, minor in days)

    def transactions(self, after, until):
        """Decided lines booked after `after` and until `until`, the ends of it in microseconds."""
        return bisect_right(self.booked, until) - bisect_right(self.booked, after)

    def later(self, after, before):
        """Booking times after `after` and before `before`."""
        return self.booked[bisect_right(self.booked, after) : bisect_left(self.booked, before)]

    def has_forgotten(self, after):
        """Whether a line that was booked after `after` is not remembered."""
        return self.forgotten is not None and self.forgotten > after

    def spent(self, after, until, currency):
        """What those among them that are purchases in this currency came to as far as it is known, and whether that is all."""
        amounts = self.amounts[bisect_right(self.booked, after) : bisect_right(self.booked, until)]
        known = [amount for amount in amounts if amount is not UNKNOWN]
        return sum(minor for of, minor in known if of == currency), len(known) == len(amounts)


def spent(line, details):
    if "spent" not in line:
        return NOTHING
    return (details["currency"], details["amount_minor"]) if details else UNKNOWN
