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

test('LEND-2: a client certificate is written by its kind, with another field where it stands in one', () => {
  assert.deepEqual(injectionFrom('client-certificate'), {
    kind: 'client-certificate',
    certificateField: 'certificate',
  })
  assert.deepEqual(injectionFrom('client-certificate:chain'), {
    kind: 'client-certificate',
    certificateField: 'chain',
  })
})
