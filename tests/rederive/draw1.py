"""draw-1 as a pure procedure, from its specification: seeds, keys, entries, numbers, tiers.

Own ChaCha20 block function; SHA-256 and HMAC are the standard library's.
"""
import hashlib
import hmac
import json

DOMAIN = b"rewardhub/draw-1/"
WHOLE = 10**9


def lp(data):
    """Length as four bytes, then the bytes."""
    data = data.encode() if isinstance(data, str) else data
    return len(data).to_bytes(4, "big") + data


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def table_hash(table):
    """RFC 8785: keys sorted, no spaces. A table has only texts and whole numbers, which Python writes as JCS does."""
    text = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(DOMAIN, b"prize-table", text.encode())


def commitment(campaign, epoch, hash_of_table, beacon_spec, seed):
    return sha256(DOMAIN, b"commit", lp(campaign), lp(epoch), lp(hash_of_table), lp(beacon_spec), seed)


def epoch_key(seed, beacon, campaign, epoch):
    """HKDF-SHA256 (RFC 5869); 32 bytes are its first block."""
    extracted = hmac.digest(beacon, seed, "sha256")
    return hmac.digest(extracted, DOMAIN + b"key" + lp(campaign) + lp(epoch) + b"\x01", "sha256")


def entry_id(campaign, source, transaction_id):
    return sha256(DOMAIN, b"entry", lp(campaign), lp(source), lp(transaction_id))


def chacha20_block(key, counter):
    """One block of ChaCha20 (RFC 8439, 2.3) as sixteen words, with a counter of 64 bits and a nonce of zeros."""
    words = [int.from_bytes(key[i : i + 4], "little") for i in range(0, 32, 4)]
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *words, counter & 0xFFFFFFFF, counter >> 32, 0, 0]
    x = list(start)
    mask = 0xFFFFFFFF
    columns = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
    diagonals = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            va, vb, vc, vd = x[a], x[b], x[c], x[d]
            va = (va + vb) & mask
            vd ^= va
            vd = (vd << 16 | vd >> 16) & mask
            vc = (vc + vd) & mask
            vb ^= vc
            vb = (vb << 12 | vb >> 20) & mask
            va = (va + vb) & mask
            vd ^= va
            vd = (vd << 8 | vd >> 24) & mask
            vc = (vc + vd) & mask
            vb ^= vc
            vb = (vb << 7 | vb >> 25) & mask
            x[a], x[b], x[c], x[d] = va, vb, vc, vd
    return [(mixed + first) & mask for mixed, first in zip(x, start)]


def words64(seed):
    """The generator's words of 64 bits: two of 32 each, the lower first."""
    counter = 0
    while True:
        block = chacha20_block(seed, counter)
        yield from (block[i] | block[i + 1] << 32 for i in range(0, 16, 2))
        counter += 1


def below(seed, n):
    """A number below n, exactly uniform, and how many words were rejected for it."""
    zone = 2**64 - 2**64 % n
    for rejections, word in enumerate(words64(seed)):
        if word < zone:
            return word % n, rejections


def draw_seed(key, entry):
    return hmac.digest(key, DOMAIN + b"draw" + entry, "sha256")


def tier_of(table, r, mask):
    """The tier that r falls into, from 0, or None; a masked tier's share is no prize."""
    odds = 0
    for i, tier in enumerate(table["tiers"]):
        odds += tier["odds_ppb"]
        if r < odds:
            return None if mask >> i & 1 else i
    return None


def mask_of(table, left, inventory, wins):
    """The tiers that may not be won, bit i for tier i: it could cost more than is left, or it is sold out.

    `inventory` says by a tier's name how often the campaign pays it, `wins` how often it has, over its whole life.
    """
    mask = 0
    for i, tier in enumerate(table["tiers"]):
        prize, most = tier["prize"], inventory.get(tier["name"])
        too_dear = prize.get("fixed", prize.get("max")) > left
        sold_out = most is not None and wins.get(tier["name"], 0) >= most
        if too_dear or sold_out:
            mask |= 1 << i
    return mask


def merkle_root(leaves):
    """RFC 6962, 2.1, level by level; an odd one out moves up as it is."""
    level = [sha256(b"\x00", leaf) for leaf in leaves]
    if not level:
        return sha256()
    while len(level) > 1:
        pairs = [sha256(b"\x01", level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]
