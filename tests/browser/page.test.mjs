// SPDX-License-Identifier: MIT
// The monitor's page in a real browser, during a live run: numbers move, a killed stage goes down and comes up again,
// a monitor that has gone is said to have gone. Screenshots go to $PVRELAY_SHOTS (default build/browser).
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
const BIN = resolve(process.env.PVRELAY_BIN ?? join(ROOT, "build/bin"));
const SHOTS = resolve(process.env.PVRELAY_SHOTS ?? join(ROOT, "build/browser"));
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const DEADLINE = 60000;
const STAGES = ["reader", "transformer-1", "transformer-2", "writer", "validator"];
const EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

let root, config, target, url, monitor, browser, page;
const stages = new Map();
const complaints = [];

function start(who) {
  const [program, instance] = who.split("-");
  stages.set(who, spawn(join(BIN, `pvrelay-${program}`), ["--config", config, ...(instance ? ["--instance", instance] : [])], { stdio: "ignore" }));
}
const gone = (process) => process.exitCode !== null || process.signalCode !== null ? Promise.resolve() : new Promise((done) => process.once("exit", done));
async function kill(who) {
  stages.get(who).kill("SIGKILL");
  await gone(stages.get(who));
}
async function startMonitor(listen) {
  monitor = spawn(join(BIN, "pvrelay-monitor"), ["--config", config, "--listen", listen], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await new Promise((done) => createInterface({ input: monitor.stdout }).once("line", (...all) => done(all)));
  return line;
}
const box = (stage) => page.locator(`.stage[data-stage="${stage}"]`);
const number = async (selector) => Number((await page.locator(selector).textContent()).replaceAll(",", ""));
async function until(condition, what, argument) {
  try {
    await page.waitForFunction(condition, argument, { timeout: DEADLINE, polling: 50 });
  } catch (error) {
    throw new Error(`waited in vain for ${what}; the page says:\n${await page.locator("body").innerText()}`, { cause: error });
  }
}
const stateIs = (stage, state) => until(([name, wanted]) => document.querySelector(`.stage[data-stage="${name}"]`).dataset.state === wanted, `${stage} to be ${state}`, [stage, state]);
async function shot(name) {
  await page.emulateMedia({ reducedMotion: "reduce" }); // nothing on its way from one place to another
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  await page.emulateMedia({ reducedMotion: "no-preference" });
}
const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

before(async () => {
  assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing (Debian: chromium)`);
  mkdirSync(SHOTS, { recursive: true });
  root = mkdtempSync(join(tmpdir(), "pvb-"));
  target = join(root, "hub.db");
  config = join(root, "config.json");
  execFileSync(join(BIN, "pvrelay-export-gen"), ["--out", join(root, "exports"), "--modules", "400000", "--trap", "unknown-status=900",
    "--trap", "bad-utf8=120", "--trap", "missing-field=40"], { stdio: "ignore" });
  writeFileSync(config, JSON.stringify({ target, sources: ["audits.json", "modules.json"].map((name) => join(root, "exports", name)),
    run_dir: join(root, "d"), batch_bytes: 4096, window_bytes: 262144, transformers: 2 }));
  url = await startMonitor("127.0.0.1:0");
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  page = await browser.newPage({ viewport: { width: 1180, height: 900 } });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => complaints.push(message.text()));
  page.on("request", (request) => { if (!request.url().startsWith(url) && !request.url().startsWith("data:")) complaints.push("asked for " + request.url()); });
});

after(async () => {
  await browser?.close();
  for (const process of [monitor, ...stages.values()]) {
    process?.kill("SIGKILL");
    if (process) await gone(process);
  }
  rmSync(root, { recursive: true, force: true });
});

test("the pipeline is down before the run", async () => {
  await page.goto(url);
  await until(() => document.querySelector("#state").textContent === "Pipeline is down", "the page to say that nothing is on");
  for (const stage of ["reader", "transformer", "writer", "validator"])
    await stateIs(stage, "down");
  assert.deepEqual(await page.locator("#reasons li").allTextContents(), [`no stage is up in ${join(root, "d")}`, "no run is on"]);
  await shot("down");
});

test("numbers move", async () => {
  STAGES.forEach(start);
  for (const stage of ["reader", "transformer", "writer", "validator"])
    await stateIs(stage, "up");
  await until(() => document.querySelector("#state").textContent === "Replaying", "the headline");
  await until(() => /^[0-9,]+$/.test(document.querySelector("#committed").textContent) && document.querySelector("#committed").textContent !== "0", "records to be committed");
  const committed = await number("#committed");
  await until((than) => Number(document.querySelector("#committed").textContent.replaceAll(",", "")) > than, "more records to be committed", committed);
  await until(() => [...document.querySelectorAll(".stage .rate b")].every((rate) => /^[0-9,]+$/.test(rate.textContent) && rate.textContent !== "0"), "rates of all stages");
  await until(() => document.querySelector("#chart .c").getAttribute("d").split("L").length > 3, "a line of throughput");
  await until(() => document.querySelectorAll("#strip i").length > 20, "checkpoints");
  await until(() => document.querySelectorAll("#rejects li code").length === 3, "rejects by reason");
  assert.equal(await number("#total"), 400800);
  assert.match(await page.title(), /^[0-9.]+ % · Replaying · pvrelay$/);
  assert.ok(await page.locator("#reasons").isHidden());
  assert.equal(await overflow(), 0);
  await shot("light");
});

test("a stage that is killed goes down, then up again", async () => {
  await kill("validator");
  await stateIs("validator", "down");
  await until(() => /^▲ down for [1-9][0-9]* s$/.test(document.querySelector('.stage[data-stage="validator"] .up').textContent), "how long it has been down");
  assert.equal(await page.locator("#state").textContent(), "Replaying, a stage is down");
  assert.match(await page.locator("#reasons").textContent(), /^validator has been down for [0-9]+ s$/);
  assert.equal(await page.locator("#news").textContent(), "validator is down");
  for (const stage of ["reader", "transformer", "writer"])
    assert.equal(await box(stage).getAttribute("data-state"), "up");
  await shot("validator-down");
  start("validator");
  await stateIs("validator", "up");
  await until(() => [...document.querySelectorAll('.stage[data-stage="validator"] dt')].find((label) => label.textContent === "restarts").nextSibling.textContent === "1", "one restart");
  await until(() => document.querySelector("#reasons").hidden, "the reason to go");
  assert.equal(await page.locator("#news").textContent(), "validator is up again");
});

test("one of two transformers", async () => {
  await kill("transformer-2");
  await stateIs("transformer", "partly");
  assert.equal(await box("transformer").locator(".up").textContent(), "▲ 1 of 2 down");
  start("transformer-2");
  await stateIs("transformer", "up");
});

test("dark", async () => {
  const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), light);
  await shot("dark");
  await page.emulateMedia({ colorScheme: "light" });
});

test("contrast of every text", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const weak = await page.evaluate(() => {
      const parse = (color) => color.match(/[\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = (node) => {
        for (; node; node = node.parentElement) {
          const color = parse(getComputedStyle(node).backgroundColor);
          if (color.length === 3 || color[3] > 0) return color;
        }
        return [255, 255, 255];
      };
      const found = [];
      for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim() !== "");
        if (!own || node.closest("script, style, noscript") || node.getClientRects().length === 0) continue;
        const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) found.push(node.textContent.slice(0, 40) + " " + ((a + 0.05) / (b + 0.05)).toFixed(2));
      }
      return found;
    });
    assert.deepEqual(weak, [], colorScheme);
  }
  await page.emulateMedia({ colorScheme: "light" });
});

test("phone", async () => {
  await page.setViewportSize({ width: 375, height: 812 });
  await until(() => matchMedia("(max-width: 860px)").matches, "the narrow layout");
  assert.equal(await overflow(), 0);
  const wider = await page.evaluate(() => [...document.querySelectorAll("main *")].filter((node) => !node.closest("svg, thead, .hidden") && node.getBoundingClientRect().right > 376).map((node) => node.outerHTML.slice(0, 80)));
  assert.deepEqual(wider, []);
  await until(() => document.querySelectorAll("#strip i").length <= 70, "the checkpoints to be put together");
  await shot("phone");
  await page.setViewportSize({ width: 1180, height: 900 });
});

test("no motion for those who want none", async () => {
  await until(() => document.getAnimations().length > 0, "the wires to move");
  await page.emulateMedia({ reducedMotion: "reduce" });
  await until(() => document.getAnimations().length === 0, "what still moved to come to rest");
  await page.emulateMedia({ reducedMotion: "no-preference" });
});

test("a monitor that is killed is unreachable, and found again", async () => {
  assert.deepEqual(complaints.splice(0), []);
  monitor.kill("SIGKILL");
  await gone(monitor);
  await until(() => /^Monitor unreachable since \d\d:\d\d:\d\d\./.test(document.querySelector("#unreachable").textContent), "the page to say so");
  assert.equal(await page.title(), "Monitor unreachable · pvrelay");
  assert.ok(await page.locator("#unreachable").isVisible());
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("main")).filter), "grayscale(1)");
  await shot("unreachable");
  assert.equal(await startMonitor(new URL(url).host), url);
  await until(() => document.querySelector("#unreachable").hidden, "the monitor to be found again");
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("main")).filter), "none");
  complaints.splice(0); /* the browser notes that nobody answered */
});

test("the end", async () => {
  await until(() => document.querySelector("#state").textContent === "Complete, with rejects", "the run's end");
  assert.equal(await page.locator("#percent").textContent(), "100.0 %");
  for (const stage of ["reader", "transformer", "writer", "validator"])
    assert.equal(await box(stage).getAttribute("data-state"), "gone");
  await until(() => document.querySelector("#runs tbody td:nth-child(2)")?.textContent === "complete", "the run in the list");
  await shot("complete");
});

test("hostile texts stay texts", async () => {
  const run = JSON.parse(readFileSync(join(root, "d/ended.json"), "utf8")).run;
  writeFileSync(join(root, "d/ended.json"), JSON.stringify({ run, error: "MALFORMED", exit_code: 2, text: EVIL }));
  await until((evil) => document.querySelector("#reasons").textContent.includes("the run stopped: MALFORMED: " + evil), "the error's text", EVIL);
  const report = join(`${target}-reports`, "run-1", "report.json");
  mkdirSync(join(report, ".."), { recursive: true });
  writeFileSync(report, JSON.stringify({ made_at: EVIL, verdict: EVIL, outcome: 2, run: { number: 1, id: EVIL, state: EVIL } }));
  await until(() => document.querySelectorAll("#report dd").length === 4, "the report");
  assert.deepEqual(await page.locator("#report dd").allTextContents(), ["malformed or unreadable export (exit code 2)", `1, ${EVIL}`, `${EVIL} UTC`, report]);
  assert.equal(await page.locator("main img, main script, main a[href^=http]").count(), 0);
  assert.equal(await page.title(), "Stopped · pvrelay");
  assert.equal(await overflow(), 0);
  await shot("stopped");
  assert.deepEqual(complaints, []);
});
