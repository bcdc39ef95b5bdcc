"""Campaigns as the log derives them, place by place: terms and their versions, budget, inventory, epochs."""
import beacon
from bundle import actor_of, same_person
from clock import DAY, micros_of, start_of
from draw1 import WHOLE, commitment, epoch_key, merkle_root, table_hash


NAMES_WHO = ("FundingProposed", "EpochResumptionProposed", "EpochResumed")
NAMES_WHO_SINCE = ("CampaignDrafted", "CampaignRevised", "CampaignApproved")  # the first logs named nobody


class Campaign:
    """One campaign. Money in minor units."""

    def __init__(self):
        self.terms, self.authors = {}, {}  # by version
        self.version = 0  # the one in force: the last that was approved
        self.latest = 0  # the last that was written
        self.started = self.paused = self.ended = False
        self.funded = self.spent = 0
        self.fundings = {}  # by reference: amount and proposer, None once it is funded
        self.funded_alone = 0  # by one person each since two last agreed
        self.returned = 0  # by reversals
        self.returned_recorded = 0  # of these, what counts for epochs that open
        self.drift = 0  # where a recorded budget_left differed: one fault is named once, not at every draw after it
        self.wins = {}  # by the tier's name, over the campaign's whole life
        self.epochs = {}

    def in_force(self):
        return self.terms[self.version]

    def is_over(self, now):
        """Whether no line can enter it any more."""
        terms = self.in_force()
        ended = self.ended or "ends_at" in terms and micros_of(terms["ends_at"]) <= now
        return ended and all(epoch.is_settled(now) for epoch in self.epochs.values())

    def cap(self):
        """What may have been won so far: funded plus given back, as far as the ledger's 64 bits hold it."""
        return min(self.funded + self.returned_recorded, 2**63 - 1)


class Epoch:
    """One UTC day of one campaign's draws."""

    def __init__(self, fact, recorded_at):
        self.table, self.table_hash = fact["prize_table"], bytes.fromhex(fact["table_hash"])
        self.commitment, self.beacon_spec = bytes.fromhex(fact["commitment"]), fact["beacon_spec"]
        self.inventory = fact.get("inventory", {})
        self.committed_late = recorded_at >= micros_of(fact["opens_at"])  # purchases of the day were known by then
        self.seals_at = micros_of(fact["closes_at"]) + fact["grace_days"] * DAY
        self.cap = None  # what it may bring the campaign's spend to; None before it opens
        self.key = None  # with its seed at hand
        self.resumption_by = None  # who has proposed since it was halted that it goes on
        self.opened_in_time = self.halted = self.closed = self.revealed = False
        self.mask = self.paid = 0
        self.entries, self.wins = [], [0] * len(self.table["tiers"])

    def is_settled(self, now):
        return now >= self.seals_at and (self.closed or self.cap is None and not self.halted)


