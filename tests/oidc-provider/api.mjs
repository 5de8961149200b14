// The API. It knows nothing of tokens: for each request it asks the provider (RFC 7662).

import { createHash, randomUUID } from 'node:crypto';

import { EmbeddedJWK, calculateJwkThumbprint, jwtVerify } from 'jose';

export const METADATA = '/.well-known/oauth-protected-resource';

// The seconds that a proof's `iat` may be off: both clocks are this machine's.
const IAT_WINDOW = 10;

export function makeApi({ issuer, api, secret, settings, countApi }) {
  const basic = Buffer.from(`api:${encodeURIComponent(secret)}`).toString('base64');
  // One nonce for the life of the process (RFC 9449 section 9).
  const nonce = randomUUID();

  async function introspected(token) {
    const answer = await fetch(`${issuer}/token/introspection`, {
      method: 'POST',
      headers: { Authorization: `Basic ${basic}` },
      body: new URLSearchParams({ token }),
    });
    if (!answer.ok) throw new Error(`introspection answers ${answer.status}`);
    return answer.json();
  }

  // Checks a proof (RFC 9449 section 4.3) and says what is wrong with it, if anything.
  async function faultOfProof(request, token, jkt) {
    try {
      const { payload, protectedHeader } = await jwtVerify(request.headers.dpop ?? '', EmbeddedJWK, {
        typ: 'dpop+jwt',
        algorithms: ['ES256'],
        requiredClaims: ['jti', 'iat'],
      });
      const bound = payload.htm === request.method
        && payload.htu === new URL(request.url.split('?')[0], api).href
        && payload.ath === createHash('sha256').update(token).digest('base64url')
        && Math.abs(payload.iat - Date.now() / 1000) < IAT_WINDOW
        && (await calculateJwkThumbprint(protectedHeader.jwk)) === jkt;
      if (!bound) return 'invalid_dpop_proof';
      return settings.dpop_nonces && payload.nonce !== nonce ? 'use_dpop_nonce' : undefined;
    } catch {
      return 'invalid_dpop_proof';
    }
  }

  // The status, and what the challenge says.
  async function judge(request) {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    if (!token) return { status: 401, scheme: 'Bearer' };
    const known = await introspected(token);
    const wanted = known.cnf?.jkt ? 'DPoP' : 'Bearer';
    const isGood = known.active && known.aud === api && known.token_type === wanted
      && scheme.toLowerCase() === wanted.toLowerCase();
    if (!isGood) return { status: 401, scheme: 'Bearer', error: 'invalid_token' };
    const error = known.cnf?.jkt && (await faultOfProof(request, token, known.cnf.jkt));
    return error ? { status: 401, scheme: 'DPoP', error } : { status: 200, known };
  }

  function challenge({ scheme, error }) {
    const parameters = {
      ...(error && { error }),
      ...(error === 'invalid_token' && { error_description: 'the token is not active' }),
      ...(scheme === 'DPoP' && { algs: 'ES256' }),
      resource_metadata: new URL(METADATA, api).href,
    };
    const list = Object.entries(parameters).map(([name, value]) => `${name}="${value}"`);
    return `${scheme} ${list.join(', ')}`;
  }

  function send(response, status, body) {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(`${JSON.stringify(body)}\n`);
  }

  return async (request, response) => {
    if (request.url === METADATA) {
      return send(response, 200, {
        resource: api,
        authorization_servers: [issuer],
        scopes_supported: ['read', 'write'],
        bearer_methods_supported: ['header'],
        dpop_signing_alg_values_supported: ['ES256'],
      });
    }
    const judged = await judge(request).catch((error) => ({ status: 503, error: error.message }));
    const { status, known, error } = judged;
    countApi(status, error);
    if (status === 200) {
      return send(response, 200, { sub: known.sub, client_id: known.client_id, scope: known.scope });
    }
    if (status === 401) response.setHeader('WWW-Authenticate', challenge(judged));
    if (error === 'use_dpop_nonce') response.setHeader('DPoP-Nonce', nonce);
    return send(response, status, { error });
  };
}
