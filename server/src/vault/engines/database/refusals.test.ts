import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  dataOf,
  errorOf,
  type Fields,
  openDatabases,
  postgresOnly,
  type Reply,
  text,
} from '../../../../test/support/database-mount.ts'

test('VAULT-3: refusals, in the words that clients know', postgresOnly, async (t) => {
  const { root, config } = await openDatabases(t)
  const post = (path: string, body: Fields) => root('POST', `database/${path}`, body)
  const cases: [Promise<Reply>, number, RegExp][] = [
    [root('GET', 'database/creds/nope'), 400, /^unknown role: nope$/],
    [root('GET', 'database/static-creds/nope'), 400, /^unknown role: nope$/],
    [post('config/x', {}), 400, /^empty plugin name$/],
    [
      post('config/x', { plugin_name: 'mysql-database-plugin' }),
      400,
      /^error creating database object: .*not found in the catalog/,
    ],
    [post('config/x', { ...config, connection_url: '' }), 400, /connection_url cannot be empty/],
    [
      post('config/x', { ...config, connection_url: 'nonsense' }),
      400,
      /^error creating database object: connection_url/,
    ],
    [
      post('config/x', { ...config, password: 'wrong' }),
      400,
      /^error creating database object: error verifying connection: PostgreSQL does not let/,
    ],
    [
      post('config/x', { ...config, connection_url: 'postgres://u:hunter2@127.0.0.1:1/x' }),
      400,
      /error verifying connection.*ECONNREFUSED/,
    ],
    [post('config/x', { ...config, username_template: '{{.RoleName}}' }), 400, /same name twice/],
    [
      post('config/x', { ...config, password_authentication: 'md5' }),
      400,
      /not a valid password authentication/,
    ],
    [post('config/x', { ...config, rotation_period: 3600 }), 400, /rotation_period is not supported/],
    [post('config/x', { ...config, plugin_version: 'v1.0.0' }), 400, /plugin_version/],
    [post('config/x', { ...config, username: '{{password}}' }), 400, /template variables/],
    [post('config/.x', config), 400, /cannot be a name/],
    [post('roles/x', {}), 400, /^database name is required$/],
    [
      post('roles/x', { db_name: 'shop', credential_type: 'rsa_private_key' }),
      400,
      /^unsupported credential_type/,
    ],
    [post('roles/x', { db_name: 'shop', credential_type: 'x' }), 400, /^invalid credential_type "x"$/],
    [
      post('roles/x', { db_name: 'shop', credential_config: { a: 'b' } }),
      400,
      /^credential_config validation failed/,
    ],
    [
      post('static-roles/x', { db_name: 'shop' }),
      400,
      /^username is a required field to create a static account$/,
    ],
    [post('static-roles/x', { username: 'a' }), 400, /^database name is a required field$/],
    [
      post('static-roles/x', { db_name: 'shop', username: 'a' }),
      400,
      /^one of rotation_schedule or rotation_period/,
    ],
    [
      post('static-roles/x', { db_name: 'shop', username: 'a', rotation_period: 1 }),
      400,
      /^rotation_period must be 5 seconds or more$/,
    ],
    [
      post('static-roles/x', {
        db_name: 'shop',
        username: 'a',
        rotation_period: 60,
        rotation_schedule: '@daily',
      }),
      400,
      /^mutually exclusive/,
    ],
    [
      post('static-roles/x', {
        db_name: 'shop',
        username: 'a',
        rotation_schedule: '@daily',
        rotation_window: 60,
      }),
      400,
      /^rotation_window must be 3600/,
    ],
    [
      post('static-roles/x', { db_name: 'shop', username: 'a', rotation_period: 60, rotation_window: 3600 }),
      400,
      /^rotation_window is invalid/,
    ],
    [
      post('static-roles/x', { db_name: 'shop', username: 'a', rotation_schedule: 'often' }),
      400,
      /could not parse rotation_schedule/,
    ],
    [
      post('static-roles/x', {
        db_name: 'shop',
        username: 'a',
        rotation_period: 60,
        self_managed_password: 'x',
      }),
      400,
      /self-managed/,
    ],
    [
      post('static-roles/x', { db_name: 'shop', username: 'nobody', rotation_period: 60 }),
      500,
      /^1 error occurred:\n\t\* error setting credentials: .*does not exist/,
    ],
    [
      post('static-roles/reader', { db_name: 'shop', username: 'a', rotation_period: 60 }),
      400,
      /names must be unique/,
    ],
    [
      post('roles/x', { db_name: 'shop', credential_config: '{"password_policy":' }),
      400,
      /^credential_config is no valid JSON$/,
    ],
    [
      post('roles/x', { db_name: 'shop', credential_config: 'password_policy' }),
      400,
      /^credential_config is an object or name=value$/,
    ],
    [post('config/x', { ...config, username_template: '{{ "\\q" }}' }), 400, /is no text/],
    [post('rotate-role/nope', {}), 400, /^no static role found for role name$/],
    [post('rotate-root/nope', {}), 500, /failed to find entry for connection with name: "nope"/],
    [post('reset/nope', {}), 500, /failed to find entry for connection/],
    [post('reload/nope', {}), 400, /no plugins were found/],
  ]
  for (const [asked, status, words] of cases) {
    const reply = await asked
    assert.match(errorOf(reply), words)
    assert.equal(reply.status, status, errorOf(reply))
    assert.ok(!errorOf(reply).includes('hunter2') && !errorOf(reply).includes(String(config.password)))
  }
  assert.equal((await root('GET', 'database/config/x')).status, 404)
  assert.equal((await root('LIST', 'database/static-roles')).status, 404)
  assert.equal((await root('GET', 'database/roles/x')).status, 404)
})

test(
  'VAULT-3: what a connection no longer allows is not given out, and a role that is gone meanwhile not changed',
  postgresOnly,
  async (t) => {
    const { root, config, postgres } = await openDatabases(t)
    await postgres.query(`create role app login password 'made-up'`)
    const role = { db_name: 'shop', username: 'app', rotation_period: 3600 }
    assert.equal((await root('POST', 'database/static-roles/app', role)).status, 204)
    const shown = await root('GET', 'database/static-creds/app')
    assert.equal(dataOf(shown)['username'], 'app')
    assert.ok(await postgres.signsIn('app', text(dataOf(shown), 'password')))
    const narrowed = { ...config, allowed_roles: 'reader' }
    assert.equal((await root('POST', 'database/config/shop', narrowed)).status, 204)
    for (const [method, path] of [
      ['GET', 'static-creds/app'],
      ['POST', 'rotate-role/app'],
    ] as const) {
      const reply = await root(method, `database/${path}`)
      assert.equal(reply.status, 500)
      assert.match(errorOf(reply), /"app" is not an allowed role/)
    }
    assert.equal((await root('DELETE', 'database/config/shop')).status, 204)
    assert.match(
      errorOf(await root('GET', 'database/static-creds/app')),
      /failed to find entry for connection/,
    )
  },
)
