import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../../../core/index.ts'
import { hasPassword, parsePostgresAddress, withoutPassword } from './address.ts'

const account = { username: 'ro ot', password: new Secret("p@s:s/w'%"), escaped: false }
function parse(text: string, given: Partial<typeof account> = {}) {
  const { password, ...rest } = parsePostgresAddress(text, { ...account, ...given })
  return { ...rest, password: password.reveal() }
}

test('VAULT-3: an address of PostgreSQL is read as URL and as pairs, the account put in wherever it is named', () => {
  const url = parse(
    'postgresql://{{username}}:{{password}}@db.example:6432/shop?sslmode=verify-full&connect_timeout=3',
  )
  assert.deepEqual(
    [url.hosts, url.user, url.password, url.database, url.tls, url.connectSeconds],
    [[{ host: 'db.example', port: 6432 }], 'ro ot', "p@s:s/w'%", 'shop', 'verify-full', 3],
  )
  const pairs = parse(
    `host=db user={{username}} password='{{password}}' dbname = 'my \\'shop' sslmode=disable`,
  )
  assert.deepEqual([pairs.user, pairs.password, pairs.database], ['ro ot', "p@s:s/w'%", "my 'shop"])
  assert.equal(
    parse('postgres://{{name}}:{{password}}@h/', {
      username: 'a%20b',
      password: new Secret('%41'),
      escaped: true,
    }).password,
    'A',
  )
  assert.equal(parse('postgres://joe:a%40b@h').password, 'a@b')
})

test('VAULT-3: several hosts, sockets, addresses in brackets, and what the session is set to', () => {
  assert.deepEqual(parse('postgres://u@one:1,two,[::1]:3/x').hosts, [
    { host: 'one', port: 1 },
    { host: 'two', port: 5432 },
    { host: '::1', port: 3 },
  ])
  assert.deepEqual(
    parse('host=a,b port=1,2 user=u').hosts.map(({ port }) => port),
    [1, 2],
  )
  assert.equal(parse('postgres://u@/x?host=%2Frun%2Fpg').hosts[0]?.host, '/run/pg')
  const address = parse(
    'postgres://u@h/x?search_path=a%20b&options=-c%20geqo%3Doff&target_session_attrs=read-write',
  )
  assert.deepEqual([address.options, address.writable], ['-c geqo=off -c search_path=a\\ b', true])
  const neon = parse(
    'postgresql://{{username}}:{{password}}@ep-x-pooler.aws.neon.tech/neondb?sslmode=require&channel_binding=require',
  )
  assert.deepEqual([neon.tls, neon.channelBinding, neon.applicationName], ['require', true, 'keyward'])
})

test('VAULT-3: an address that cannot be read is refused without being quoted', () => {
  const secret = 'hunter2-secret'
  const bad = [
    '',
    `nonsense ${secret}`,
    `postgres://u:${secret}%zz@h/x`,
    `postgres://u:${secret}@h:99999/x`,
    `postgres://u:${secret}@h:x/x`,
    `postgres://:${secret}@h/x`,
    `postgres://u:${secret}@h/x?sslmode=maybe`,
    `postgres://u:${secret}@h/x?passfile=/etc/x`,
    `postgres://u:${secret}@h/x?service=x`,
    `postgres://u:${secret}@h/x?target_session_attrs=standby`,
    `postgres://u:${secret}@h/x?a-b=1`,
    `host=h password=${secret}`,
  ]
  for (const text of bad)
    assert.throws(
      () => parse(text),
      (error: { code?: string; detail?: string }) =>
        error.code === 'request.invalid' && !String(error.detail).includes(secret),
      text,
    )
})

test('VAULT-3: an address is shown without its password', () => {
  assert.equal(
    withoutPassword('postgres://u:p%40x@h/x?sslpassword=abc&a=1'),
    'postgres://u:xxxxx@h/x?sslpassword=xxxxx&a=1',
  )
  assert.equal(withoutPassword("host=h password='a b' user=u"), 'host=h password=xxxxx user=u')
  const template = 'postgres://{{username}}:{{password}}@h/x'
  assert.deepEqual([withoutPassword(template), hasPassword(template)], [template, false])
  assert.equal(hasPassword('host=h password={{password}}'), false)
  assert.equal(hasPassword('host=h password=x'), true)
})
