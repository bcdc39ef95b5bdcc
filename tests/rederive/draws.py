"""Every draw of a decision derived again, and what became of its win.

Each field is compared with what the others imply, so that a changed one is named and not its neighbours.
"""
from clock import Booked
from draw1 import WHOLE, below, draw_seed, entry_id, mask_of, tier_of


class Draws:
    def __init__(self, campaigns, findings):
        self.campaigns, self.findings = campaigns, findings
        self.drawn, self.won = set(), {}
        self.counts = dict(draws=0, rederived=0, waiting_for_reveal=0, shares_checked=0, shares_bounded=0)

    def decision(self, place, event, fact, details):
        """All draws of one decided line. `details` is None where they are not disclosed."""
        draws = fact.get("draws", [])
        won = any(draw.get("amount") for draw in draws)
        expected = ("won" if won else "lost") if draws else "declined"
        self.findings.compare(place, "outcome", expected, fact["outcome"])
        admitted = sorted(c["campaign_id"] for c in fact["considered"] if not c.get("failed"))
        drawn = sorted(draw["campaign_id"] for draw in draws)
        self.findings.compare(place, "drawn where admitted", admitted, drawn)
        for draw in draws:
            where = f"{place}, entry {draw['entry_id']}"
            self.findings.guard(where, "draw", self.draw, where, event, fact["line"], draw, details)

    def draw(self, place, event, line, draw, details):
        compare = lambda *what: self.findings.compare(place, *what)
        entry = entry_id(draw["campaign_id"], line["source"], line["transaction_id"])
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
        compare("campaign_version", campaign.version, draw["campaign_version"])
        booked = Booked(line, campaign.in_force()["time_zone"])
        compare("epoch", booked.epoch(campaign.in_force()), draw["epoch"])
        compare("day", booked.day.isoformat(), draw["day"])
        compare("table_hash", epoch.table_hash.hex(), draw["table_hash"])
        compare("algorithm", "draw-1", draw["algorithm"])

        # The number, what the budget still had, what that and the inventory masked, what the number wins and pays.
        r = self.number(place, epoch, entry, draw)
        left = max(0, epoch.cap - campaign.spent - campaign.drift)
        mask = mask_of(epoch.table, left, epoch.inventory, campaign.wins)
        compare("budget_left_minor", left, draw["budget_left_minor"])
        compare("tier_mask", mask, draw["tier_mask"])
        if epoch.mask & ~draw["tier_mask"]:
            self.findings.add(place, "tier_mask", f"at least {epoch.mask}, as before", draw["tier_mask"])
        compare("tier", tier_of(epoch.table, r, mask), draw.get("tier"))
        self.amount(place, epoch, draw, details)
        if left != draw["budget_left_minor"]:
            campaign.drift = epoch.cap - draw["budget_left_minor"] - campaign.spent
        self.enter(place, campaign, epoch, draw)

    def number(self, place, epoch, entry, draw):
        """The number below 10^9: derived where the seed is known, else the recorded one."""
        if not epoch.key:
            self.counts["waiting_for_reveal"] += 1
            return draw["r"]
        self.counts["rederived"] += 1
        r, rejections = below(draw_seed(epoch.key, entry), WHOLE)
        self.findings.compare(place, "r", r, draw["r"])
        self.findings.compare(place, "rejections", rejections, draw["rejections"])
        return r

    def amount(self, place, epoch, draw, details):
        """What the recorded tier pays: a fixed prize exactly, a share exactly where the line's amount is disclosed."""
        found = draw.get("amount")
        if draw.get("tier") is None:
            self.findings.compare(place, "amount", None, found)
            return
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
            return
        # A share that rounds down to nothing wins nothing.
        expected = {"minor": expected, "currency": currency} if expected else None
        self.findings.compare(place, "amount", expected, found)

    def enter(self, place, campaign, epoch, draw):
        """Into the books, as it was recorded: what follows is compared with them."""
        epoch.entries.append(bytes.fromhex(draw["entry_id"]))
        epoch.mask |= draw["tier_mask"]
        amount = draw.get("amount")
        if not amount:
            return
        self.won[draw["entry_id"]] = campaign, amount, set()
        campaign.spent += amount["minor"]
        epoch.paid += amount["minor"]
        cap = campaign.cap()
        if campaign.spent > cap:
            self.findings.add(place, "budget", f"at most {cap} won", campaign.spent)
        if draw.get("tier") is not None:
            epoch.wins[draw["tier"]] += 1
            name = epoch.table["tiers"][draw["tier"]]["name"]
            campaign.wins[name] = campaign.wins.get(name, 0) + 1

    def reward(self, place, kind, fact):
        """Credits are wins: what is issued, paid or taken back was won, is what was won, and happens once."""
        place = f"{place}, entry {fact['entry_id']}"
        if fact["entry_id"] not in self.won:
            self.findings.add(place, "won", "an entry that won", kind)
            return
        campaign, amount, seen = self.won[fact["entry_id"]]
        self.findings.compare(place, "amount", amount, fact["amount"])
        if kind in seen:
            self.findings.add(place, kind, "once", "again")
        seen.add(kind)
        if kind == "RewardReversed" and fact["budget_returned"]:
            campaign.returned += fact["amount"]["minor"]
