// What holds for every connector. A connector's own test opens its service, says one good input for each action, and runs this.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Code, Json } from '@keyward/contract'
import { z } from 'zod'
import type { Connector, ConnectorAction } from '../../src/connectors/index.ts'
import { type ConnectorWorld, firstAttempt, secretPath } from './connector-world.ts'

/** What can go wrong at a service, and what an action is to say then. */
const wrongs = {
  unauthorized: ['connector.unauthorized'],
  'rate-limited': ['connector.rate_limited'],
  refused: ['connector.refused'],
  /** It answers that it cannot. An action that changes something may not know whether it did. */
  unavailable: ['connector.unavailable', 'connector.ambiguous'],
  /** It takes the request, and the answer never comes. */
  silent: ['connector.unavailable', 'connector.ambiguous'],
} as const satisfies Record<string, readonly Code[]>
export type Wrong = keyof typeof wrongs

export type OpenedService = {
  /** With a connection `main` to the service. */
  readonly world: ConnectorWorld
  /** Values that nobody may ever be shown; asked again after the work. */
  secretValues(): readonly string[]
  /** A good input for each action, by its name, without the connection. */
  readonly inputs: Readonly<Record<string, { readonly [name: string]: Json }>>
  /** Requests that the service has seen. */
  asked(): number
  /** What the service has; equal before and after something that changes nothing. */
  state(): Json
  /** What the next request of an action meets, before it has any effect. Left out for a service that is a program. */
  readonly goWrong?: (wrong: Wrong) => void
}

type Open<T> = (t: TestContext) => Promise<T>

/** What a connector says of itself, how it is, and that it stays quiet: also for one whose service is a program in a sandbox. */
export function quietSuite(
  connector: Connector,
  open: Open<Pick<OpenedService, 'world' | 'inputs' | 'asked'>>,
): void {
  const { name, actions } = connector
  const stopped = AbortSignal.abort(new Error('the task was stopped: cancel'))

  test(`CONN-1: ${name} says what it is and what each action does`, () => {
    assert.match(name, /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/)
    assert.ok(connector.title !== '' && URL.canParse(connector.docs))
    assert.equal(new Set(actions.map((action) => action.name)).size, actions.length)
    for (const action of actions) assertDeclared(connector, action)
  })

  test(`CONN-1: ${name} refuses settings that it does not know`, () => {
    const strict = connector.settings.safeParse({ notASetting: 1 })
    assert.ok(strict.error?.issues.some(({ code }) => code === 'unrecognized_keys'))
  })

  test(`CONN-1: ${name} is asked how it is, measured, and down with words without its secret`, async (t) => {
    const { world } = await open(t)
    const [connection] = await world.connectors.list()
    const check = async () => (await world.connectors.check(connection?.id ?? '')).health
    const up = await check()
    assert.deepEqual([up?.state, (up?.latencyMs ?? -1) >= 0], ['up', true], up?.detail)
    world.secrets.delete(secretPath)
    if (connector.secretFields.every(({ optional }) => optional)) return
    const down = await check()
    assert.equal(down?.state, 'down')
    assert.match(down?.detail ?? '', new RegExp(secretPath))
  })

  test(`CONN-1: ${name} sends nothing for what it does not know, nor once a task is to stop`, async (t) => {
    const { world, inputs, asked } = await open(t)
    const before = asked()
    for (const action of actions) {
      const good = { connection: 'main', ...inputs[action.name] }
      const args = { ...good, notAnArgument: 1 }
      const refused = { code: 'connector.refused', detail: /notAnArgument/ }
      await assert.rejects(world.execute(action.name, args), refused)
      await assert.rejects(world.preview(action.name, args), refused)
      await assert.rejects(world.execute(action.name, good, { signal: stopped }), /stopped/)
    }
    assert.equal(asked(), before)
  })
}

