// Looks at pages in a browser, on a phone, a tablet and a desk, by day and by night: node look.mjs FOLDER NAME=URL...
// Writes a picture of each into FOLDER, and says what axe finds serious, what is wider than its screen, and what the page
// complained of.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [folder, ...pages] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const found = [];
let looked = 0;
for (const width of [360, 800, 1400]) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
    for (const named of pages) {
      const [name, url] = [named.slice(0, named.indexOf("=")), named.slice(named.indexOf("=") + 1)];
      const where = `${name}-${width}-${colorScheme}`;
      const page = await context.newPage();
      page.on("pageerror", (error) => found.push(`${where}: ${error}`));
      await page.goto(url, { waitUntil: "load", timeout: 30_000 });
      // What a script shows.
      await page.waitForTimeout(300);
      await page.screenshot({ path: `${folder}/${where}.png`, fullPage: true });
      // What is folded is looked at too.
      await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) found.push(`${where}: ${wide} pixels wider than the screen`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document));
      for (const { id, impact, help, nodes } of violations) {
        if (["serious", "critical"].includes(impact)) found.push(`${where}: ${id}, ${help}: ${nodes[0].html.slice(0, 200)}`);
      }
      looked++;
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
console.log(JSON.stringify({ looked, found }));
