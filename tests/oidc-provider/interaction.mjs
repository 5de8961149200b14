// Where the provider asks its user: alice logs in and consents, by herself or by a page with two
// buttons, for a browser.

import { ACCOUNT, grantAll } from './provider.mjs';

const PATH = '/interaction/';

export const isInteraction = (request) => request.url.startsWith(PATH);

export async function interact(provider, api, withPages, request, response) {
  const { uid, prompt, params, grantId } = await provider.interactionDetails(request, response);
  if (withPages && request.method === 'GET') return page(response, uid, prompt.name, params.client_id);
  const answer = withPages ? new URLSearchParams(await text(request)).get('answer') : 'yes';
  const result = answer === 'yes'
    ? await accepted(provider, api, prompt.name, params, grantId)
    : { error: 'access_denied', error_description: `${ACCOUNT} said no` };
  console.error(`provider: ${ACCOUNT} answers ${answer} to ${prompt.name} of ${params.client_id}`);
  return provider.interactionFinished(request, response, result);
}

async function accepted(provider, api, prompt, params, grantId) {
  if (prompt === 'login') return { login: { accountId: ACCOUNT } };
  const wanted = { clientId: params.client_id, scope: params.scope, api, grantId };
  return { consent: { grantId: await grantAll(provider, wanted) } };
}

function page(response, uid, prompt, clientId) {
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(`<!doctype html>
<html lang="en">
<title>${prompt} for ${clientId}</title>
<h1>${prompt} for ${clientId}</h1>
<form method="post" action="${PATH}${uid}">
<button name="answer" value="yes">Continue as ${ACCOUNT}</button>
<button name="answer" value="no">Refuse</button>
</form>
</html>
`);
}

export async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
