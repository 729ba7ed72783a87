import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { api } from '@keyward/contract'

test('LEND-3: no answer of a server can put a line of its own into the configuration of ssh', () => {
  const key = `ssh-ed25519 ${randomBytes(51).toString('base64')}`
  const host = { host: 'git.shop.example', port: 22, users: ['git'], hostKeys: [key] }
  const isTaken = (changed: object): boolean =>
    api.passages.open.result.shape.ssh.safeParse({
      agent: 'ssh-agent.test:22',
      hosts: [{ ...host, ...changed }],
    }).success
  assert.equal(isTaken({}), true)
  const line = '\n  ProxyCommand touch here'
  assert.equal(isTaken({ host: `git.shop.example${line}` }), false)
  assert.equal(isTaken({ host: 'git.shop.example other' }), false)
  assert.equal(isTaken({ users: [`git${line}`] }), false)
  assert.equal(isTaken({ hostKeys: [`${key}${line}`] }), false)
})
