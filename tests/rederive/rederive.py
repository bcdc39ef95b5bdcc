#!/usr/bin/env python3
"""draw-1, a second time: every draw of an audit bundle derived again, in another language, by other hands.

    rederive.py check BUNDLE [--seeds FILE]     the folder that `rewardhub audit export` wrote
    rederive.py vectors FILE                    the published vectors of draw-1

Python 3.9 or later, its standard library and the system's time zones, nothing else. The bundle is read line by line, twice: once for its hashes and
the seeds, which stand behind the draws they explain, once for everything. Kept in memory: one short id per draw and line.

Exit code 0 if all holds, 1 if anything does not (each finding is a line), 2 for wrong usage.
"""
import hashlib
import json
import os
import sys

from draw1 import (
    WHOLE,
    below,
    commitment,
    draw_seed,
    entry_id,
    epoch_key,
    lp,
    mask_of,
    merkle_root,
    sha256,
    table_hash,
    tier_of,
)
from findings import Findings
from qualify import Qualification, day_of, micros_of

DAY_MICROS = 86_400 * 10**6
FORMAT = "rewardhub-audit-1"


# --- the bundle -----------------------------------------------------------------------------------------------------


def events_of(bundle):
    with open(os.path.join(bundle, "events.ndjson"), encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


def event_hash(event, previous):
    """The chain's link: everything of the event, and the hash before it in its stream."""
    return sha256(
        b"\x00",
        lp(f"{event['aggregate_type']}:{event['aggregate_id']}"),
        event["sequence"].to_bytes(8, "big"),
        lp(event["event_type"]),
        lp(event["event_version"]),
        event["recorded_at"].to_bytes(8, "big"),
        lp(event["payload"]),
        lp(event["metadata"]),
        previous,
    )


def check_manifest(bundle, findings):
    """That the files are those that the manifest speaks of."""
    with open(os.path.join(bundle, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    findings.compare("manifest.json", "format", FORMAT, manifest["format"])
    for name, expected in manifest["files"].items():
        digest, length = hashlib.sha256(), 0
        with open(os.path.join(bundle, os.path.basename(name)), "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                length += len(block)
        findings.compare(name, "sha256", expected["sha256"], digest.hexdigest())
        findings.compare(name, "bytes", expected["bytes"], length)
    return manifest


def gather_seeds(bundle, seeds_file):
    """Revealed seeds, and opened ones if the operator disclosed them, by (campaign, epoch)."""
    seeds = {}
    if seeds_file:
        with open(seeds_file, encoding="utf-8") as file:
            for line in map(json.loads, file):
                seeds[line["campaign_id"], line["epoch"]] = bytes.fromhex(line["seed"])
    for event in events_of(bundle):
        if event["event_type"] == "EpochRevealed":
            fact = json.loads(event["payload"])["EpochRevealed"]
            seeds[event["aggregate_id"], fact["epoch"]] = bytes.fromhex(fact["seed"])
    return seeds


# --- campaigns ------------------------------------------------------------------------------------------------------


class Campaign:
    """A campaign's budget and epochs as the log derives them, place by place."""

    def __init__(self):
        self.terms, self.epochs = {}, {}
        self.version = 0
        self.started = self.paused = self.ended = False
        self.funded = self.spent = self.returned = self.returned_recorded = self.drift = 0


class Epoch:
    def __init__(self, fact):
        self.table, self.table_hash = fact["prize_table"], bytes.fromhex(fact["table_hash"])
        self.commitment, self.beacon_spec = bytes.fromhex(fact["commitment"]), fact["beacon_spec"]
        self.seals_at = micros_of(fact["closes_at"]) + fact["grace_days"] * DAY_MICROS
        self.cap = self.key = None
        self.halted = self.closed = False
        self.mask = self.paid = 0
        self.entries, self.wins = [], [0] * len(self.table["tiers"])


class Check:
    """Follows the log event by event."""

    def __init__(self, seeds, details, findings):
        self.seeds, self.details, self.findings = seeds, details, findings
        self.campaigns, self.streams = {}, {}
        self.drawn, self.keys, self.won = set(), set(), {}
        self.last_position = self.last_time = 0
        self.counts = dict(events=0, draws=0, rederived=0, waiting_for_reveal=0, shares_checked=0, shares_bounded=0)
        self.qualification = Qualification(self.campaigns, findings)

    def take(self, event):
        place = f"0:{event['position']}"
        self.counts["events"] += 1
        self.link(place, event)
        fact = json.loads(event["payload"])
        fact = fact[event["event_type"]] if isinstance(fact, dict) else {}
        if event["aggregate_type"] == "campaign":
            self.campaign(place, event, fact)
        elif event["aggregate_type"] == "account":
            if event["event_type"] == "TransactionEvaluated":
                self.decision(place, event, fact)
            elif event["event_type"] in ("RewardIssued", "RewardCredited", "RewardReversed"):
                self.reward(place, event["event_type"], fact)
            self.qualification.remember(event["aggregate_id"], event["event_type"], fact)

    def link(self, place, event):
        """Positions and versions have no holes, time does not go back, every hash fits, every line is decided once."""
        self.findings.compare(place, "position", self.last_position + 1, event["position"])
        self.last_position = event["position"]
        stream = event["aggregate_type"], event["aggregate_id"]
        sequence, previous = self.streams.get(stream, (0, bytes(32)))
        self.findings.compare(place, "sequence", sequence + 1, event["sequence"])
        found = bytes.fromhex(event["hash"])
        self.findings.compare(place, "hash", event_hash(event, previous), found)
        self.streams[stream] = event["sequence"], found
        if event["recorded_at"] < self.last_time:
            self.findings.add(place, "recorded_at", f"from {self.last_time} on", event["recorded_at"])
        self.last_time = event["recorded_at"]
        if event["transaction_key"]:
            if event["transaction_key"] in self.keys:
                self.findings.add(place, "transaction_key", "a line not seen before", event["transaction_key"])
            self.keys.add(event["transaction_key"])

    def campaign(self, place, event, fact):
        name, kind = event["aggregate_id"], event["event_type"]
        campaign = self.campaigns.setdefault(name, Campaign())
        compare = lambda what, expected, found: self.findings.compare(place, what, expected, found)
        if kind in ("CampaignDrafted", "CampaignRevised"):
            campaign.terms[fact["version"]], campaign.version = fact["terms"], fact["version"]
        elif kind == "CampaignStarted":
            campaign.started = True
        elif kind in ("CampaignPaused", "CampaignResumed"):
            campaign.paused = kind == "CampaignPaused"
        elif kind == "CampaignEnded":
            campaign.ended = True
        elif kind == "BudgetFunded":
            campaign.funded += fact["amount"]["minor"]
            compare("funded_minor", campaign.funded, fact["funded_minor"])
        elif kind == "BudgetSpent":
            compare("spent_minor", campaign.spent, fact["spent_minor"])
            compare("reversed_minor", campaign.returned, fact["reversed_minor"])
            campaign.returned_recorded = campaign.returned
        elif kind == "EpochScheduled":
            self.scheduled(place, name, campaign, fact)
        elif kind == "EpochOpened":
            epoch = campaign.epochs[fact["epoch"]]
            epoch.cap = campaign.funded + campaign.returned_recorded
            compare("budget_cap_minor", epoch.cap, fact["budget_cap_minor"])
            beacon = bytes.fromhex(fact["beacon"])
            if epoch.beacon_spec == "none":
                compare("beacon", bytes(32), beacon)
            if seed := self.seeds.get((name, fact["epoch"])):
                epoch.key = epoch_key(seed, beacon, name, fact["epoch"])
        elif kind in ("EpochHalted", "EpochResumed"):
            campaign.epochs[fact["epoch"]].halted = kind == "EpochHalted"
        elif kind == "EpochClosed":
            epoch = campaign.epochs[fact["epoch"]]
            compare("epoch_draws", len(epoch.entries), fact["draws"])
            compare("epoch_wins", epoch.wins, fact["wins"])
            compare("epoch_paid_minor", epoch.paid, fact["paid_minor"])
            compare("epoch_root", merkle_root(sorted(epoch.entries)), bytes.fromhex(fact["root"]))
            epoch.closed, epoch.entries = True, []

    def scheduled(self, place, name, campaign, fact):
        epoch = campaign.epochs[fact["epoch"]] = Epoch(fact)
        self.findings.compare(place, "table_hash", table_hash(epoch.table), epoch.table_hash)
        if all(terms["prize_table"] != epoch.table for terms in campaign.terms.values()):
            self.findings.add(place, "prize_table", "the table of a version of the terms", "another")
        odds = sum(tier["odds_ppb"] for tier in epoch.table["tiers"])
        if odds > WHOLE:
            self.findings.add(place, "prize_table", f"odds of at most {WHOLE}", odds)
        if seed := self.seeds.get((name, fact["epoch"])):
            expected = commitment(name, fact["epoch"], epoch.table_hash, epoch.beacon_spec, seed)
            self.findings.compare(place, "commitment", expected, epoch.commitment)

    # --- lines --------------------------------------------------------------------------------------------------

    def decision(self, place, event, fact):
        details, state = self.details.of(event["position"])
        if state == "damaged":
            self.findings.add(place, "details", "what opens under its account's key", state)
        won = any(draw.get("amount") for draw in fact.get("draws", []))
        expected = ("won" if won else "lost") if fact.get("draws") else "declined"
        self.findings.compare(place, "outcome", expected, fact["outcome"])
        admitted = {c["campaign_id"] for c in fact["considered"] if not c.get("failed")}
        drawn = {draw["campaign_id"] for draw in fact.get("draws", [])}
        self.findings.compare(place, "drawn where admitted", sorted(admitted), sorted(drawn))
        self.qualification.check(place, event, fact, details)
        for draw in fact.get("draws", []):
            self.draw(place, event, fact["line"], draw, details)

    def draw(self, place, event, line, draw, details):
        entry = entry_id(draw["campaign_id"], line["source"], line["transaction_id"])
        place = f"{place}, entry {draw['entry_id']}"
        compare = lambda what, expected, found: self.findings.compare(place, what, expected, found)
        self.counts["draws"] += 1
        compare("entry_id", entry.hex(), draw["entry_id"])
        if draw["entry_id"] in self.drawn:
            self.findings.add(place, "drawn_once", "an entry not drawn before", "drawn again")
        self.drawn.add(draw["entry_id"])
        campaign = self.campaigns.get(draw["campaign_id"])
        epoch = campaign and campaign.epochs.get(draw["epoch"])
        if not epoch or epoch.cap is None or epoch.closed or epoch.halted or event["recorded_at"] >= epoch.seals_at:
            self.findings.add(place, "epoch", "an open epoch", draw["epoch"])
            if not epoch or epoch.cap is None:
                return
        compare("epoch", line["booked_at"][:10], draw["epoch"])
        compare("day", day_of(line["booked_at"], campaign.terms[draw["campaign_version"]]), draw["day"])
        compare("table_hash", epoch.table_hash.hex(), draw["table_hash"])
        compare("algorithm", "draw-1", draw["algorithm"])

        r = draw["r"]
        if epoch.key:
            self.counts["rederived"] += 1
            r, rejections = below(draw_seed(epoch.key, entry), WHOLE)
            compare("r", r, draw["r"])
            compare("rejections", rejections, draw["rejections"])
        else:
            self.counts["waiting_for_reveal"] += 1

        left = max(0, epoch.cap - campaign.spent - campaign.drift)
        mask = mask_of(epoch.table, left)
        compare("budget_left_minor", left, draw["budget_left_minor"])
        compare("tier_mask", mask, draw["tier_mask"])
        if epoch.mask & ~draw["tier_mask"]:
            self.findings.add(place, "tier_mask", f"at least {epoch.mask}, as before", draw["tier_mask"])
        compare("tier", tier_of(epoch.table, r, mask), draw.get("tier"))
        self.amount(place, epoch, draw, details)
        if left != draw["budget_left_minor"]:
            # So that one fault is named once and not at every draw after it.
            campaign.drift = epoch.cap - draw["budget_left_minor"] - campaign.spent

        epoch.entries.append(bytes.fromhex(draw["entry_id"]))
        epoch.mask |= draw["tier_mask"]
        if draw.get("amount"):
            campaign.spent += draw["amount"]["minor"]
            epoch.paid += draw["amount"]["minor"]
            epoch.wins[draw["tier"]] += 1
            self.won[draw["entry_id"]] = [draw["campaign_id"], draw["amount"], set()]
        if campaign.spent > campaign.funded + campaign.returned_recorded:
            self.findings.add(place, "budget", campaign.funded + campaign.returned_recorded, campaign.spent)

    def amount(self, place, epoch, draw, details):
        """What the recorded tier pays: a fixed prize exactly, a share exactly where the line's amount is disclosed."""
        found = draw.get("amount")
        if draw.get("tier") is None:
            return self.findings.compare(place, "amount", None, found)
        currency, prize = epoch.table["currency"], epoch.table["tiers"][draw["tier"]]["prize"]
        if "share_bps" not in prize:
            expected = prize["fixed"]
        elif details:
            self.counts["shares_checked"] += 1
            expected = min(details["amount_minor"] * prize["share_bps"] // 10_000, prize["max"])
        else:
            self.counts["shares_bounded"] += 1
            if found and not (found["currency"] == currency and 1 <= found["minor"] <= prize["max"]):
                self.findings.add(place, "amount", f"at most {prize['max']} {currency}", found)
            return None
        expected = {"minor": expected, "currency": currency} if expected else None
        return self.findings.compare(place, "amount", expected, found)

    def reward(self, place, kind, fact):
        """Credits are wins: what is issued, paid or taken back was won, is what was won, and happens once."""
        place = f"{place}, entry {fact['entry_id']}"
        if fact["entry_id"] not in self.won:
            return self.findings.add(place, "won", "an entry that won", kind)
        campaign, amount, seen = self.won[fact["entry_id"]]
        self.findings.compare(place, "amount", amount, fact["amount"])
        if kind in seen:
            self.findings.add(place, kind, "once", "again")
        seen.add(kind)
        if kind == "RewardReversed" and fact["budget_returned"]:
            self.campaigns[campaign].returned += fact["amount"]["minor"]
        return None


class Details:
    """Reads the disclosed details along with the events; both are in order of position."""

    def __init__(self, bundle):
        path = os.path.join(bundle, "details.ndjson")
        self.file = open(path, encoding="utf-8") if os.path.exists(path) else None
        self.next = None
        self.advance()

    def advance(self):
        line = self.file.readline() if self.file else ""
        self.next = json.loads(line) if line else None

    def of(self, position):
        """One line's details and how they were found; a line that is not among them has none of its own."""
        while self.next and self.next["position"] < position:
            self.advance()
        if self.next and self.next["position"] == position:
            return self.next["details"], self.next["state"]
        return None, "absent"


def check(bundle, seeds_file):
    findings = Findings()
    manifest = check_manifest(bundle, findings)
    checker = Check(gather_seeds(bundle, seeds_file), Details(bundle), findings)
    last_hash = None
    for event in events_of(bundle):
        last_hash = event["hash"]
        try:
            checker.take(event)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            findings.add(f"0:{event.get('position')}", "event", "one that can be read", repr(error))
    findings.compare("manifest.json", "events", manifest["events"], checker.counts["events"])
    findings.compare("manifest.json", "head_hash", manifest["head_hash"], last_hash)
    report = {"holds": findings.total == 0, **checker.counts, **checker.qualification.counts}
    report["findings_total"] = findings.total
    print(json.dumps(report))
    return findings.total == 0


def vectors(path):
    """The published vectors."""
    with open(path, encoding="utf-8") as file:
        v = json.load(file)
    findings = Findings()
    campaign, epoch, table = v["campaign"], v["epoch"], v["prize_table"]
    seed, beacon = bytes.fromhex(v["seed"]), bytes.fromhex(v["beacon"])
    findings.compare("vectors", "table_hash", v["prize_table_hash"], table_hash(table).hex())
    found = commitment(campaign, epoch, table_hash(table), v["beacon_spec"], seed)
    findings.compare("vectors", "commitment", v["commitment"], found.hex())
    key = epoch_key(seed, beacon, campaign, epoch)
    findings.compare("vectors", "epoch_key", v["epoch_key"], key.hex())
    for draw in v["draws"]:
        entry = entry_id(campaign, draw["source"], draw["transaction_id"])
        r, rejections = below(draw_seed(key, entry), WHOLE)
        found = entry.hex(), draw_seed(key, entry).hex(), r, rejections, tier_of(table, r, 0)
        fields = ("entry_id", "draw_seed", "r", "rejections", "tier")
        findings.compare(draw["transaction_id"], "draw", tuple(draw[field] for field in fields), found)
    for case in v["rejection_sampling"]:
        found = below(bytes.fromhex(case["seed"]), int(case["n"]))
        findings.compare(case["seed"], "below", (int(case["value"]), case["rejections"]), found)
    print(json.dumps({"holds": findings.total == 0, "draws": len(v["draws"]), "findings_total": findings.total}))
    return findings.total == 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "vectors":
        return 0 if vectors(arguments[1]) else 1
    if len(arguments) in (2, 4) and arguments[0] == "check" and arguments[2:3] in ([], ["--seeds"]):
        return 0 if check(arguments[1], arguments[3] if len(arguments) == 4 else None) else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
