"""Whether every line was decided as the rules say: which campaigns it was asked of, which rules it failed, and that none
that qualifies is without its draw.

What cannot be told is counted, never passed over in silence: `lines - lines_with_details` lines have their amounts and
merchants unseen; `unverifiable` lines hang on nothing but expressions (`cel`, by code in `cel_rules`: how many lines were
asked, how many of them nothing else decided) or on kinds of rules that this file does not know (`rules_unknown`);
`lines_without_amount` purchases are of releases that did not record what was spent, if the log says the truth.
"""
from accounts import Account
from bundle import transaction_key
from reviews import Reviews
from rules import EITHER, Subject, is_purchase, own_checks, rules_of


class Qualification:
    def __init__(self, campaigns, findings):
        self.campaigns, self.findings = campaigns, findings
        self.accounts = {}
        self.rules = {}  # by campaign and version
        self.decided = set()  # keys of lines
        self.waiting = {}  # of lines that wait for their epoch: account and day
        self.reviews = Reviews(findings)
        self.counts = dict(
            lines=0, lines_with_details=0, lines_without_amount=0, unverifiable=0, rules_unknown=0, waiting=0
        )
        self.cel_rules = {}
        self.keeps_amounts = False  # since a release that records what was spent

    def review(self, place, event, kind, fact):
        """Before an event of an account is checked: what is held, and a line released before its day was closed, which
        waits from now on."""
        released = self.reviews.take(place, event, kind, fact, self.decided)
        if released:
            key, day = released
            if any(day in c.epochs and not c.epochs[day].closed for c in self.campaigns.values()):
                self.waiting[key] = event["aggregate_id"], day, event["position"]

    def remember(self, event, kind, fact, details):
        """After each event of an account has been checked."""
        account = event["aggregate_id"]
        self.accounts.setdefault(account, Account()).remember(kind, fact, details)
        if kind == "TransactionDeferred" and fact["reason"] != "held":
            self.waiting[transaction_key(fact["line"])] = account, fact["line"]["booked_at"][:10], event["position"]
        elif kind == "TransactionEvaluated":
            self.waiting.pop(transaction_key(fact["line"]), None)
        elif kind == "TransactionRemoved":
            self.waiting.pop(transaction_key(fact), None)
        elif kind == "PersonalDataErased":
            # His lines can be read by nobody any more, and are not drawn.
            self.waiting = {key: line for key, line in self.waiting.items() if line[0] != account}

    # --- one decided line ---------------------------------------------------------------------------------------

    def decision(self, place, event, fact, details):
        self.counts["lines"] += 1
        self.counts["lines_with_details"] += details is not None
        key = transaction_key(fact["line"])
        if key in self.decided:
            self.findings.add(place, "decided_once", "a line not decided before", "decided again")
        self.decided.add(key)
        self.precedence(place, fact["considered"], event["recorded_at"])
        hangs = [self.considered(place, event, fact["line"], one, details) for one in fact["considered"]]
        self.counts["unverifiable"] += any(hangs)
        self.spent(place, fact["line"], details)

    def spent(self, place, line, details):
        """A purchase keeps its amount sealed beside its details, and nothing else does: without it, more could be spent than
        a rule allows. That it is the same amount can be told with the keys alone."""
        has_amount = "spent" in line
        self.keeps_amounts = self.keeps_amounts or has_amount
        if details and self.keeps_amounts:
            self.findings.compare(place, "spent", is_purchase(details), has_amount)
        elif details:
            self.counts["lines_without_amount"] += is_purchase(details)

    def precedence(self, place, considered, recorded_at):
        """Asked are all started campaigns by precedence, then by name, under the version in force; but once one that is
        not stackable has admitted the line, only stackable ones. So nobody is declined by leaving a campaign out. One
        that is over need not be named: earlier releases did."""
        named = {one["campaign_id"] for one in considered}
        admitting = {one["campaign_id"] for one in considered if not one.get("failed")}
        started = [(c.in_force(), c.version) for c in self.campaigns.values() if c.started]
        expected, taken = [], False
        for terms, version in sorted(started, key=lambda one: (one[0].get("precedence", 0), one[0]["campaign_id"])):
            stackable = terms.get("stackable", False)
            if taken and not stackable:
                continue
            if terms["campaign_id"] not in named and self.campaigns[terms["campaign_id"]].is_over(recorded_at):
                continue
            expected.append((terms["campaign_id"], version))
            taken = taken or (not stackable and terms["campaign_id"] in admitting)
        found = [(one["campaign_id"], one["campaign_version"]) for one in considered]
        self.findings.compare(place, "campaigns considered", expected, found)

    def considered(self, place, event, line, considered, details):
        """One campaign's answer to one line. True if it hangs on nothing but what cannot be verified here."""
        campaign = self.campaigns[considered["campaign_id"]]
        terms = campaign.terms[considered["campaign_version"]]
        account = self.accounts.get(event["aggregate_id"]) or Account()
        rules = self.rules_of(considered["campaign_id"], considered["campaign_version"], terms)
        # Such rules came with the release that records amounts.
        self.keeps_amounts = self.keeps_amounts or any(rule.is_about_spending for rule in rules)
        subject = Subject(line, account, event["recorded_at"], terms, details, is_earlier=not self.keeps_amounts)
        found = set(considered.get("failed", []))
        verdicts = dict(own_checks(subject, campaign, found))
        opaque = set()  # codes of rules that nobody can tell here, whatever is disclosed
        silent = set()  # codes of rules that may have given no answer, which is said besides
        for rule in rules:
            verdicts[rule.code] = rule.verdict(subject)
            if not rule.is_known:
                opaque.add(rule.code)
                self.counts["rules_unknown"] += rule.kind != "cel"
            if not rule.is_known or rule.is_about_spending and verdicts[rule.code] is None:
                silent.add(rule.code)

        if found & silent:
            verdicts["rule_error"] = EITHER
        fails = {code for code, passes in verdicts.items() if passes is False}
        open_codes = {code for code, passes in verdicts.items() if passes is None or passes == EITHER}
        expected = fails | (found & open_codes)
        if expected != found:
            where = f"{place}, campaign {considered['campaign_id']}"
            self.findings.add(where, "failed rules", sorted(expected), sorted(found))

        either = {code for code, passes in verdicts.items() if passes == EITHER} - {"rule_error"}
        hangs = bool(opaque) and not fails and not found & either
        for code in opaque:
            name = f"{considered['campaign_id']}.{code}"
            counts = self.cel_rules.setdefault(name, dict(asked=0, declined=0, declined_alone=0))
            counts["asked"] += 1
            counts["declined"] += code in found
            counts["declined_alone"] += hangs and code in found
        return hangs

    def rules_of(self, name, version, terms):
        if (name, version) not in self.rules:
            self.rules[name, version] = rules_of(terms)
        return self.rules[name, version]

    # --- the end ------------------------------------------------------------------------------------------------

    def finish(self):
        """A line that waits for its draw is drawn before its epoch is closed, unless the epoch was halted until then,
        or opened too late for anybody."""
        self.counts["waiting"] = len(self.waiting)
        started = [campaign for campaign in self.campaigns.values() if campaign.started]
        for _account, day, position in self.waiting.values():
            epochs = [campaign.epochs[day] for campaign in started if day in campaign.epochs]
            if epochs and all(epoch.closed and epoch.opened_in_time and not epoch.halted for epoch in epochs):
                self.findings.add(f"0:{position}", "waiting", f"decided before {day} was closed", "still waiting")
