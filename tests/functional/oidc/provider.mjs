// A real OpenID provider for the tests of the gateway, on a free port of the loopback interface.
//
// Its first line names the issuer. Then it takes one command a line and answers each with "ok":
//   rotate    sign with a new key from now on; the old one stays published
//   retire    publish the signing key only
//   outage    discovery and keys answer 503
//   recover   they answer again
// It ends when its input ends.
//
// People log in by the provider's own pages (any name, any password) with a code and PKCE; workloads use client
// credentials. An access token is a JWT for the one resource that it was asked for:
//   urn:gateway   what the gateway takes
//   urn:brief     the same audience, in force for three seconds
//   urn:other     another audience

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPair, exportJWK } from 'jose';
import Provider from 'oidc-provider';

const AUDIENCES = { 'urn:gateway': 'gateway', 'urn:brief': 'gateway', 'urn:other': 'elsewhere' };
const CLAIMS = { roles: ['user'], purposes: ['work'], data_scopes: ['*'], cohort: 'pilot' };
const DOCUMENTS = ['/.well-known/openid-configuration', '/jwks'];
const keys = [];
// The provider's own notices must not stand between the answers.
console.info = console.error;
let application;
let outage = false;

const server = createServer((request, response) => {
  if (outage && DOCUMENTS.includes(request.url)) {
    response.writeHead(503, { 'content-length': '0' }).end();
    return;
  }
  application(request, response);
});

async function rotate() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = `key-${keys.length + 1}`;
  keys.unshift({ ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' });
  serve(keys);
}

function serve(published) {
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [
      {
        client_id: 'browser',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/back'],
      },
      {
        client_id: 'workload',
        client_secret: 'a secret of the test',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    jwks: { keys: published },
    cookies: { keys: ['a cookie key of the test'] },
    pkce: { required: () => true },
    extraTokenClaims: () => CLAIMS,
    ttl: { Grant: 600, Interaction: 600, Session: 600, IdToken: 600 },
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:gateway',
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'ask',
          audience: AUDIENCES[resource],
          accessTokenTTL: resource === 'urn:brief' ? 3 : 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  application = provider.callback();
  return provider;
}

const commands = {
  rotate,
  retire: () => serve(keys.slice(0, 1)),
  outage: () => { outage = true; },
  recover: () => { outage = false; },
};

await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
await rotate();
console.log(`http://127.0.0.1:${server.address().port}`);
for await (const line of createInterface({ input: process.stdin })) {
  await commands[line]();
  console.log('ok');
}
process.exit(0);
