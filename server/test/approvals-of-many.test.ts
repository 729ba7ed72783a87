// Two people, groups and a second factor over HTTP, against the real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { codeAt, fromBase32, stepOf } from '../src/core/index.ts'
import { codeOf, type RunningServer, startServer } from './support/server.ts'
import { ended, oneKeyProject, pendingApproval, startLeakedKey } from './support/steps.ts'

async function join(server: RunningServer, name: string, groups: string[]) {
  const made = await server.call(api.people.create, { name, roles: ['approver'], groups })
  const reply = await server.ask('POST', '/api/v1/session/exchange', {
    token: null,
    body: { code: made.code, kind: 'bearer' },
  })
  const { token } = reply.body as { token: string }
  return { id: made.person.id, token }
}

function totp(secret: string): string {
  const bytes = fromBase32(secret) ?? Buffer.alloc(0)
  const key = { secret: bytes, algorithm: 'SHA1', digits: 6, periodSeconds: 30 } as const
  return codeAt(key, stepOf(key, new Date()))
}

test('APPR-2, IDENT-1: two people of a group, each with a second factor, allow what one asked for', async (t) => {
  const server = await startServer(t)
  const mary = await join(server, 'mary', ['release'])
  const noah = await join(server, 'noah', ['release'])
  const eve = await join(server, 'eve', [])
  const { items: rules } = await server.call(api.approvals.rules, {})
  const medium = rules.find(({ risk }) => risk === 'medium')
  assert.ok(medium)
  const strict = { ...medium, quorum: 2, groups: ['release'], secondFactor: true }
  await server.call(api.approvals.setRule, strict)

  const run = await startLeakedKey(server, oneKeyProject(t).folder)
  const { id, digest } = await pendingApproval(server, run.id)
  const approve = (token: string) =>
    server.ask('POST', `/api/v1/approvals/${id}/approve`, { token, body: { digest } })
  const refused = async (token: string, code: string) => assert.equal(codeOf(await approve(token)), code)

  await refused(server.token, 'approval.self')
  await refused(eve.token, 'approval.not_asked')
  await refused(mary.token, 'approval.second_factor')
  for (const { token } of [mary, noah]) {
    const begun = await server.call(api.secondFactors.addTotp, { name: 'phone' }, token)
    const { factorId } = begun
    await server.call(api.secondFactors.finishTotp, { factorId, code: totp(begun.secret) }, token)
  }
  assert.equal((await approve(mary.token)).status, 200)
  assert.equal((await server.call(api.approvals.read, { approvalId: id })).state, 'pending')
  await refused(mary.token, 'approval.answered')
  assert.equal((await approve(noah.token)).status, 200)
  assert.equal((await ended(server, run.id)).state, 'Succeeded')
  const decided = await server.call(api.approvals.read, { approvalId: id })
  assert.deepEqual(
    decided.approvals.map(({ by, channel }) => [by, channel]),
    [
      [`person:${mary.id}`, 'api'],
      [`person:${noah.id}`, 'api'],
    ],
  )
})
