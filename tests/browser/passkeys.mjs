// Somebody logs in with passkeys in a real browser, which keeps them itself: one that they take an invitation up with, and one that
// they add to an account with a password. Arguments: the service's address, the path of an invitation, login and password of an
// account, the folder for pictures. Prints what the pages say, as JSON.

import { chromium } from "playwright-core";

const [address, invitation, login, password, pictures] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

// Somebody with a browser and a device of their own.
async function somebody(errors) {
  const page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const options = {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", { options });
  const verified = (isUserVerified) => cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
  const picture = (name) => page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
  const logIn = async () => {
    await page.goto(`${address}/login`);
    await page.click("#log-in button");
    await page.waitForURL(`${address}/`);
  };
  return { page, verified, picture, logIn };
}

try {
  const errors = [];
  const invited = await somebody(errors);
  await invited.page.goto(`${address}${invitation}`);
  await invited.picture("invitation");
  await invited.page.fill("#label", "Phone");
  await invited.page.click("#take-up button");
  await invited.page.waitForURL(`${address}/login`);
  await invited.logIn();
  await invited.page.goto(`${address}/account`);
  const own = await invited.page.locator("tbody tr").allInnerTexts();
  const account = await invited.page.textContent("main");

  const other = await somebody(errors);
  await other.page.goto(`${address}/login`);
  await other.picture("login");
  await other.page.fill("[name=login]", login);
  await other.page.fill("[name=password]", password);
  await other.page.click("main form button");
  await other.page.waitForURL(`${address}/`);
  await other.page.goto(`${address}/account`);
  await other.page.fill("#label", "Laptop");
  await other.picture("add");
  await other.page.click("#add button");
  await other.page.waitForSelector("tbody tr");
  await other.picture("added");
  await other.page.click("form[action='/logout'] button");
  await other.page.waitForURL(`${address}/`);
  const loggedOut = await other.page.textContent("main");
  // Whoever is not verified does not come in.
  await other.verified(false);
  await other.page.goto(`${address}/login`);
  await other.page.click("#log-in button");
  await other.page.waitForFunction(() => !document.querySelector("#log-in button").disabled);
  const unverified = { said: await other.page.textContent("#notice"), url: other.page.url() };
  await other.verified(true);
  await other.logIn();
  const loggedIn = await other.page.textContent("main");

  // It is removed, and the browser, which still has it, is told that nobody is logged in to by it.
  await other.page.goto(`${address}/account`);
  await other.page.click("tbody button");
  await other.page.waitForFunction(() => !document.querySelector("tbody"));
  await other.page.click("form[action='/logout'] button");
  await other.page.waitForURL(`${address}/`);
  const before = [...errors];
  await other.page.goto(`${address}/login`);
  await other.page.click("#log-in button");
  await other.page.waitForFunction(() => !document.querySelector("#log-in button").disabled);
  const removed = await other.page.textContent("#notice");
  console.log(JSON.stringify({ own, account, loggedOut, unverified, loggedIn, removed, errors: before }));
} finally {
  await browser.close();
}
