import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import {
  connectingOwner as olga,
  openConnectorWorld,
  secretPath,
} from '../../test/support/connector-world.ts'
import { eventually } from '../../test/support/eventually.ts'
import { AppError } from '../core/index.ts'
import { type ActionContext, type Connector, defineAction } from './index.ts'

/** A service of the tests' own: a board with notes. */
function board() {
  const seen: { late?: ActionContext; down?: boolean; fail?: AppError; say?: string } = {}
  const connector: Connector = {
    name: 'board',
    title: 'Board',
    docs: 'https://board.example/docs',
    settings: z.strictObject({ room: z.string() }),
    secretFields: [
      { name: 'token', title: 'Token' },
      { name: 'spare', title: 'Another one', optional: true },
    ],
    async health({ secret }) {
      await secret('token')
      if (seen.down) throw new AppError('connector.unavailable', 'the board is away')
      return { state: 'up', detail: 'the board answers' }
    },
    actions: [
      defineAction({
        name: 'board.pin',
        title: 'Pin a note',
        input: z.strictObject({ text: z.string().min(1) }),
        output: z.strictObject({ pinned: z.string() }),
        risk: 'medium',
        reversible: true,
        idempotent: true,
        permissions: ['notes:write'],
        secretFields: ['token'],
        preview: async ({ input }) => ({ wouldPin: input.text }),
        async execute(context) {
          const token = await context.secret('token')
          seen.late = context
          if (seen.fail) throw seen.fail
          return { pinned: seen.say ?? `${context.input.text} with ${token.length}` }
        },
      }),
      defineAction({
        name: 'board.spy',
        title: 'Ask for what was not declared',
        input: z.strictObject({}),
        output: z.strictObject({}),
        risk: 'low',
        reversible: true,
        idempotent: false,
        permissions: [],
        secretFields: ['token'],
        async execute({ secret }) {
          await secret('spare')
          return {}
        },
        reconcile: async () => ({ effect: 'none' }),
      }),
    ],
  }
  return { connector, seen }
}

async function open(t: TestContext) {
  const { connector, seen } = board()
  const world = await openConnectorWorld(t, [connector])
  const token = randomBytes(24).toString('base64url')
  world.secrets.set(secretPath, { token, spare: randomBytes(24).toString('base64url') })
  return { world, seen, token }
}

const pin = { connection: 'main', text: 'hello' }
const connected = async (t: TestContext) => {
  const opened = await open(t)
  await opened.world.connect({ connector: 'board', settings: { room: 'one' } })
  return opened
}

test('CONN-1: a connection is made, listed, changed and forgotten, each with its entry', async (t) => {
  const { world } = await open(t)
  const id = await world.connect({ connector: 'board', settings: { room: 'one' } })
  const [listed] = await world.connectors.list()
  assert.deepEqual(
    [listed?.id, listed?.name, listed?.settings, listed?.secretPath, listed?.createdBy, listed?.health],
    [id, 'main', { room: 'one' }, secretPath, 'person:olga', null],
  )
  const changed = await world.connectors.change(id, { settings: { room: 'two' } }, olga)
  assert.deepEqual([changed.settings, changed.secretPath], [{ room: 'two' }, secretPath])
  await world.connectors.remove(id, olga)
  assert.deepEqual(await world.connectors.list(), [])
  for (const type of ['connection.created', 'connection.changed', 'connection.removed'])
    assert.equal((await world.entries(type)).length, 1, type)
  await assert.rejects(world.connectors.remove(id, olga), { code: 'connection.not_found' })
  await assert.rejects(world.connectors.change(id, {}, olga), { code: 'connection.not_found' })
})

test('POL-3, CONN-1: a connection says what environment it belongs to, and policy hears of it', async (t) => {
  const { world } = await open(t)
  const id = await world.connect({ connector: 'board', settings: { room: 'one' } })
  const pinning = world.action('board.pin')
  assert.equal(await pinning.environment?.(pin), undefined)
  const changed = await world.connectors.change(id, { environment: 'production' }, olga)
  assert.deepEqual([changed.environment, changed.settings], ['production', { room: 'one' }])
  assert.equal(await pinning.environment?.(pin), 'production')
  assert.equal(await pinning.environment?.({ connection: 'nowhere' }), undefined)
  assert.equal(await pinning.environment?.({}), undefined)
  await world.execute('board.pin', pin)
  assert.equal(world.uses.at(-1)?.connection.environment, 'production')
  const kept = await world.connectors.change(id, { settings: { room: 'two' } }, olga)
  assert.equal(kept.environment, 'production', 'what is not named stays')
  const cleared = await world.connectors.change(id, { environment: null }, olga)
  assert.equal(cleared.environment, null)
  const told = (await world.entries('connection.changed')).map(({ detail }) => Object(detail).environment)
  assert.deepEqual(told, ['production', 'production', null])
})

