// Checks proof.js (first argument) against draw-1's vectors (second argument); prints what differs, one line each.
const fs = require("node:fs");
const p = require(fs.realpathSync(process.argv[2]));
const v = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));
const expect = (what, found, expected) => found === expected || console.log(`${what}: ${found} instead of ${expected}`);

(async () => {
  const table = await p.tableHash(v.prize_table);
  expect("canonical", p.canonical(v.prize_table), v.prize_table_canonical);
  expect("table", p.hex(table), v.prize_table_hash);
  const seed = p.unhex(v.seed, 32);
  expect("commitment", p.hex(await p.commitment(v.campaign, v.epoch, table, v.beacon_spec, seed)), v.commitment);
  const key = await p.epochKey(seed, p.unhex(v.beacon, 32), v.campaign, v.epoch);
  expect("key", p.hex(key), v.epoch_key);
  for (const draw of v.draws) {
    const entry = await p.entryId(v.campaign, draw.source, draw.transaction_id);
    expect("entry", p.hex(entry), draw.entry_id);
    const drawSeed = await p.drawSeed(key, entry);
    expect("draw seed", p.hex(drawSeed), draw.draw_seed);
    const { value, rejections } = p.below(drawSeed, 1000000000n);
    expect("r", Number(value), draw.r);
    expect("rejections", rejections, draw.rejections);
    const tier = draw.tier === null ? null : v.prize_table.tiers[draw.tier];
    expect("tier", p.tierOf(v.prize_table, draw.r, 0), tier);
    if (tier) expect("masked", p.tierOf(v.prize_table, draw.r, 1 << draw.tier), null);
  }
  for (const sample of v.rejection_sampling) {
    const { value, rejections } = p.below(p.unhex(sample.seed, 32), BigInt(sample.n));
    expect("sample", String(value), sample.value);
    expect("sample's rejections", rejections, sample.rejections);
  }
  // RFC 8785: order of keys, what is escaped, and nothing else.
  const odd = { "\u20ac": 1, "\r": [true, null], "1": "\u0080\"\\\n\u2028", "ö": {}, a: 1e21 };
  expect("odd", p.canonical(odd), '{"\\r":[true,null],"1":"\u0080\\"\\\\\\n\u2028","a":1e+21,"ö":{},"€":1}');
  console.log("checked", v.draws.length, v.rejection_sampling.length);
})();
