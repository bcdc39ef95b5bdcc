"use strict";
// Recomputes one draw from its proof, as draw-1 says. Needs nothing but this file: in a browser it is part of the page,
// and `node proof.js < proof.json` does the same on a command line (exit code 1 if anything differs).
//
// A proof is one element of GraphQL's `drawProof`; the whole answer is read as well.

const T = "rewardhub/draw-1/"; // in front of everything that is hashed
const ODDS_WHOLE = 1000000000n;
const utf8 = new TextEncoder();

// Bytes ---------------------------------------------------------------------------------------------------------------

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function unhex(text, length, name) {
  if (typeof text !== "string" || !/^[0-9a-f]*$/.test(text) || text.length !== 2 * length) {
    throw new Error(`${name} is not ${length} bytes in hex`);
  }
  return Uint8Array.from({ length }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

function concat(...parts) {
  const bytes = parts.map((part) => (typeof part === "string" ? utf8.encode(part) : part));
  const all = new Uint8Array(bytes.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of bytes) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// Length as 4 bytes big-endian, then the bytes.
function lp(part) {
  const bytes = concat(part);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  return concat(length, bytes);
}

// RFC 8785: keys in the order of their UTF-16 units, everything else as JSON.stringify writes it.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.keys(value).sort();
  return `{${fields.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

// draw-1 --------------------------------------------------------------------------------------------------------------

const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));

const tableHash = (table) => sha256(T, "prize-table", canonical(table));

const entryId = (campaign, source, transaction) => sha256(T, "entry", lp(campaign), lp(source), lp(transaction));

const commitment = (campaign, epoch, table, beaconSpec, seed) =>
  sha256(T, "commit", lp(campaign), lp(epoch), lp(table), lp(beaconSpec), seed);

async function epochKey(seed, beacon, campaign, epoch) {
  const key = await crypto.subtle.importKey("raw", seed, "HKDF", false, ["deriveBits"]);
  const info = concat(T, "key", lp(campaign), lp(epoch));
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: beacon, info }, key, 256));
}

async function drawSeed(key, entry) {
  const hmac = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", hmac, concat(T, "draw", entry)));
}

// One block of ChaCha20 (20 rounds, 64-bit counter, nonce 0) as 16 words.
function chacha20(key, counter) {
  const view = new DataView(key.buffer, key.byteOffset, 32);
  const start = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
  for (let i = 0; i < 8; i++) start.push(view.getUint32(4 * i, true));
  start.push(counter, 0, 0, 0);
  const x = Uint32Array.from(start);
  const turn = (word, bits) => (word << bits) | (word >>> (32 - bits));
  const quarter = (a, b, c, d) => {
    x[a] += x[b]; x[d] = turn(x[d] ^ x[a], 16);
    x[c] += x[d]; x[b] = turn(x[b] ^ x[c], 12);
    x[a] += x[b]; x[d] = turn(x[d] ^ x[a], 8);
    x[c] += x[d]; x[b] = turn(x[b] ^ x[c], 7);
  };
  for (let round = 0; round < 10; round++) {
    quarter(0, 4, 8, 12); quarter(1, 5, 9, 13); quarter(2, 6, 10, 14); quarter(3, 7, 11, 15);
    quarter(0, 5, 10, 15); quarter(1, 6, 11, 12); quarter(2, 7, 8, 13); quarter(3, 4, 9, 14);
  }
  return x.map((word, i) => word + start[i]);
}

// A number below n, exactly uniform: words at or above the largest multiple of n are rejected.
function below(seed, n) {
  const zone = (1n << 64n) - ((1n << 64n) % n);
  let rejections = 0;
  for (let block = 0; ; block++) {
    const words = chacha20(seed, block);
    for (let i = 0; i < 16; i += 2) {
      const word = (BigInt(words[i + 1]) << 32n) | BigInt(words[i]);
      if (word < zone) return { value: word % n, rejections };
      rejections++;
    }
  }
}

// The tier that r falls into; a masked tier's share is no prize.
function tierOf(table, r, mask) {
  let odds = 0;
  for (const [index, tier] of table.tiers.entries()) {
    odds += tier.odds_ppb;
    if (r < odds) return (BigInt(mask) >> BigInt(index)) & 1n ? null : tier;
  }
  return null;
}

// The steps -----------------------------------------------------------------------------------------------------------

// What is inside of what was pasted: proofs of GraphQL's answer, one proof, or several.
function proofsIn(json) {
  const found = json?.data?.drawProof ?? json?.drawProof ?? json;
  return Array.isArray(found) ? found : [found];
}

// Recomputes a proof. Each step is { name, state, says }; states are "ok", "differs", "waits" (for the seed), "late" (right,
// and committed to after the day had begun) and "unused" (no public randomness).
async function verify(proof) {
  const steps = [];
  const step = async (name, waits, says, check) => {
    if (waits) return steps.push({ name, state: "waits", says: waits });
    try {
      const differs = await check();
      steps.push(differs ? { name, state: "differs", says: differs } : { name, state: "ok", ...says() });
    } catch (error) {
      steps.push({ name, state: "differs", says: error.message });
    }
  };
  const same = (what, computed, stated) =>
    computed === stated ? "" : `${what} comes out as ${computed}, the proof says ${stated}`;

  const { source, transactionId, campaignId, prizeTable, beaconSpec } = proof;
  const { epoch, entryId: entry, r, tier, amount } = proof.draw ?? {};
  const hidden = isHidden(proof);
  const until = proof.revealsAt ? `, from ${day(proof.revealsAt)} on` : "";
  const reveal = hidden ? `This waits for the reveal of the day's seed${until}.` : "";
  const plain = beaconSpec === "none";
  let seed, beacon;

  await step("algorithm", "", () => ({ says: "The draw was made by draw-1." }), () =>
    same("the procedure checked here", "draw-1", proof.algorithm));
  await step("entry", "", () => ({ says: "The entry is named by campaign, source and transaction alone." }), async () =>
    same("the entry", hex(await entryId(campaignId, source, transactionId)), entry));
  await step("table", "", () => ({ says: "The prize table is the one whose hash was committed to." }), async () =>
    same("the prize table's hash", hex(await tableHash(prizeTable)), proof.tableHash));
  await step("beacon", "", () => (plain ? { state: "unused", says: NO_BEACON } : { says: BEACON }), async () => {
    beacon = unhex(proof.beacon, 32, "beacon");
    if (plain) return same("no beacon", "00".repeat(32), proof.beacon);
    const randomness = await sha256(unhex(proof.beaconSignature, 48, "beaconSignature"));
    return same("the beacon's randomness", hex(randomness), proof.beacon);
  });
  await step("commitment", reveal && `${reveal} ${committed(proof)}`, () =>
    ({ ...(isLate(proof) ? { state: "late" } : {}), says: `The seed is the one that was committed to. ${committed(proof)}` }), async () => {
    seed = unhex(proof.seed, 32, "seed");
    const table = unhex(proof.tableHash, 32, "tableHash");
    return same("the commitment", hex(await commitment(campaignId, epoch, table, beaconSpec, seed)), proof.commitment);
  });
  await step("r", reveal, () => ({ says: `The number follows from seed, ${plain ? "" : "public randomness, "}day and entry.` }), async () => {
    const key = await epochKey(seed ?? unhex(proof.seed, 32, "seed"), beacon ?? unhex(proof.beacon, 32, "beacon"), campaignId, epoch);
    const drawn = below(await drawSeed(key, unhex(entry, 32, "entryId")), ODDS_WHOLE);
    return same("r", Number(drawn.value), r) || same("the number of words rejected", drawn.rejections, proof.rejections);
  });
  await step("tier", "", () => ({ says: fellInto(hidden ? "If the number is as stated, it" : "The number", prizeTable, r, proof.tierMask) }), () => {
    // In decimal, as text; older proofs have a number.
    if (!/^[0-9]{1,10}$/.test(proof.tierMask)) return "the mask is no number";
    const mask = BigInt(proof.tierMask);
    if (mask >> BigInt(prizeTable.tiers.length)) return "the mask names tiers that the table does not have";
    return same("the tier", tierOf(prizeTable, r, mask)?.name ?? null, tier ?? null);
  });
  const prize = prizeTable?.tiers?.find((t) => t.name === tier)?.prize;
  await step("amount", "", () => ({ says: paid(prize) }), () => {
    const paid = amount ? BigInt(amount.minor) : 0n;
    if (amount && amount.currency !== prizeTable.currency) return same("the currency", prizeTable.currency, amount.currency);
    if (!prize) return same("the amount", 0n, paid);
    if (prize.fixed !== undefined) return same("the amount", BigInt(prize.fixed), paid);
    return paid >= 0n && paid <= BigInt(prize.max) ? "" : `the amount ${paid} is not within the prize's maximum ${prize.max}`;
  });
  return steps;
}

// In words ------------------------------------------------------------------------------------------------------------

const NO_BEACON = "This campaign uses no public randomness: only the operator knew the seed.";
const BEACON =
  "The public randomness is that of the beacon the day was committed to; its signature can be checked with any drand client.";

const isHidden = (proof) => proof.seed === null || proof.seed === undefined;

// From the first instant of the day on, purchases of that day may be known.
const isLate = (proof) => Date.parse(proof.committedAt) >= Date.parse(proof.opensAt);

const written = (time, style) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...style }).format(new Date(time));
const day = (time) => written(time, { dateStyle: "long" });
const moment = (time) => `${day(time)}, ${written(time, { timeStyle: "medium" })} UTC`;