test('CONN-1: a connection that could not work is refused when it is made', async (t) => {
  const { world } = await open(t)
  const settings = { room: 'one' }
  const make = (more: object) =>
    world.connectors.create({ name: 'main', connector: 'board', settings, secretPath, ...more }, olga)
  await assert.rejects(make({ connector: 'bored' }), { code: 'connector.not_found', detail: /Known: board/ })
  await assert.rejects(make({ settings: { rom: 'one' } }), { code: 'request.invalid', detail: /room/ })
  await assert.rejects(make({ secretPath: null }), { code: 'request.invalid', detail: /token/ })
  await assert.rejects(make({ secretPath: 'secret/none' }), { code: 'secret.not_found' })
  world.secrets.set('secret/half', { spare: 'x' })
  await assert.rejects(make({ secretPath: 'secret/half' }), { code: 'secret.not_found', detail: /token/ })
  await make({})
  await assert.rejects(make({}), { code: 'connection.exists' })
})

test('CONN-1: nobody sends a secret to a service who may not lend it, neither at first nor by a change', async (t) => {
  const { world } = await open(t)
  const id = await world.connect({ connector: 'board', settings: { room: 'one' } })
  world.forbidden.add(secretPath)
  await assert.rejects(world.connect({ name: 'other', connector: 'board', settings: { room: 'x' } }), {
    code: 'policy.denied',
  })
  await assert.rejects(world.connectors.change(id, { settings: { room: 'mine' } }, olga), {
    code: 'policy.denied',
  })
  assert.deepEqual((await world.connectors.list())[0]?.settings, { room: 'one' })
})

test('CONN-1: an action works with the secret of its connection, and the entry comes first', async (t) => {
  const { world, token } = await connected(t)
  assert.deepEqual(await world.execute('board.pin', pin), { pinned: `hello with ${token.length}` })
  const [entry] = await world.entries('connection.used')
  assert.deepEqual([entry?.outcome, entry?.correlation], ['intent', 'run_1'])
  const detail = JSON.stringify(entry?.detail)
  for (const word of ['board.pin', 'execution', secretPath, 'token', 'person:olga'])
    assert.ok(detail.includes(word), word)
  assert.ok(!detail.includes(token))
  assert.deepEqual(
    world.uses.map(({ requestedBy, action }) => [requestedBy, action.name, action.risk]),
    [['person:olga', 'board.pin', 'medium']],
  )
})

test('CONN-1: what policy, the schema or the connection does not allow ends before the secret is read', async (t) => {
  const { world } = await connected(t)
  const refused = (args: object, expected: object) =>
    assert.rejects(world.execute('board.pin', args as never), expected)
  await refused({ text: 'x' }, { code: 'connector.refused', detail: /connection/ })
  await refused({ ...pin, text: '' }, { code: 'connector.refused', detail: /text/ })
  await refused({ ...pin, colour: 'red' }, { code: 'connector.refused', detail: /colour/ })
  await refused({ ...pin, connection: 'none' }, { code: 'connection.not_found' })
  world.forbidden.add('board.pin')
  await refused(pin, { code: 'policy.denied' })
  assert.deepEqual(await world.entries('connection.used'), [])
})

test('CONN-1: a field that an action has not declared stays in the vault', async (t) => {
  const { world } = await connected(t)
  await assert.rejects(world.execute('board.spy', { connection: 'main' }), {
    code: 'connector.refused',
    detail: /'spare'/,
  })
  assert.deepEqual(await world.entries('connection.used'), [])
})

