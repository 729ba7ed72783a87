import assert from 'node:assert/strict'
import { test } from 'node:test'
import { injectionFrom } from './destinations.ts'

test('LEND-2, CLI-1: --as takes logins of databases and SSH in a short form', () => {
  const hostKey = `ssh-ed25519 ${'A'.repeat(68)}`
  assert.deepEqual(injectionFrom('postgres:shop,reports'), {
    kind: 'postgres',
    databases: ['shop', 'reports'],
    tls: 'verify',
    usernameField: 'username',
    cleartext: false,
  })
  assert.deepEqual(injectionFrom('redis'), { kind: 'redis', tls: 'verify' })
  assert.deepEqual(injectionFrom(`ssh:git,deploy ${hostKey}`), {
    kind: 'ssh',
    users: ['git', 'deploy'],
    hostKeys: [hostKey],
  })
  for (const wrong of ['postgres', 'postgres:', 'ssh', 'ssh:git', 'ssh:git not a key', 'mysql:shop'])
    assert.throws(() => injectionFrom(wrong), /none of the ways/)
})
