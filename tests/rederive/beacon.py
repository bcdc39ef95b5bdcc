"""Public randomness: which round of drand's quicknet an epoch waits for, and what it opened with.

What is left out is the BLS signature itself: the standard library has no pairings. `rewardhub audit draws` checks it, and
anyone can, against https://api.drand.sh/<chain>/public/<round>. Here: that the randomness is the signature's hash, and
that the round is the one the terms ask for, which did not exist yet when the seed was committed to.
"""
from clock import SECOND
from draw1 import sha256

QUICKNET = "drand:quicknet"
CHAIN = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
GENESIS = 1_692_803_367 * SECOND
PERIOD = 3 * SECOND

# A day's round is there a minute before the day begins; one that is committed to late waits for half a minute.
BEFORE_OPENING = 60 * SECOND
AHEAD = 30 * SECOND


def spec_of(beacon, opens_at, committed_at):
    """What `beacon_spec` must say under terms that say `beacon`."""
    if beacon != QUICKNET:
        return beacon
    not_before = max(opens_at - BEFORE_OPENING, committed_at + AHEAD)
    # Rounded up: the first round that appears at or after that time; round 1 appears at GENESIS.
    round_number = -(-max(0, not_before - GENESIS) // PERIOD) + 1
    return f"{QUICKNET}:{CHAIN}:{round_number}"


def check_opening(place, spec, fact, findings):
    """The 32 bytes an epoch opened with: zeros for `none`, else the hash of its round's signature."""
    signature, beacon = fact.get("beacon_signature"), bytes.fromhex(fact["beacon"])
    if spec == "none":
        findings.compare(place, "beacon_signature", None, signature)
        findings.compare(place, "beacon", bytes(32), beacon)
    elif signature is None:
        findings.add(place, "beacon_signature", f"the signature of {spec}", "none")
    else:
        findings.compare(place, "beacon", sha256(bytes.fromhex(signature)), beacon)
