"""Times as the log writes them: RFC 3339 in UTC, and microseconds since 1970; and what clocks show by the log's own table."""
from bisect import bisect_right
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache

SECOND = 10**6
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
EPOCH_1970 = datetime(1970, 1, 1, tzinfo=timezone.utc)


def instant(text):
    """RFC 3339 in UTC, with up to nine digits of a second, of which six count."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc, microsecond=int((fraction + "000000")[:6]))


@lru_cache(maxsize=4096)
def micros_of(text):
    return (instant(text) - EPOCH_1970) // timedelta(microseconds=1)


def utc_day(micros):
    return (EPOCH_1970 + timedelta(microseconds=micros)).date()


def start_of(day):
    """Midnight UTC at which a day, written YYYY-MM-DD, begins."""
    return (date.fromisoformat(day) - EPOCH_1970.date()).days * DAY


# What each zone's clocks show here in the log, by name: when they change, in seconds since 1970, and the seconds east of
# UTC before the first change and after each.
ZONES = {}


def change_zones(tables):
    """From here on these zones are as they are said to be: by the log or, before it said so, by the bundle. This machine's
    own table is not asked, since it may be another than the one that lines were decided by."""
    for name, table in tables.items():
        changes = table["transitions"]
        ZONES[name] = [at for at, _ in changes], [table["offset"], *(offset for _, offset in changes)]
    local.cache_clear()


@lru_cache(maxsize=4096)
def local(micros, zone):
    """What the clocks of a campaign's time zone show at an instant."""
    changes, offsets = ZONES[zone]
    seconds = offsets[bisect_right(changes, micros // SECOND)]
    return EPOCH_1970 + timedelta(microseconds=micros, seconds=seconds)


class Booked:
    """When a line was booked, on the clocks of a zone. Where the bank gave a date alone, `booked_at` is the midnight UTC at
    which it begins, and that date is the day everywhere."""

    def __init__(self, line, zone):
        self.micros, self.zone = micros_of(line["booked_at"]), zone
        self.has_time = line.get("time_known", True)
        self.day = local(self.micros, zone).date() if self.has_time else utc_day(self.micros)
        self.hour = local(self.micros, zone).hour if self.has_time else None

    def is_before(self, micros):
        """An instant; of a date alone: the day there."""
        return self.micros < micros if self.has_time else self.day < local(micros, self.zone).date()

    def is_after(self, end):
        """Not within something that lasted until just before `end`."""
        return self.micros >= end if self.has_time else self.day > local(end - 1, self.zone).date()

    def days_since(self, micros):
        """Whole days, none before it."""
        if self.has_time:
            return max(0, self.micros - micros) // DAY
        return max(0, (self.day - local(micros, self.zone).date()).days)

    def epoch(self, terms):
        """The UTC day of its draws; of a date alone the nearest one on which the campaign draws."""
        day = utc_day(self.micros)
        if not self.has_time:
            if "ends_at" in terms:
                day = min(day, utc_day(micros_of(terms["ends_at"]) - 1))
            day = max(day, utc_day(micros_of(terms["starts_at"])))
        return day.isoformat()