function committed(proof) {
  if (!proof.committedAt || !proof.opensAt) return "This proof does not say when.";
  const at = `The commitment was recorded on ${moment(proof.committedAt)}`;
  if (!isLate(proof)) return `${at}, before the day began.`;
  const known = "purchases made earlier that day were known by then";
  return proof.beaconSpec === "none"
    ? `${at}, after the day had begun: ${known}.`
    : `${at}, after the day had begun: ${known}, the public randomness was not.`;
}

// The number's range in the prize table, and whether the prize could still be won.
function fellInto(it, table, r, mask) {
  const tier = tierOf(table, r, 0n);
  if (!tier) return `${it} falls into the range of no prize.`;
  if (tierOf(table, r, BigInt(mask))) return `${it} falls into the range of the prize "${tier.name}".`;
  return `${it} falls into the range of the prize "${tier.name}", which could not be covered any more and had been taken ` +
    "out before the draw. Whether rightly shows only in the whole log: an auditor checks that.";
}

function paid(prize) {
  if (!prize) return "Nothing was won, and nothing is paid.";
  if (prize.fixed !== undefined) return "The amount is that of the prize.";
  return "The amount is within the prize's maximum; a share of the purchase can be checked by who knows the purchase.";
}

// "£5", "£5.50"; what no browser knows as a currency by its code.
function money({ minor, currency, exponent }) {
  const digits = String(minor).padStart(exponent + 1, "0");
  const whole = digits.slice(0, digits.length - exponent), rest = exponent ? digits.slice(-exponent) : "";
  const decimal = rest ? `${whole}.${rest}` : whole;
  try {
    const fraction = /[1-9]/.test(rest) ? exponent : 0;
    const style = { style: "currency", currency, minimumFractionDigits: fraction, maximumFractionDigits: exponent };
    return new Intl.NumberFormat("en-GB", style).format(decimal);
  } catch {
    return `${currency} ${decimal}`;
  }
}

