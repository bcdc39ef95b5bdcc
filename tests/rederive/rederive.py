#!/usr/bin/env python3
"""draw-1, a second time: every draw of an audit bundle derived again, in another language, by other hands.

    rederive.py check BUNDLE [--seeds FILE]     the folder that `rewardhub audit export` wrote
    rederive.py vectors FILE                    the published vectors of draw-1

Python 3.9 or later and its standard library, nothing else; time zones are those of the log. The bundle is read line by line,
twice: once for its hashes and the seeds, which stand behind the draws they explain, once for everything.

To read it, in this order: draw1 (the procedure), bundle (files and hashes), campaigns (terms, budget, epochs), draws
(one draw against all of these), rules, accounts, reviews and qualify (was each line decided as the rules say).

Not checked: expressions among the rules (`cel_rules`), a beacon's BLS signature, postings, that payments were made.

Exit code 0 if all holds, 1 if anything does not (each finding is a line), 2 for wrong usage or a file that is not there.
"""
import json
import sys

from bundle import Chain, Details, check_manifest, events_of, gather_seeds, unrecorded_zones
from campaigns import Campaigns
from clock import change_zones, micros_of
from draw1 import WHOLE, below, commitment, draw_seed, entry_id, epoch_key, table_hash, tier_of
from draws import Draws
from findings import Findings
from qualify import Qualification

REWARDS = ("RewardIssued", "RewardCredited", "RewardReversed")


class Check:
    """Follows the log event by event. Kept in memory: some short ids for each line and draw."""

    def __init__(self, seeds, details, findings):
        self.details, self.findings = details, findings
        self.chain = Chain(findings)
        self.campaigns = Campaigns(seeds, findings)
        self.draws = Draws(self.campaigns.by_name, findings)
        self.qualification = Qualification(self.campaigns.by_name, findings)
        self.events = 0

    def take(self, place, event):
        self.events += 1
        self.chain.link(place, event)
        fact = json.loads(event["payload"])
        fact = fact[event["event_type"]] if isinstance(fact, dict) else {}
        if event["aggregate_type"] == "campaign":
            self.campaigns.take(place, event, fact)
        elif event["aggregate_type"] == "account":
            self.account(place, event, fact)
        elif event["event_type"] == "ZoneTableChanged":
            change_zones(fact["zones"])

    def account(self, place, event, fact):
        kind, guard, details = event["event_type"], self.findings.guard, None
        guard(place, "review", self.qualification.review, place, event, kind, fact)
        if kind in ("TransactionEvaluated", "TransactionDeferred", "TransactionLinked"):
            guard(place, "transaction_key", self.chain.names, place, event, fact.get("line", fact))
        if kind == "TransactionEvaluated":
            details, state = self.details.of(event["position"])
            if state == "damaged":
                self.findings.add(place, "details", "what opens under its account's key", state)
            elif state == "other_amount":
                self.findings.add(place, "spent", "the amount of the details", "another")
            # One does not wait for the other: draws hold or not, whether or not the line should have been drawn.
            guard(place, "draws", self.draws.decision, place, event, fact, details)
            guard(place, "qualification", self.qualification.decision, place, event, fact, details)
        elif kind in REWARDS:
            guard(place, "reward", self.draws.reward, place, kind, fact)
        elif kind == "AccountOpened":
            self.findings.compare(place, "enrolled_at", event["recorded_at"], micros_of(fact["enrolled_at"]))
        self.qualification.remember(event, kind, fact, details)

    def finish(self):
        self.campaigns.finish(f"0:{self.chain.last_position}")
        self.qualification.finish()

    def report(self):
        qualification = {**self.qualification.counts, "cel_rules": self.qualification.cel_rules}
        epochs = [epoch for campaign in self.campaigns.by_name.values() for epoch in campaign.epochs.values()]
        late = sum(epoch.committed_late for epoch in epochs)
        counts = {"epochs": len(epochs), "epochs_committed_late": late, **self.draws.counts}
        return {"events": self.events, **counts, **qualification}


def check(bundle, seeds_file):
    """Everything that a bundle lets one check."""
    findings = Findings()
    manifest = check_manifest(bundle, findings)
    change_zones(unrecorded_zones(bundle))
    checker = Check(gather_seeds(bundle, seeds_file), Details(bundle), findings)
    last_hash = None
    for event in events_of(bundle):
        last_hash = event["hash"]
        place = f"0:{event['position']}"
        findings.guard(place, "event", checker.take, place, event)
    checker.finish()
    findings.compare("manifest.json", "events", manifest["events"], checker.events)
    findings.compare("manifest.json", "head_hash", manifest["head_hash"], last_hash)
    holds = findings.total == 0
    print(json.dumps({"holds": holds, **checker.report(), "findings_total": findings.total}))
    return holds


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
    try:
        if len(arguments) == 2 and arguments[0] == "vectors":
            return 0 if vectors(arguments[1]) else 1
        if len(arguments) in (2, 4) and arguments[0] == "check" and arguments[2:3] in ([], ["--seeds"]):
            return 0 if check(arguments[1], arguments[3] if len(arguments) == 4 else None) else 1
    except OSError as error:
        print(f"rederive.py: {error}", file=sys.stderr)
        return 2
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
