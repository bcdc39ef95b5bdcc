"""What does not fit: one line each, the first hundred in words.

    at PLACE: CHECK: expected WHAT FOLLOWS FROM THE REST, found WHAT THE LOG SAYS
"""

FINDINGS_SHOWN = 100


class Findings:
    def __init__(self):
        self.total = 0

    def add(self, place, what, expected, found):
        self.total += 1
        if self.total <= FINDINGS_SHOWN:
            print(f"at {place}: {what}: expected {shown(expected)}, found {shown(found)}")

    def compare(self, place, what, expected, found):
        if expected != found:
            self.add(place, what, expected, found)

    def guard(self, place, what, check, *arguments):
        """Runs one check; what it cannot read is a finding, and no reason to leave out the next one."""
        try:
            check(*arguments)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            self.add(place, what, "what can be read", repr(error))


def shown(value):
    return value.hex() if isinstance(value, bytes) else value
