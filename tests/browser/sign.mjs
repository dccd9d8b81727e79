// Somebody signs a participant's record in a real browser, with a passkey that the browser itself keeps and signs with.
// Arguments: the service's address, login, password, trial, the folder for pictures. Prints what the pages say, as JSON.

import { chromium } from "playwright-core";

const [address, login, password, trial, pictures] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const options = {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", { options });

  await page.goto(`${address}/login`);
  await page.fill("[name=login]", login);
  await page.fill("[name=password]", password);
  await page.click("main form button");
  await page.goto(`${address}/trials/${trial}/participants`);
  await page.screenshot({ path: `${pictures}/participants.png`, fullPage: true });
  await page.click("text=See and sign");
  await page.fill("#name", "Dr. Ada Müller");
  await page.screenshot({ path: `${pictures}/begin.png`, fullPage: true });
  await page.click("#register button");
  await page.waitForSelector("#sign");
  await page.selectOption("#meaning", "approval");
  await page.screenshot({ path: `${pictures}/sign.png`, fullPage: true });
  // Whoever is not verified does not sign.
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await page.click("#sign button");
  await page.waitForFunction(() => !document.querySelector("#sign button").disabled);
  const unverified = await page.textContent("#notice");
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  await page.click("#sign button");
  await page.waitForSelector("tbody tr");
  await page.screenshot({ path: `${pictures}/signed.png`, fullPage: true });
  const rows = await page.locator("tbody tr").allInnerTexts();
  console.log(JSON.stringify({ unverified, rows, errors }));
} finally {
  await browser.close();
}
