// Identity and signing in with a token of a provider, as Python programs see them: the real hvac over HTTP.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { hvacOrSkip, runHvac } from './support/hvac.ts'
import { newSigningKey, pemOf, signed } from './support/oidc-issuer.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

test('VAULT-2: hvac keeps identities and signs in with a token of a provider', async (t) => {
  const packages = await hvacOrSkip(t)
  if (packages === undefined) return
  const { vault, rootToken, clock } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const key = await newSigningKey()
  const now = Math.floor(clock.now().getTime() / 1000)
  const jwt = await signed(key, { sub: 'job', aud: 'keyward', exp: now + 60, groups: ['ops'] })
  const password = `test-${randomBytes(12).toString('hex')}`
  const given = JSON.stringify({ token: rootToken, pem: await pemOf(key), jwt, password })
  const printed = await runHvac(packages, 'hvac_identity.py', url, given)
  assert.deepEqual(printed.trim().split('\n'), ['entities', 'jwt', 'groups', 'tokens'])
})