const odds = (table) => table.tiers.reduce((sum, tier) => sum + tier.odds_ppb, 0);
const number = (n) => Number(n).toLocaleString("en-GB");

// What somebody would tell at home, and how sure one can be of it.
function headline(proof) {
  const { tier, amount, campaign } = proof.draw;
  const where = campaign?.name ?? proof.campaignId;
  return tier && amount ? `You won ${money(amount)} (${tier}) in ${where}.` : `You did not win in ${where}.`;
}

// A share of the purchase: what it comes to cannot be recomputed without the purchase.
function prizeIsShare({ prizeTable, draw }) {
  const won = prizeTable?.tiers?.find((tier) => tier.name === draw?.tier);
  return won !== undefined && won.prize?.fixed === undefined;
}

function verdict(proof, state) {
  const late = isLate(proof) ? " Its seed was committed to after the day had begun." : "";
  const plain = proof.beaconSpec === "none" ? ` ${NO_BEACON}` : "";
  const share = prizeIsShare(proof) ? " The prize is a share of the purchase: its amount can be recomputed by who knows the purchase." : "";
  const due = proof.revealsAt ? ` from ${day(proof.revealsAt)} on` : "";
  return {
    ok: `All of ${share ? "it but the amount" : "it"} can be recomputed: this draw was made as promised.${share}`,
    late: `All of ${share ? "it but the amount" : "it"} can be recomputed.${share}${late}${plain}`,
    unused: `All of ${share ? "it but the amount" : "it"} can be recomputed.${share}${plain}`,
    waits: `What can be checked now is right. The rest can be checked once the day's seed is revealed,${due}.${late}${plain}`.replace(",.", "."),
    differs: "Something differs: this draw was not made as this proof says.",
  }[state];
}

// In a browser --------------------------------------------------------------------------------------------------------

