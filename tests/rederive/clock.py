"""Times as the log writes them: RFC 3339 in UTC, and microseconds since 1970."""
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

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


@lru_cache(maxsize=4096)
def local(text, zone):
    """The same instant on the clocks of a campaign's time zone."""
    return instant(text).astimezone(ZoneInfo(zone))


def local_day(text, zone):
    return local(text, zone).date().isoformat()