export function connectorSuite(connector: Connector, open: Open<OpenedService>): void {
  quietSuite(connector, open)
  workingSuite(connector, open)

  test(`CONN-1: ${connector.name} says which kind of failure it was, and what nobody may see stays out of it`, async (t) => {
    const opened = await open(t)
    for (const action of connector.actions)
      for (const [wrong, codes] of Object.entries(wrongs) as [Wrong, readonly Code[]][])
        await assertFails(opened, action, wrong, codes)
  })
}

/** What each action does at its service, and says of it: also for one whose service is a program, which has no answers to change. */
export function workingSuite(connector: Connector, open: Open<OpenedService>): void {
  for (const action of connector.actions) {
    test(`CONN-1: ${action.name} is dry in a preview, and shows no secret wherever it writes`, async (t) => {
      const { world, inputs, state, secretValues } = await open(t)
      const args = { connection: 'main', ...inputs[action.name] }
      const before = state()
      const preview = await world.preview(action.name, args)
      assert.deepEqual(state(), before)
      const output = await world.execute(action.name, args)
      assert.ok(action.output.safeParse(output).success)
      if (action.effect === 'read') assert.deepEqual(state(), before)
      const audit = (await world.audit.page({ limit: 500, order: 'asc' })).items
      for (const value of secretValues())
        for (const [place, shown] of Object.entries({ preview, output, audit }))
          assert.ok(!JSON.stringify(shown).includes(value), `a secret stands in ${place}`)
    })

    test(`CONN-1: ${action.name} does not happen twice for one task`, async (t) => {
      const { world, inputs, state } = await open(t)
      const args = { connection: 'main', ...inputs[action.name] }
      const output = await world.execute(action.name, args)
      const after = state()
      const again = firstAttempt(args)
      if (action.idempotent)
        assert.deepEqual(alike(await world.execute(action.name, args, { attempt: 2 })), alike(output))
      else
        assert.deepEqual(await world.action(action.name).reconcile?.({ ...again, attempt: 2 }), {
          effect: 'done',
          result: { output },
        })
      assert.deepEqual(state(), after)
    })
  }
}

/** Files are the same whichever artifact they are in. */
const alike = (output: Json): Json =>
  JSON.parse(JSON.stringify(output, (key, value) => (key === 'artifact' ? { ...value, id: '' } : value)))

function assertDeclared(connector: Connector, action: ConnectorAction): void {
  const { name, input, output, idempotent, effect, secretFields } = action
  assert.match(name, new RegExp(`^${connector.name}\\.[a-z]+(?:-[a-z]+)*$`))
  assert.ok(action.title !== '', name)
  assert.ok(idempotent || action.reconcile, `${name} may not be repeated, so it must find out`)
  if (effect === 'read')
    assert.deepEqual([action.risk, action.reversible, idempotent], ['low', true, true], name)
  const fields = connector.secretFields.map((field) => field.name)
  assert.deepEqual(
    secretFields.filter((field) => !fields.includes(field)),
    [],
    name,
  )
  const strange = input.safeParse({ notAnArgument: 1 })
  assert.ok(
    strange.error?.issues.some(({ code }) => code === 'unrecognized_keys'),
    `${name}: its input is not strict`,
  )
  assert.doesNotThrow(() => z.toJSONSchema(output, { unrepresentable: 'any' }), name)
}

async function assertFails(
  { world, inputs, goWrong, secretValues }: OpenedService,
  action: ConnectorAction,
  wrong: Wrong,
  codes: readonly Code[],
): Promise<void> {
  assert.ok(goWrong, 'the test does not say how its service goes wrong')
  goWrong(wrong)
  const args = { connection: 'main', ...inputs[action.name] }
  const failure: unknown = await world.execute(action.name, args).catch((error: unknown) => error)
  const {
    code,
    detail = '',
    retryAfterSeconds,
  } = failure as {
    code?: Code
    detail?: string
    retryAfterSeconds?: number
  }
  assert.ok(code && codes.includes(code), `${action.name}, ${wrong}: ${code ?? failure}`)
  if (wrong === 'rate-limited') assert.ok((retryAfterSeconds ?? 0) > 0, action.name)
  for (const value of secretValues()) assert.ok(!detail.includes(value), action.name)
}
