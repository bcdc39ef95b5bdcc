// graphql-http's server audits: node audits.mjs URL TOKEN. Prints what is not met, as JSON.
import { serverAudits } from "graphql-http";

const [url, token] = process.argv.slice(2);
const fetchFn = (address, init = {}) =>
  fetch(address, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
const audits = serverAudits({ url, fetchFn });
const unmet = [];
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status !== "ok") unmet.push(`${audit.id} ${audit.name}: ${result.reason}`);
}
console.log(JSON.stringify({ audits: audits.length, unmet }));
