// What a test can do to the provider behind its clients' backs, and what it can count.

import { text } from './interaction.mjs';
import { ACCOUNT, grantAll } from './provider.mjs';

export function makeControl({ provider, api, store, settings, counters }) {
  const codeOf = async (userCode) => {
    const code = await provider.DeviceCode.findByUserCode(userCode.replace(/\W/g, '').toUpperCase());
    if (!code) throw new Error('nobody was given this user code');
    return code;
  };
  const routes = {
    'GET /counters': () => counters,

    // The API says "expired" from now on, while the clients' clocks say "valid".
    'POST /kill-access-tokens': () => ({
      killed: store.forget('AccessToken') + store.forget('ClientCredentials'),
    }),

    'POST /expire-refresh-tokens': () => ({ expired: store.expire('RefreshToken') }),

    // What a user does on a page that lists the apps.
    'POST /revoke-grants': () => {
      ['AccessToken', 'RefreshToken', 'AuthorizationCode'].forEach((model) => store.forget(model));
      return { revoked: store.forget('Grant') };
    },

    'POST /approve-device': async ({ user_code: userCode }) => {
      const code = await codeOf(userCode);
      const { client_id: clientId, scope = '' } = code.params;
      const grantId = await grantAll(provider, { clientId, scope, api });
      const authTime = Math.floor(Date.now() / 1000);
      Object.assign(code, { accountId: ACCOUNT, grantId, scope, resource: api, authTime });
      await code.save();
      return { approved: true };
    },

    'POST /deny-device': async ({ user_code: userCode }) => {
      const code = await codeOf(userCode);
      Object.assign(code, { error: 'access_denied', errorDescription: `${ACCOUNT} said no` });
      await code.save();
      return { approved: false };
    },

    // At the next token request: `before` it is acted on, or `after`, before the answer is sent.
    'POST /die': ({ when }) => {
      settings.die = when;
      return { dies: when };
    },
  };
  return async (request, response) => {
    const route = routes[`${request.method} ${request.url}`];
    const body = await text(request);
    try {
      if (!route) throw new Error('there is no such control');
      const answer = await route(JSON.parse(body || '{}'));
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
    } catch (error) {
      response.writeHead(400).end(error.message);
    }
  };
}
