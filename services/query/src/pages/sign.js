// Signing with a passkey, as docs/signing.md says: the challenge is the SHA-256 of a statement.

const encode = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (digit) => digit.charCodeAt(0));

// JSON in its canonical form (RFC 8785), for texts, whole numbers and objects of them.
const canonical = (value) =>
  value !== null && typeof value === "object"
    ? `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`
    : JSON.stringify(value);

const now = () => Math.floor(Date.now() / 1000);

async function answer(statement, credential) {
  const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(statement)));
  const allowCredentials = [{ type: "public-key", id: decode(credential) }];
  const publicKey = { challenge, rpId: location.hostname, allowCredentials, userVerification: "required" };
  const { response } = await navigator.credentials.get({ publicKey });
  return {
    authenticatorData: encode(response.authenticatorData),
    clientDataJSON: encode(response.clientDataJSON),
    signature: encode(response.signature),
  };
}

// A new passkey on P-256, as it is registered.
async function passkey(signer, name) {
  const user = { id: crypto.getRandomValues(new Uint8Array(16)), name: signer, displayName: name };
  const made = await navigator.credentials.create({
    publicKey: {
      rp: { id: location.hostname, name: "trialseal" },
      user,
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      pubKeyCredParams: [{ type: "public-key", alg: -7 }],
      authenticatorSelection: { userVerification: "required" },
    },
  });
  const spki = await crypto.subtle.importKey(
    "spki", made.response.getPublicKey(), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
  const { x, y } = await crypto.subtle.exportKey("jwk", spki);
  const key = { kty: "EC", crv: "P-256", x, y };
  return { credential: encode(made.rawId), relyingParty: location.hostname, key };
}

async function send(path, body) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
  const sent = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!sent.ok) {
    const problem = await sent.json();
    throw new Error(`${problem.detail} ${problem.hint ?? ""}`.trim());
  }
}

async function register(form) {
  const given = JSON.parse(form.dataset.statement);
  const name = form.elements.name.value.trim();
  const statement = { ...given, name, passkey: await passkey(given.signer, name), at: now() };
  const { accepts, at } = statement;
  const body = { name, passkey: statement.passkey, accepts, at };
  body.answer = await answer(statement, statement.passkey.credential);
  await send(`/v1/trials/${given.trial}/signing-keys`, body);
}

async function sign(form) {
  const given = JSON.parse(form.dataset.statement);
  const { credential, name } = form.dataset;
  const meaning = form.elements.meaning.value;
  const statement = { ...given, name, meaning, credential, at: now() };
  const body = { version: given.version, meaning, credential, at: statement.at };
  body.answer = await answer(statement, credential);
  await send(`/v1/trials/${given.trial}/${given.record.replace("participant/", "participants/")}/signatures`, body);
}

for (const [id, act] of [["register", register], ["sign", sign]]) {
  const form = document.getElementById(id);
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const notice = document.getElementById("notice");
    const button = form.querySelector("button");
    button.disabled = true;
    notice.textContent = "Your device asks you …";
    try {
      await act(form);
      location.reload();
    } catch (error) {
      notice.textContent = error.name === "SecurityError"
        ? "Passkeys belong to a name: open this page by one, such as localhost, and not by a number."
        : error.message;
      button.disabled = false;
    }
  });
}
