// A certified OpenID provider on a loopback port, with one client and whatever person logs in. Its page for logging in is
// its own for development: any name, any password. Prints its issuer when it listens, and ends with its standard input.
import http from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_FOLDER + '/');
const { Provider } = await import(require.resolve('oidc-provider'));

const [clientId, clientSecret, callback] = process.argv.slice(2);
const server = http.createServer((request, response) => provider.callback()(request, response));
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [callback], grant_types: ['authorization_code'] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  // With false, the ID token holds only who it is, and the rest is to be asked for.
  conformIdTokenClaims: process.env.THIN_TOKENS === '1',
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@example.org`,
      email_verified: !id.startsWith('unverified'),
      name: `Person ${id}`,
    }),
  }),
  cookies: { keys: ['a test'] },
});
console.log(issuer);
process.stdin.resume().on('end', () => process.exit(0));
