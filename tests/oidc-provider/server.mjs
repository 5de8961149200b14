// A certified OpenID provider, an API that introspects at it, and controls for a test: one
// process, on loopback, that ends with the test that started it.
//
// Run by hand: `node server.mjs '{"access_ttl": 10}'`, and end it with Ctrl-D. It prints one line
// of JSON when it listens; what happens is logged on standard error, without tokens.

import { createServer } from 'node:http';

import { makeApi } from './api.mjs';
import { makeControl } from './control.mjs';
import { interact, isInteraction } from './interaction.mjs';
import { makeClients, makeProvider } from './provider.mjs';
import { Store } from './store.mjs';

const settings = {
  // Ports; 0 is any that is free.
  issuer_port: 0,
  api_port: 0,
  // Lifetimes in seconds.
  access_ttl: 3600,
  refresh_ttl: 86400,
  device_ttl: 600,
  // How long after it was acted on a token request is answered.
  token_latency_ms: 0,
  // Whether a proof needs a nonce, at the provider and at the API.
  dpop_nonces: true,
  // Whether a person clicks; else alice agrees to everything by herself.
  pages: false,
  // A file to remember everything in. Without one, all is forgotten at the end.
  state: undefined,
  ...JSON.parse(process.argv[2] ?? '{}'),
};

// oidc-provider has notices for whoever sets up a real one; standard output is for one line.
console.info = console.error;

async function listen(port) {
  const server = createServer();
  await new Promise((resolve, reject) => {
    server.on('error', reject).listen(port, '127.0.0.1', resolve);
  });
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

const [issuer, api, control] = await Promise.all(
  [settings.issuer_port, settings.api_port, 0].map(listen),
);

const counters = { token: {}, api: {} };
const count = (of, name) => { of[name] = (of[name] ?? 0) + 1; };
const countToken = (grantType, outcome) => {
  count((counters.token[grantType] ??= {}), outcome);
  console.error(`provider: token request (${grantType}): ${outcome}`);
};
const countApi = (status, why) => {
  count(counters.api, status);
  console.error(`api: ${status}${why ? `, ${why}` : ''}`);
};

const store = new Store(settings.state);
const { clients, privatePem } = makeClients();
const shared = { issuer: issuer.url, api: api.url, clients, store, settings, counters, countToken, countApi };
const provider = makeProvider(shared);
provider.on('server_error', (_ctx, error) => console.error('provider:', error));
// What it keeps from its clients.
provider.on('grant.error', (_ctx, error) => {
  console.error(`provider: ${error.error_description} (${error.error_detail ?? 'no detail'})`);
});
const answer = provider.callback();

issuer.server.on('request', (request, response) => {
  if (!isInteraction(request)) return answer(request, response);
  return interact(provider, api.url, settings.pages, request, response).catch((error) => {
    console.error('interaction:', error);
    response.writeHead(400).end(error.message);
  });
});
const { client_secret: secret } = clients.find((client) => client.client_id === 'api');
api.server.on('request', makeApi({ ...shared, secret }));
control.server.on('request', makeControl({ ...shared, provider }));

const secrets = clients.map((client) => [client.client_id, client.client_secret ?? null]);
console.log(JSON.stringify({
  issuer: issuer.url,
  api: api.url,
  control: control.url,
  // By client: its secret, if it has one.
  secrets: Object.fromEntries(secrets),
  // The key of the client `jwt`.
  private_pem: privatePem,
}));

// A test that is gone, however it went, has closed this.
process.stdin.resume().on('end', () => process.exit(0));
