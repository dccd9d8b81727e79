// An OpenID Connect provider for the end-to-end tests: npm's oidc-provider, on a port of this machine, with keys that can be
// changed, and a second port on which a test asks for tokens that a sound provider would never make.
//
// Usage: node provider.mjs CALLBACK AUDIENCE. Prints "ISSUER CONTROL" once it listens. Ends with its standard input.

import { createServer } from 'node:http';
import { createHmac } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose';
import { Provider } from 'oidc-provider';

// Whoever started this reads one line of it; the provider says more than that.
process.stdout.on('error', () => {});

const [callback, audience] = process.argv.slice(2);

async function newKey(alg, kid) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, kid, use: 'sig', pem: await exportSPKI(publicKey) };
}

const server = createServer((request, response) => handle(request, response));
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const groups = { monica: ['monitors'], ivan: ['sites'], nora: [] };
let handle;
let keys;
let generation = 0;

// A provider with new keys, which knows nothing of what the one before has promised.
async function rotate() {
  generation += 1;
  keys = await Promise.all(
    ['RS256', 'PS256', 'ES256', 'Ed25519'].map((alg) => newKey(alg, `${alg}-${generation}`)),
  );
  keys[3].alg = 'EdDSA';
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'trialseal',
        client_secret: 'canary/secret+of the client',
        redirect_uris: [callback],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_basic',
      },
      {
        client_id: 'edc',
        client_secret: 'edc',
        redirect_uris: [],
        grant_types: ['client_credentials'],
        response_types: [],
        scope: 'read',
      },
    ],
    jwks: { keys: keys.map(({ pem, ...key }) => key) },
    cookies: { keys: ['a secret for cookies'] },
    scopes: ['openid', 'groups', 'read'],
    claims: { openid: ['sub'], groups: ['groups', 'org', 'trials', 'email_verified'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, groups: groups[id] ?? [], org: 'Site B', trials: ['PROVIDED-1'], email_verified: true }),
    }),
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_, resource) => ({
          scope: 'read',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    extraTokenClaims: (_, token) =>
      token.kind === 'ClientCredentials'
        ? { sub: 'service-edc', groups: ['sites'], org: 'Site B', trials: 'PROVIDED-1', email_verified: true }
        : {},
  });
  provider.on('server_error', (_, error) => console.error(error));
  handle = provider.callback();
}

const key = (alg) => keys.find((one) => one.alg === alg);

// A token with these claims and this header, signed by the current key of an algorithm, or in a way that must not be taken.
async function mint({ by = 'RS256', header = {}, claims = {} }) {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: issuer, aud: audience, sub: 'minted', iat: now, exp: now + 60, email_verified: true, groups: ['monitors'], ...claims };
  for (const [name, value] of Object.entries(all)) if (value === null) delete all[name];
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  if (by === 'none') return `${encode({ alg: 'none', ...header })}.${encode(all)}.AAAA`;
  if (by === 'public-key-as-secret') {
    const rs = key('RS256');
    const signed = `${encode({ alg: 'HS256', typ: 'JWT', kid: rs.kid, ...header })}.${encode(all)}`;
    return `${signed}.${createHmac('sha256', rs.pem).update(signed).digest('base64url')}`;
  }
  if (by === 'stranger') {
    const { privateKey } = await generateKeyPair('RS256');
    const head = { alg: 'RS256', typ: 'at+jwt', kid: key('RS256').kid, ...header };
    return new SignJWT(all).setProtectedHeader(head).sign(privateKey);
  }
  const jwk = key(by);
  return new SignJWT(all)
    .setProtectedHeader({ alg: by, typ: 'at+jwt', kid: jwk.kid, ...header })
    .sign(await importJWK(jwk, by));
}

await rotate();

let listening = true;
const control = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const asked = body ? JSON.parse(body) : {};
  const answer = async () => {
    switch (request.url) {
      case '/mint':
        return mint(asked);
      case '/rotate':
        await rotate();
        return 'rotated';
      case '/groups':
        Object.assign(groups, asked);
        return 'changed';
      case '/away':
        if (listening) {
          server.close();
          server.closeAllConnections();
        }
        listening = false;
        return 'away';
      case '/back':
        if (!listening) await new Promise((back) => server.listen(Number(new URL(issuer).port), '127.0.0.1', back));
        listening = true;
        return 'back';
      default:
        throw new Error(request.url);
    }
  };
  try {
    response.end(await answer());
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
await new Promise((ready) => control.listen(0, '127.0.0.1', ready));
console.log(`${issuer} http://127.0.0.1:${control.address().port}`);
process.stdin.on('end', () => process.exit()).resume();