class Campaigns:
    """Follows the events of all campaigns."""

    def __init__(self, seeds, findings):
        self.seeds, self.findings = seeds, findings
        self.by_name = {}

    def take(self, place, event, fact):
        name, kind = event["aggregate_id"], event["event_type"]
        campaign = self.by_name.setdefault(name, Campaign())
        if kind in NAMES_WHO or (kind in NAMES_WHO_SINCE and fact.get("by")):
            self.findings.compare(place, "by", actor_of(event), fact["by"])
        if kind in ("CampaignDrafted", "CampaignRevised"):
            self.written(place, campaign, fact)
            return
        if kind == "CampaignApproved":
            self.approved(place, campaign, fact)
            return
        if fact.get("version"):  # 0 or absent in the first logs
            self.findings.compare(place, "version", campaign.version, fact["version"])
        if kind == "CampaignStarted":
            campaign.started = True
        elif kind in ("CampaignPaused", "CampaignResumed"):
            campaign.paused = kind == "CampaignPaused"
        elif kind == "CampaignEnded":
            campaign.ended = True
        elif kind == "FundingProposed":
            campaign.fundings[fact["reference"]] = fact["amount"], fact["by"]
        elif kind == "BudgetFunded":
            self.funded(place, event, campaign, fact)
        elif kind == "BudgetSpent":
            self.spent(place, campaign, fact)
        elif kind == "EpochScheduled":
            self.scheduled(place, event, name, campaign, fact)
        elif kind.startswith("Epoch"):
            if fact["epoch"] in campaign.epochs:
                self.epoch(place, event, name, campaign, fact)
            else:
                self.findings.add(place, "epoch", "an epoch that was scheduled", fact["epoch"])

    # --- terms and budget ---------------------------------------------------------------------------------------

    def written(self, place, campaign, fact):
        self.findings.compare(place, "version", campaign.latest + 1, fact["version"])
        campaign.latest = fact["version"]
        campaign.terms[campaign.latest], campaign.authors[campaign.latest] = fact["terms"], fact.get("by", "")

    def approved(self, place, campaign, fact):
        """Puts a version in force: the latest one, by somebody else than its author. The first logs name neither."""
        self.findings.compare(place, "version", campaign.latest, fact["version"])
        author, approver = campaign.authors.get(fact["version"], ""), fact.get("by", "")
        if approver and same_person(approver, author):
            self.findings.add(place, "approved", f"somebody else than {author}, who wrote it", approver)
        if fact["version"] in campaign.terms:
            campaign.version = fact["version"]

    def funded(self, place, event, campaign, fact):
        """The budget of the terms with the start, the rest by reference; above the terms' limit by two people."""
        reference, amount, terms = fact.get("reference", ""), fact["amount"], campaign.in_force()
        campaign.funded += amount["minor"]
        self.findings.compare(place, "funded_minor", campaign.funded, fact["funded_minor"])
        proposed = campaign.fundings.get(reference, ())
        campaign.fundings[reference] = None
        if proposed is None:
            self.findings.add(place, "funded_once", f"{reference!r} once", "again")
        elif not reference:
            self.findings.compare(place, "funded", terms["budget"], amount)
        elif proposed:
            self.findings.compare(place, "funded", proposed[0], amount)
            if same_person(actor_of(event), proposed[1]):
                self.findings.add(place, "funded_by", f"somebody else than {proposed[1]}", proposed[1])
            campaign.funded_alone = 0
        else:
            campaign.funded_alone += amount["minor"]
            limit = terms.get("funding_limit_minor")
            if limit is not None and campaign.funded_alone > limit:
                self.findings.add(place, "funded_by", f"two people above {limit}", "one")

    def spent(self, place, campaign, fact):
        """Running totals after a batch; of tiers, those it names."""
        self.findings.compare(place, "spent_minor", campaign.spent, fact["spent_minor"])
        self.findings.compare(place, "reversed_minor", campaign.returned, fact["reversed_minor"])
        for tier, wins in fact.get("tier_wins", {}).items():
            self.findings.compare(place, "tier_wins", (tier, campaign.wins.get(tier, 0)), (tier, wins))
        campaign.returned_recorded = campaign.returned

    # --- epochs -------------------------------------------------------------------------------------------------

    def scheduled(self, place, event, name, campaign, fact):
        """The seed is committed to, with what will be drawn from: the terms in force say what that is."""
        day, compare = fact["epoch"], lambda *what: self.findings.compare(place, *what)
        if day in campaign.epochs:
            self.findings.add(place, "epoch", f"{day} scheduled once", "scheduled again")
            return
        epoch = campaign.epochs[day] = Epoch(fact, event["recorded_at"])
        opens_at = start_of(day)
        compare("opens_at", opens_at, micros_of(fact["opens_at"]))
        compare("closes_at", opens_at + DAY, micros_of(fact["closes_at"]))
        compare("table_hash", table_hash(epoch.table), epoch.table_hash)
        odds = sum(tier["odds_ppb"] for tier in epoch.table["tiers"])
        if odds > WHOLE:
            self.findings.add(place, "prize_table", f"odds of at most {WHOLE}", odds)
        if fact.get("version"):
            terms = campaign.in_force()
            if epoch.table != terms["prize_table"]:
                self.findings.add(place, "prize_table", f"that of version {campaign.version}", "another")
            compare("grace_days", terms.get("grace_days", 31), fact["grace_days"])
            compare("inventory", terms.get("inventory", {}), epoch.inventory)
            spec = beacon.spec_of(terms.get("beacon", "none"), opens_at, event["recorded_at"])
            compare("beacon_spec", spec, epoch.beacon_spec)
        elif all(terms["prize_table"] != epoch.table for terms in campaign.terms.values()):
            self.findings.add(place, "prize_table", "the table of a version of the terms", "another")
        if seed := self.seeds.get((name, day)):
            compare("commitment", commitment(name, day, epoch.table_hash, epoch.beacon_spec, seed), epoch.commitment)

    def epoch(self, place, event, name, campaign, fact):
        day, kind = fact["epoch"], event["event_type"]
        epoch, compare = campaign.epochs[day], lambda *what: self.findings.compare(place, *what)
        if kind == "EpochOpened":
            self.opened(place, event, name, campaign, fact)
        elif kind == "EpochHalted":
            epoch.halted, epoch.resumption_by = True, None
        elif kind == "EpochResumptionProposed":
            epoch.resumption_by = fact["by"]
        elif kind == "EpochResumed":
            if same_person(fact["by"], fact["proposed_by"]):
                self.findings.add(place, "resumed", "two people", fact["by"])
            compare("proposed_by", epoch.resumption_by, fact["proposed_by"])
            epoch.halted, epoch.resumption_by = False, None
        elif kind == "EpochClosed":
            if event["recorded_at"] < epoch.seals_at:
                self.findings.add(place, "closed", f"from {epoch.seals_at} on", event["recorded_at"])
            compare("epoch_draws", len(epoch.entries), fact["draws"])
            compare("epoch_wins", epoch.wins, fact["wins"])
            compare("epoch_paid_minor", epoch.paid, fact["paid_minor"])
            compare("epoch_root", merkle_root(sorted(epoch.entries)), bytes.fromhex(fact["root"]))
            epoch.closed, epoch.entries = True, []
        elif kind == "EpochRevealed":
            # Its seed was compared with the commitment where that stands.
            if not epoch.closed or epoch.revealed:
                self.findings.add(place, "revealed", f"{day} once, after it was closed", "otherwise")
            epoch.revealed = True

    def opened(self, place, event, name, campaign, fact):
        day = fact["epoch"]
        epoch = campaign.epochs[day]
        if epoch.cap is not None:
            self.findings.add(place, "epoch", f"{day} opened once", "opened again")
        if min(micros_of(fact["opened_at"]), event["recorded_at"]) < start_of(day):
            self.findings.add(place, "opened_at", f"from {day} on", fact["opened_at"])
        epoch.cap = campaign.cap()
        epoch.opened_in_time = event["recorded_at"] < epoch.seals_at
        self.findings.compare(place, "budget_cap_minor", epoch.cap, fact["budget_cap_minor"])
        beacon.check_opening(place, epoch.beacon_spec, fact, self.findings)
        if seed := self.seeds.get((name, day)):
            epoch.key = epoch_key(seed, bytes.fromhex(fact["beacon"]), name, day)

    def finish(self, place):
        """What only the end can show: nothing is counted and then kept secret, and no more is won than there was."""
        for name, campaign in self.by_name.items():
            for day, epoch in campaign.epochs.items():
                if epoch.closed and not epoch.revealed:
                    self.findings.add(place, "revealed", f"{name} {day}, which was closed", "no seed")
            if campaign.spent > campaign.funded + campaign.returned:
                self.findings.add(place, "budget", campaign.funded + campaign.returned, campaign.spent)
