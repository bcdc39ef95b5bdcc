"""The files of an audit bundle: what is in them, that they are whole, and that no event was touched."""
import hashlib
import json
import os
from unicodedata import normalize

from draw1 import lp, sha256

FORMAT = "rewardhub-audit-1"


def events_of(bundle):
    """Every event, in order of the log. `payload` is the exact text that the hash covers."""
    with open(os.path.join(bundle, "events.ndjson"), encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


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
    with open(os.path.join(bundle, "events.ndjson"), encoding="utf-8", newline="\n") as file:
        for event in (json.loads(line) for line in file if "EpochRevealed" in line):
            if event["event_type"] == "EpochRevealed":
                fact = json.loads(event["payload"])["EpochRevealed"]
                seeds[event["aggregate_id"], fact["epoch"]] = bytes.fromhex(fact["seed"])
    return seeds


def unrecorded_zones(bundle):
    """By name, those that something was decided by before the log itself said what their clocks show."""
    path = os.path.join(bundle, "zones.ndjson")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return {line["zone"]: line for line in map(json.loads, file)}


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


def transaction_key(line):
    """Names a line for ever."""
    return sha256(lp(line["source"]), lp(line["transaction_id"]))[:16]


def actor_of(event):
    """Who did it."""
    return json.loads(event["metadata"]).get("actor")


def same_person(one, other):
    """Whether two names are one person's: they differ at most in case or in how a letter is written."""
    return folded(one or "") == folded(other or "")


def folded(name):
    upper = normalize("NFKC", name).upper()
    return normalize("NFKC", "".join(letter.lower() for letter in upper))


class Chain:
    """Positions and versions have no holes, time does not go back, every hash fits, no line comes twice."""

    def __init__(self, findings):
        self.findings = findings
        self.last_position = self.last_time = 0
        self.streams, self.keys = {}, set()

    def link(self, place, event):
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

    def names(self, place, event, line):
        """The key on an event is that of its line; one without a key speaks of a line that had one before."""
        key = transaction_key(line).hex()
        self.findings.compare(place, "transaction_key", key, event["transaction_key"] or key)
        if key not in self.keys:
            self.findings.add(place, "transaction_key", "on the first event of its line", event["transaction_key"])


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
