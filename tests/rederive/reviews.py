"""Lines that the bank took back and booked again: held until two people have looked at them. One that they release is
decided like any that waits, but never one that was decided before; one that they dismiss is heard of no more. And lines
that are another name of a purchase: linked to it once, never decided and never released."""
from bundle import actor_of, same_person, transaction_key


class Reviews:
    def __init__(self, findings):
        self.findings = findings
        self.held = {}  # by the line's key: the day of its booking, and what one person has proposed
        self.dismissed = set()
        self.linked = {}  # by the key of another name: that of the purchase it was linked to

    def take(self, place, event, kind, fact, decided):
        """An event of an account; `decided` are the keys of lines decided before it. The key and the day of a line that is
        to be decided from now on, if it is released here."""
        if kind not in ("TransactionDeferred", "TransactionEvaluated", "TransactionLinked", "TransactionRemoved",
                        "ReviewProposed", "TransactionReviewed"):
            return None
        if kind in ("ReviewProposed", "TransactionReviewed"):
            self.findings.compare(place, "by", actor_of(event), fact["by"])
        key = transaction_key(fact.get("line", fact))
        if key in self.dismissed:
            self.findings.add(place, "dismissed", "nothing more of a dismissed line", kind)
        if kind == "TransactionEvaluated" and key in self.linked:
            self.findings.add(place, "linked", "one decision for a purchase", "its other name decided too")
        if kind == "TransactionDeferred" and fact["reason"] == "held":
            self.held[key] = fact["line"]["booked_at"][:10], None
        elif kind == "TransactionEvaluated" and key in self.held:
            self.findings.add(place, "held", "a release by two people", "decided without")
        elif kind == "TransactionLinked":
            self.link(place, key, transaction_key(dict(fact, transaction_id=fact["linked_to"])), decided)
        elif kind == "TransactionRemoved":
            self.held.pop(key, None)
            if fact.get("named"):
                named = transaction_key(dict(fact, transaction_id=fact["named"]))
                self.findings.compare(place, "named", key, self.first_name(named))
            if fact.get("undecided") and key in decided:
                self.findings.add(place, "undecided", "a line not decided before", "said to be undecided")
        elif kind == "ReviewProposed":
            if key not in self.held:
                self.findings.add(place, "reviewed", "a line that is held", "another")
            else:
                self.held[key] = self.held[key][0], (fact["verdict"], fact["by"])
        elif kind == "TransactionReviewed":
            return self.reviewed(place, key, fact, decided)
        return None

    def first_name(self, key):
        while key in self.linked:
            key = self.linked[key]
        return key

    def link(self, place, key, to, decided):
        first = self.first_name(to)
        if key in decided or key in self.linked or first == key:
            self.findings.add(place, "linked", "a name not decided and not linked before", "another")
        else:
            self.linked[key] = first

    def reviewed(self, place, key, fact, decided):
        day, proposal = self.held.pop(key, (None, None))
        if day is None:
            self.findings.add(place, "reviewed", "a line that is held", "another")
        self.findings.compare(place, "proposed", proposal, (fact["verdict"], fact["proposed_by"]))
        if same_person(fact["by"], fact["proposed_by"]):
            self.findings.add(place, "reviewed", "two people", fact["by"])
        if fact["verdict"] != "released":
            self.dismissed.add(key)
            return None
        if key in self.linked:
            self.findings.add(place, "released", "a line that is no other name of a purchase", "another")
        if key in decided:
            self.findings.add(place, "released", "a line not decided before", "decided before")
        return key, day
