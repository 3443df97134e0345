// An identity provider on oidc-provider, told what to do by lines of JSON on stdin, telling what came of it by lines of
// JSON on stdout. It signs with keys of its own making, which turn when it is told to.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

// It speaks of its own settings on stdout, which is ours.
console.info = console.log = console.warn = () => {};
const { Provider } = await import('oidc-provider');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const CALLBACK = 'https://voxea.example.fr/v1/oidc/callback';

function keys() {
  const of = (type, options, alg) => ({
    ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig',
  });
  return { keys: [of('rsa', { modulusLength: 2048 }, 'RS256'), of('ec', { namedCurve: 'P-256' }, 'ES256'), of('ed25519', {}, 'EdDSA')] };
}

function provider(issuer) {
  const program = (id, alg) => ({
    client_id: id, client_secret: `secret of ${id} `.repeat(3), redirect_uris: [], response_types: [], grant_types: ['client_credentials'],
    'alg': alg,
  });
  return new Provider(issuer, {
    jwks: keys(),
    cookies: { keys: [randomUUID()] },
    extraClientMetadata: { properties: ['alg'] },
    clients: [
      { client_id: 'voxea', client_secret: 'a secret with : and %', redirect_uris: [CALLBACK], grant_types: ['authorization_code'] },
      program('etl-rs', 'RS256'), program('etl-es', 'ES256'), program('etl-ed', 'EdDSA'), program('stranger', 'RS256'),
    ],
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
    claims: { email: ['email', 'email_verified'], profile: ['preferred_username'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@Ville.example`, email_verified: id !== 'unproved', preferred_username: id }),
    }),
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience, client) => ({
          scope: 'api', audience, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: client.alg ?? 'RS256' } },
        }),
      },
    },
  });
}

let current;
const server = createServer((request, response) => current(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  current = provider(issuer).callback();
  say({ event: 'listening', issuer });
  createInterface({ input: process.stdin }).on('line', async (line) => {
    const order = JSON.parse(line);
    try {
      if (order.turn) {
        current = provider(issuer).callback();
        say({ event: 'turned' });
      } else if (order.mint) {
        say({ event: 'minted', token: await mint(issuer, order.mint, order.audience) });
      } else if (order.browse) {
        say({ event: 'back', url: await browse(order.browse, order.login) });
      }
    } catch (error) {
      say({ event: 'error', error: String(error) });
    }
  });
});

// A program fetches itself a token.
async function mint(issuer, id, audience) {
  const escaped = (text) => encodeURIComponent(text);
  const basic = Buffer.from(`${escaped(id)}:${escaped(`secret of ${id} `.repeat(3))}`).toString('base64');
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience, scope: 'api' }),
  });
  const answer = await response.json();
  if (!answer.access_token) throw new Error(JSON.stringify(answer));
  return answer.access_token;
}

// A person logs in, as a browser: follows redirects, keeps cookies, fills the two forms in, and stops where it is sent home.
async function browse(begin, login) {
  const jar = new Map();
  const go = async (url, form) => {
    const response = await fetch(url, {
      redirect: 'manual',
      method: form ? 'POST' : 'GET',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      body: form && new URLSearchParams(form),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split('=');
      if (value) jar.set(name, value); else jar.delete(name);
    }
    return response;
  };
  let url = begin;
  for (let hop = 0; hop < 20; hop += 1) {
    if (url.startsWith(CALLBACK)) return url;
    let response = await go(url);
    if (response.status === 200) {
      const page = await response.text();
      const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
      if (!prompt) throw new Error(page);
      response = await go(url, prompt === 'login' ? { prompt, login, password: 'x' } : { prompt });
    }
    if (!response.headers.has('location')) throw new Error(`${response.status} ${await response.text()}`);
    url = new URL(response.headers.get('location'), url).href;
  }
  throw new Error('too many redirects');
}