test('CONN-1: after the end of its attempt, and after it was told to stop, an action gets no secret', async (t) => {
  const { world, seen } = await connected(t)
  await world.execute('board.pin', pin)
  await assert.rejects(async () => seen.late?.secret('token'), { code: 'connector.refused', detail: /ended/ })
  const stopped = AbortSignal.abort(new Error('the task was stopped: cancel'))
  await assert.rejects(world.execute('board.pin', pin, { signal: stopped }), /stopped/)
  assert.equal((await world.entries('connection.used')).length, 1)
})

test('CONN-1: a value that a service repeats is in no output and in no error', async (t) => {
  const { world, seen, token } = await connected(t)
  seen.say = `you are ${token}, in base64 ${Buffer.from(token).toString('base64')}`
  assert.deepEqual(await world.execute('board.pin', pin), { pinned: 'you are [secret], in base64 [secret]' })
  seen.fail = new AppError('connector.rate_limited', `slower, ${token}`, { retryAfterSeconds: 7 })
  await assert.rejects(world.execute('board.pin', pin), {
    code: 'connector.rate_limited',
    detail: 'slower, [secret]',
    retryAfterSeconds: 7,
  })
})

test('CONN-1: an answer that does not fit leaves open whether it was done', async (t) => {
  const { world, seen } = await connected(t)
  seen.say = 5 as never
  await assert.rejects(world.execute('board.pin', pin), { code: 'connector.ambiguous', detail: /pinned/ })
})

test('APPR-1: an approver sees the service as well as the change, so that another service is another approval', async (t) => {
  const { world } = await connected(t)
  const preview = await world.preview('board.pin', pin)
  assert.deepEqual(preview, {
    connection: 'main',
    service: { connector: 'board', settings: { room: 'one' } },
    change: { wouldPin: 'hello' },
  })
  const [row] = await world.connectors.list()
  await world.connectors.change(row?.id ?? '', { settings: { room: 'two' } }, olga)
  assert.notDeepEqual(await world.preview('board.pin', pin), preview)
})

test('CONN-1: health is measured, told when it changes, and down with words when the secret is gone', async (t) => {
  const { world, seen } = await connected(t)
  const [row] = await world.connectors.list()
  const check = async () => (await world.connectors.check(row?.id ?? '')).health
  const up = await check()
  assert.deepEqual([up?.state, up?.detail], ['up', 'the board answers'])
  assert.ok((up?.latencyMs ?? -1) >= 0)
  await check()
  seen.down = true
  assert.deepEqual([(await check())?.state, (await check())?.state], ['down', 'down'])
  world.secrets.delete(secretPath)
  assert.match((await check())?.detail ?? '', /has no field 'token'/)
  assert.deepEqual(
    (await world.entries('connection.checked')).map(({ outcome }) => outcome),
    ['done', 'failed'],
  )
  world.vault.sealed = true
  await assert.rejects(check(), { code: 'vault.sealed' })
  await assert.rejects(world.connectors.check('con_none'), { code: 'connection.not_found' })
})

test('CONN-1: connections are asked again and again, and not while the vault is sealed', async (t) => {
  const { world, seen } = await connected(t)
  const health = async () => (await world.connectors.list())[0]?.health
  await world.connectors.start()
  t.after(() => world.connectors.stop())
  world.clock.advance(60_000)
  await eventually(async () => (await health())?.state === 'up', 'a check of health')
  const first = (await health())?.checkedAt
  seen.down = true
  await eventually(async () => {
    world.clock.advance(60_000)
    return (await health())?.state === 'down'
  }, 'a later check of health')
  assert.notEqual((await health())?.checkedAt, first)
})

test('CONN-1: the kinds of services are shown with what they can do, as JSON Schema', async (t) => {
  const { world } = await open(t)
  const [kind] = world.connectors.kinds()
  assert.deepEqual(kind?.secretFields, [
    { name: 'token', title: 'Token', optional: false },
    { name: 'spare', title: 'Another one', optional: true },
  ])
  assert.deepEqual(
    kind?.actions.map(({ name, previews, reconciles }) => [name, previews, reconciles]),
    [
      ['board.pin', true, false],
      ['board.spy', false, true],
    ],
  )
  assert.equal(world.connectors.action('board.pin')?.risk, 'medium')
  assert.equal(world.connectors.action('board.none'), undefined)
  assert.deepEqual(JSON.parse(JSON.stringify(kind?.actions[0]?.input)).required, ['text'])
})
