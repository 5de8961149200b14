// The authorization server: oidc-provider as it is, configured for what regrant has to live with.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import Provider from 'oidc-provider';

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

// Everybody is alice.
export const ACCOUNT = 'alice';

const SCOPES = 'read write';

// A new key pair for ES256.
const es256 = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const named = (key) => ({ ...key.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' });
  const privatePem = privateKey.export({ format: 'pem', type: 'pkcs8' });
  return { privateJwk: named(privateKey), publicJwk: named(publicKey), privatePem };
};

// One client for each way in which a client shows who it is. The first five log users in.
export function makeClients() {
  const { privatePem, publicJwk } = es256();
  const secret = () => randomBytes(16).toString('base64url');
  const user = {
    // A loopback redirect of a native app may have any port (RFC 8252 section 7.3).
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'http://localhost/callback'],
    grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
    response_types: ['code'],
  };
  const none = { redirect_uris: [], response_types: [] };
  const registered = {
    public: { ...user, token_endpoint_auth_method: 'none' },
    dpop: { ...user, token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true },
    // Characters that RFC 6749 section 2.3.1 wants encoded, which some clients forget.
    basic: { ...user, token_endpoint_auth_method: 'client_secret_basic', client_secret: `${secret()}:+ %/` },
    post: { ...user, token_endpoint_auth_method: 'client_secret_post', client_secret: secret() },
    jwt: { ...user, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [publicJwk] } },
    // A program on its own behalf, and the API, which introspects.
    machine: { ...none, grant_types: ['client_credentials'], client_secret: secret() },
    api: { ...none, grant_types: [], client_secret: secret() },
  };
  const clients = Object.entries(registered).map(([id, rest]) => ({ client_id: id, ...rest }));
  return { clients, privatePem };
}

export function makeProvider({ issuer, api, clients, store, settings, countToken }) {
  const provider = new Provider(issuer, {
    adapter: (model) => store.adapter(model),
    clients,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys: [es256().privateJwk] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      dPoP: {
        enabled: true,
        nonceSecret: randomBytes(32),
        requireNonce: () => settings.dpop_nonces,
      },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      resourceIndicators: {
        enabled: true,
        // There is one API, and every token is for it, whether the client names it or not.
        defaultResource: () => api,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: resource === api ? SCOPES : '',
          audience: resource,
          // Opaque, so that the API has to ask whether the token is still good.
          accessTokenFormat: 'opaque',
          accessTokenTTL: settings.access_ttl,
        }),
      },
    },
    pkce: { required: () => true },
    // As strict as it gets: every refresh rotates, and a spent token that comes again ends the
    // grant (RFC 9700 section 4.14).
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    ttl: {
      AccessToken: () => settings.access_ttl,
      ClientCredentials: () => settings.access_ttl,
      DeviceCode: () => settings.device_ttl,
      RefreshToken: () => settings.refresh_ttl,
      // Longer than any test.
      Grant: () => 86400,
      Session: () => 86400,
      Interaction: () => 3600,
      IdToken: () => 3600,
    },
    // Lifetimes end when they are said to end.
    clockTolerance: 0,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  });
  provider.use(async (ctx, next) => {
    const isToken = ctx.method === 'POST' && ctx.path === '/token';
    if (isToken && settings.die === 'before') die('before the token request is acted on');
    await next();
    if (!isToken) return;
    const outcome = ctx.status === 200 ? 'granted' : (ctx.body?.error ?? String(ctx.status));
    countToken(ctx.oidc?.params?.grant_type ?? 'none', outcome);
    if (outcome === 'granted' && settings.die === 'after') die('before the answer is sent');
    await delay(settings.token_latency_ms);
  });
  return provider;
}

// As a crash does it: nothing is flushed, connections are reset.
function die(when) {
  console.error(`provider: dies ${when}`);
  process.kill(process.pid, 'SIGKILL');
}

// What alice grants: everything that is asked for, of the provider and of the API.
export async function grantAll(provider, { clientId, scope, api, grantId }) {
  const grant = (grantId && (await provider.Grant.find(grantId)))
    || new provider.Grant({ accountId: ACCOUNT, clientId });
  grant.addOIDCScope(scope);
  grant.addResourceScope(api, scope);
  return grant.save();
}
