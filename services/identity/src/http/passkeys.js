// Logging in with a passkey, and adding one: the challenge is the SHA-256 of a statement, as in services/identity/src/passkeys.rs.

const encode = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (digit) => digit.charCodeAt(0));

async function send(path, body) {
  const headers = { "Content-Type": "application/json" };
  const sent = await fetch(path, { method: "POST", headers, body: body && JSON.stringify(body) });
  if (!sent.ok) throw new Error((await sent.json()).detail);
  return sent.status === 204 ? null : sent.json();
}

// What a passkey answers to one act: any passkey of this service, or one.
async function answered(form, act, id) {
  const { ledger, party } = form.dataset;
  const { nonce } = await send("/login/challenge");
  // Its canonical form (RFC 8785): members by name, and texts that need no escape but those of JSON.
  const statement = JSON.stringify({ act, format: "trialseal/passkey/v1", ledger, nonce });
  const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(statement));
  const allowCredentials = id ? [{ type: "public-key", id }] : [];
  const publicKey = { challenge, rpId: party, allowCredentials, userVerification: "required" };
  const got = await navigator.credentials.get({ publicKey });
  const answer = {
    authenticatorData: encode(got.response.authenticatorData),
    clientDataJSON: encode(got.response.clientDataJSON),
    signature: encode(got.response.signature),
  };
  return { nonce, credential: encode(got.rawId), answer };
}

// A new passkey on P-256 that the device finds by itself, and its answer.
async function made(form) {
  const { party, user, name } = form.dataset;
  const id = Uint8Array.from(user.match(/../g), (digits) => parseInt(digits, 16));
  const excludeCredentials = [...document.querySelectorAll("input[name=credential]")]
    .map((input) => ({ type: "public-key", id: decode(input.value) }));
  const created = await navigator.credentials.create({
    publicKey: {
      rp: { id: party, name: "trialseal" },
      user: { id, name, displayName: name },
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      pubKeyCredParams: [{ type: "public-key", alg: -7 }],
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      excludeCredentials,
    },
  });
  const spki = await crypto.subtle.importKey(
    "spki", created.response.getPublicKey(), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
  const { x, y } = await crypto.subtle.exportKey("jwk", spki);
  return { label: form.elements.label.value, x, y, answered: await answered(form, "register", created.rawId) };
}

const acts = {
  "log-in": async (form) => {
    await send("/login/passkey", await answered(form, "log-in"));
    location.assign("/");
  },
  "confirm": async (form) => {
    await send("/account/confirm-passkey", { form: form.dataset.form, answered: await answered(form, "confirm") });
    location.assign("/account");
  },
  "add": async (form) => {
    await send("/account/passkeys", { form: form.dataset.form, passkey: await made(form) });
    location.assign("/account");
  },
  "take-up": async (form) => {
    await send(`${location.pathname}/passkey`, await made(form));
    location.assign("/login");
  },
};

for (const [id, act] of Object.entries(acts)) {
  const form = document.getElementById(id);
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const notice = document.getElementById("notice");
    const button = form.querySelector("button");
    button.disabled = true;
    notice.textContent = "Your device asks you …";
    try {
      await act(form);
    } catch (error) {
      notice.textContent = error.name === "SecurityError"
        ? `Passkeys belong to a name: open this page by ${form.dataset.party}.`
        : error.message;
      button.disabled = false;
    }
  });
}
