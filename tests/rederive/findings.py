"""What does not fit: one line each, the first hundred in words."""

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


def shown(value):
    return value.hex() if isinstance(value, bytes) else value
