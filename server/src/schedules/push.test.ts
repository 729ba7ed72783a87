import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { AppError } from '../core/index.ts'
import type { Delivery } from '../hooks/index.ts'
import { readPush, whyUnsigned } from './push.ts'

const draws = createDraws('push')
const secret = Buffer.from(draws.text(43))
const repository = 'team/shop'
const refused = { code: 'push.refused' }

const body = (content: unknown): Buffer => Buffer.from(JSON.stringify(content))
const pushed = body({ repository: { full_name: 'Team/Shop' }, ref: 'refs/heads/main' })
const sign = (bytes: Buffer, key = secret): string =>
  `sha256=${createHmac('sha256', key).update(bytes).digest('hex')}`

const github = (change: Record<string, string | undefined> = {}, bytes = pushed): Delivery => ({
  headers: {
    'x-github-event': 'push',
    'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'x-hub-signature-256': sign(bytes),
    ...change,
  },
  body: bytes,
})
const gitlab = (change: Record<string, string | undefined> = {}, bytes?: Buffer): Delivery => ({
  headers: {
    'x-gitlab-event': 'Push Hook',
    'x-gitlab-event-uuid': '13792a34-cac6-4fda-95a8-c58e00a3954e',
    'idempotency-key': 'f5e57eb5-8ab4-4d0f-8c6f-1a2b3c4d5e6f',
    'x-gitlab-token': secret.toString(),
    ...change,
  },
  body: bytes ?? body({ project: { path_with_namespace: 'team/shop' } }),
})
const from = (provider: 'github' | 'gitlab') => (delivery: Delivery) => {
  const why = whyUnsigned({ provider, secret }, delivery)
  if (why !== undefined) throw new AppError('push.refused', why)
  return readPush({ provider, repository }, delivery)
}
const fromGithub = from('github')
const fromGitlab = from('gitlab')

test('DISC-7: a push of GitHub counts with the signature over its bytes, and with no other', () => {
  assert.deepEqual(fromGithub(github()).isPush, true)
  assert.deepEqual(fromGithub(github()).id, '72d3162e-cc78-11e3-81ab-4c9367dc0958')
  const other = body({ repository: { full_name: 'team/shop' }, ref: 'refs/heads/other' })
  const wrong: [string, Delivery][] = [
    ['no signature', github({ 'x-hub-signature-256': undefined })],
    ['an empty one', github({ 'x-hub-signature-256': '' })],
    ['of another body', github({ 'x-hub-signature-256': sign(other) })],
    ['with another secret', github({ 'x-hub-signature-256': sign(pushed, Buffer.from('x')) })],
    ['the older, weaker one', github({ 'x-hub-signature-256': undefined, 'x-hub-signature': 'sha1=00' })],
    ['longer', github({ 'x-hub-signature-256': `${sign(pushed)}00` })],
    ['no delivery id', github({ 'x-github-delivery': undefined })],
    ['an odd delivery id', github({ 'x-github-delivery': "1' or '1'='1" })],
    ['another repository', github({}, body({ repository: { full_name: 'team/other' } }))],
    ['no repository', github({}, body({}))],
    ['no JSON', github({}, Buffer.from('payload=%7B%7D'))],
  ]
  for (const [what, delivery] of wrong) assert.throws(() => fromGithub(delivery), refused, what)
})

test('DISC-7: a push of GitLab counts with its token, and with no other', () => {
  assert.equal(fromGitlab(gitlab()).id, 'f5e57eb5-8ab4-4d0f-8c6f-1a2b3c4d5e6f')
  assert.equal(fromGitlab(gitlab({ 'x-gitlab-event': 'Tag Push Hook' })).isPush, true)
  const older = fromGitlab(gitlab({ 'idempotency-key': undefined }))
  assert.equal(older.id, '13792a34-cac6-4fda-95a8-c58e00a3954e')
  const wrong: [string, Delivery][] = [
    ['no token', gitlab({ 'x-gitlab-token': undefined })],
    ['a part of it', gitlab({ 'x-gitlab-token': secret.toString().slice(0, -1) })],
    ['another', gitlab({ 'x-gitlab-token': draws.text(43) })],
    ['no delivery id', gitlab({ 'idempotency-key': undefined, 'x-gitlab-event-uuid': undefined })],
    ['another repository', gitlab({}, body({ project: { path_with_namespace: 'team/shop-2' } }))],
    ['GitHub, signed', github()],
  ]
  for (const [what, delivery] of wrong) assert.throws(() => fromGitlab(delivery), refused, what)
})

test('DISC-7: another event is no push, and is refused all the same when it is not signed', () => {
  assert.equal(fromGithub(github({ 'x-github-event': 'ping' })).isPush, false)
  assert.equal(fromGitlab(gitlab({ 'x-gitlab-event': 'Issue Hook' })).isPush, false)
  assert.throws(
    () => fromGithub(github({ 'x-github-event': 'ping', 'x-hub-signature-256': 'sha256=00' })),
    refused,
  )
})