const STEPS = {
  algorithm: "Procedure", entry: "Entry", table: "Prize table", beacon: "Public randomness", commitment: "Commitment",
  r: "Number", tier: "Prize", amount: "Amount",
};
const STATES = { ok: "right", differs: "differs", waits: "waits", late: "right, but late", unused: "not used" };

function page() {
  const element = (id) => document.getElementById(id);
  const add = (parent, name, text, className) => {
    const child = parent.appendChild(document.createElement(name));
    child.textContent = text; // text only: a proof is somebody else's words
    if (className) child.className = className;
    return child;
  };
  const rows = (parent, pairs) => {
    const list = add(parent, "dl", "");
    for (const [name, said] of pairs) {
      add(list, "dt", name);
      add(list, "dd", said);
    }
  };
  const exactly = (parent, proof) => {
    const folded = add(parent, "details", "");
    add(folded, "summary", "The exact values");
    const values = [
      ["Entry", proof.draw.entryId], ["Commitment", proof.commitment], ["recorded at", proof.committedAt ?? "not said"],
      ["in the log at", proof.commitmentPosition ?? "not said"], ["Seed", proof.seed ?? "not revealed yet"],
      ["Public randomness", proof.beaconSpec === "none" ? "none" : `${proof.beaconSpec}: ${proof.beacon}`],
      ["Prize table's hash", proof.tableHash], ["Prizes taken out (mask)", proof.tierMask], ["Rejected words", proof.rejections],
    ];
    rows(folded, values);
    add(folded, "p", "The commitment comes with the proof. Who wrote it down earlier, from the campaign's days in the app or from " +
      "an audit bundle, can compare it with this one.", "quiet");
  };
  async function show(text) {
    const results = element("results");
    results.replaceChildren();
    if (!globalThis.crypto?.subtle) {
      return add(results, "p", "This browser computes hashes only on https pages or on a page saved to disk.", "differs");
    }
    let proofs;
    try {
      proofs = proofsIn(JSON.parse(text));
    } catch (error) {
      return add(results, "p", `This is no JSON: ${error.message}`, "differs");
    }
    if (proofs.length === 0) add(results, "p", "There is no proof in it: the transaction entered no draw.");
    for (const proof of proofs) {
      if (proof === null || typeof proof !== "object" || !proof.draw) {
        add(results, "p", "This is no proof of a draw.", "differs");
        continue;
      }
      const steps = await verify(proof);
      const state = ["differs", "waits", "late", "unused", "ok"].find((state) => steps.some((step) => step.state === state));
      const result = add(results, "section", "");
      try {
        add(result, "h2", state === "differs" ? `The proof says: ${headline(proof)}` : headline(proof));
        add(result, "p", verdict(proof, state), `verdict ${state}`);
        rows(result, [
          ["Purchase", `${proof.transactionId} of ${proof.source}`],
          ["Drawn for", day(proof.draw.epoch)],
          ["Number drawn", `${number(proof.draw.r)} of 0 to 999,999,999`],
          ["Prizes", `for numbers below ${number(odds(proof.prizeTable))}`],
        ]);
        exactly(result, proof);
      } catch (error) {
        add(result, "p", `This proof cannot be read: ${error.message}`, "differs");
      }
      add(result, "h3", "What was checked");
      const list = add(result, "dl", "", "steps");
      for (const step of steps) {
        add(list, "dt", STEPS[step.name]);
        const said = add(list, "dd", "");
        add(said, "strong", STATES[step.state], step.state);
        add(said, "span", ` ${step.says}`);
      }
    }
  }
  element("check").addEventListener("click", () => show(element("input").value));
  const embedded = element("proof").textContent.trim();
  if (embedded) {
    element("input").value = JSON.stringify(JSON.parse(embedded), null, 2);
    show(embedded);
  } else {
    element("another").open = true;
  }
}

if (typeof document !== "undefined") {
  page();
} else if (typeof module !== "undefined") {
  module.exports = { canonical, tableHash, entryId, commitment, epochKey, drawSeed, below, tierOf, proofsIn, verify, hex, unhex };
  if (require.main === module) {
    (async () => {
      const proofs = proofsIn(JSON.parse(require("node:fs").readFileSync(0, "utf8")));
      const all = [];
      for (const proof of proofs) all.push(await verify(proof));
      console.log(JSON.stringify(all, null, 2));
      if (all.flat().some((step) => step.state === "differs")) process.exitCode = 1;
    })();
  }
}
