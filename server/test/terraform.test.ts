// Terraform in real sandboxes: its state behind the egress proxy, its plans saved and applied as they are.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Json } from '@keyward/contract'
import { systemPrincipal } from '../src/core/index.ts'
import { apiHost } from './support/egress.ts'
import { eventually } from './support/eventually.ts'
import { mayBeMissing } from './support/needed.ts'
import { attemptsAt, connectionOwner, openTaskWorld } from './support/task-world.ts'
import { backendBlock, openStateBackend, terraformOrSkip } from './support/terraform.ts'
import { temporaryFolder } from './support/world.ts'

const resources = (hidden: string, word: string): string => `${backendBlock}
variable "word" { type = string }
resource "terraform_data" "shown" { input = "${word} \${var.word}" }
resource "terraform_data" "hidden" { input = sensitive("${hidden}") }
output "shown" { value = terraform_data.shown.input }
output "hidden" {
  value     = terraform_data.hidden.input
  sensitive = true
}
`

type Planned = { [name: string]: Json } & {
  summary: Json
  changes: { address: string; action: string; attributes: Json[] }[]
}

test('CONN-1: Terraform plans, shows, applies exactly what was planned, and destroys', async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip !== undefined) return t.skip(mayBeMissing(world.skip))
  const program = await terraformOrSkip(t)
  if (program === undefined) return
  const { keyward } = world
  const password = randomBytes(18).toString('base64url')
  const backend = await openStateBackend(t, password)
  const hidden = randomBytes(12).toString('hex')
  const folder = temporaryFolder(t)
  const configure = (word: string): void => writeFileSync(join(folder, 'main.tf'), resources(hidden, word))
  configure('first')
  const secretPath = await world.keep('state', { password })
  const settings = {
    folder,
    program,
    environment: { TF_HTTP_USERNAME: 'keyward' },
    variables: { word: 'of the connection' },
    secrets: [
      {
        field: 'password',
        variable: 'TF_HTTP_PASSWORD',
        destinations: [{ host: apiHost, port: 443 }],
        injection: { kind: 'basic', part: 'password' },
      },
    ],
    route: backend.route,
  }
  await keyward.connectors.create(
    { name: 'infra', connector: 'terraform', settings, secretPath },
    connectionOwner,
  )

  const { reconcile, preview, execute: executed } = attemptsAt(keyward, 'infra')
  const execute = async (name: string, input: { [name: string]: Json } = {}): Promise<Planned> =>
    (await executed(name, input)) as Planned
  const applyInput = ({ artifact, planSha256, serial, lineage }: Planned) =>
    ({ artifact, planSha256, serial, lineage }) as { [name: string]: Json }

  await t.test('CONN-1: a plan says what would change, with what is sensitive masked', async () => {
    const planned = await execute('terraform.plan')
    assert.deepEqual(planned.summary, { add: 2, change: 0, destroy: 0, resources: 2 })
    const shown = planned.changes.find(({ address }) => address === 'terraform_data.shown')
    assert.deepEqual(
      shown?.attributes.find((one) => Object(one).attribute === 'input'),
      { attribute: 'input', before: 'null', after: 'first of the connection' },
    )
    assert.match(JSON.stringify(planned.changes), /"after":"\(sensitive\)"/)
    assert.ok(!JSON.stringify(planned).includes(hidden))
    assert.equal(backend.state(), '', 'nothing was applied')
  })

  await t.test(
    'CONN-1: what is applied is the plan that was saved, whatever the folder holds by then, and only once',
    async () => {
      const planned = await execute('terraform.plan', { variables: { word: 'of the task' } })
      configure('changed meanwhile')
      assert.deepEqual((await preview('terraform.apply', applyInput(planned))).changes, planned.changes)
      assert.equal(
        (await keyward.lend.page({ limit: 50 })).items.filter(({ state }) => state === 'active').length,
        0,
      )
      const applied = await execute('terraform.apply', applyInput(planned))
      assert.deepEqual(applied['outputs'], { shown: 'first of the task' })
      assert.match(backend.state(), /first of the task/)
      assert.ok(!JSON.stringify(applied).includes(hidden))
      assert.equal(existsSync(join(folder, '.terraform')), false, 'the folder is never written')
      assert.deepEqual([backend.refused(), backend.locks > 0], [0, true])

      const before = backend.state()
      // Once more: the state has moved on since.
      await assert.rejects(execute('terraform.apply', applyInput(planned)), {
        code: 'connector.refused',
        detail: /stale/,
      })
      assert.equal(backend.state(), before)
    },
  )

  await t.test('CONN-1: what a lost apply has done is read from the state', async () => {
    configure('second')
    const planned = await execute('terraform.plan')
    assert.deepEqual(planned.summary, { add: 0, change: 1, destroy: 0, resources: 1 })
    const found = () => reconcile('terraform.apply', applyInput(planned))
    assert.match(Object(await found()).reason, /^the state was (\d+) before and is \1 now$/)
    await execute('terraform.apply', applyInput(planned))
    assert.equal(Object(await found()).effect, 'done')
  })

  await t.test('CONN-1: what would destroy is refused unless the arguments say so', async () => {
    const planned = await execute('terraform.plan', { destroy: true })
    assert.deepEqual(planned.summary, { add: 0, change: 0, destroy: 2, resources: 2 })
    const before = backend.state()
    await assert.rejects(execute('terraform.apply', applyInput(planned)), { detail: /destroys 2/ })
    assert.equal(backend.state(), before)
    const other = { ...applyInput(planned), planSha256: '0'.repeat(64) }
    await assert.rejects(execute('terraform.destroy', other), { detail: /not the one that was planned/ })
    await execute('terraform.destroy', applyInput(planned))
    assert.deepEqual(JSON.parse(backend.state()).resources, [])
    // By the configuration there is everything to do; by what was wanted there is nothing.
    const { effect, result } = Object(await reconcile('terraform.destroy', applyInput(planned)))
    assert.deepEqual([effect, Object(result?.output).summary], ['done', planned.summary])
    configure('third')
  })

  await t.test(
    'WORK-3: the flow plans, asks about exactly that plan, and applies it; or does nothing',
    async () => {
      const person = await keyward.store.write((tx) => keyward.identity.bootstrapOwner(tx))
      const now = new Date()
      const approver = {
        ...connectionOwner,
        id: person.id,
        name: person.name,
        signedInAt: now,
        secondFactorAt: now,
      }
      const begin = (word: string) =>
        keyward.flows.start({
          flow: 'terraform-plan-and-apply',
          input: { connection: 'infra', variables: { word } },
          by: systemPrincipal('test'),
          unattended: false,
        })
      const asked = (runId: string) =>
        eventually(async () => {
          const run = await keyward.workflow.read(runId)
          assert.notEqual(run.state, 'Failed', run.reason ?? '')
          return (await keyward.approvals.page({ limit: 20, state: 'pending' })).items.find(
            (one) => one.runId === runId,
          )
        }, 'the approval')
      const stateOf = async (runId: string) =>
        (await keyward.workflow.whenEnded(runId)).tasks.map((task) => task.state)
      const before = backend.state()

      const denied = await begin('denied')
      const first = await asked(denied.id)
      assert.match(JSON.stringify(first.preview), /third denied/)
      await keyward.approvals.deny(approver, first.id, { digest: first.digest })
      await stateOf(denied.id)

      const voided = await begin('voided')
      const second = await asked(voided.id)
      const [connection] = await keyward.connectors.list()
      assert.ok(connection)
      const changed = { ...connection.settings, variables: { word: 'another service by now' } }
      await keyward.connectors.change(connection.id, { settings: changed }, connectionOwner)
      await keyward.approvals.approve(approver, second.id, { digest: second.digest })
      await stateOf(voided.id)
      assert.equal((await keyward.approvals.read(second.id)).state, 'voided')
      assert.equal(backend.state(), before, 'nothing was applied')

      const approved = await begin('approved')
      const third = await asked(approved.id)
      await keyward.approvals.approve(approver, third.id, { digest: third.digest })
      assert.deepEqual(await stateOf(approved.id), ['Succeeded', 'Succeeded'])
      assert.match(backend.state(), /third approved/)
      const again = await begin('approved')
      assert.deepEqual(await stateOf(again.id), ['Succeeded', 'Skipped'], 'nobody is asked for nothing')
    },
  )

  await t.test('CONN-1: a configuration that would keep its state in the sandbox is refused', async () => {
    writeFileSync(join(folder, 'main.tf'), 'resource "terraform_data" "a" {}\n')
    await assert.rejects(execute('terraform.plan'), { code: 'connector.refused', detail: /no backend/ })
    writeFileSync(join(folder, 'main.tf'), 'terraform {\n  backend "local" {}\n}\n')
    await assert.rejects(execute('terraform.plan'), { code: 'connector.refused', detail: /no backend/ })
  })

  await t.test(
    'OPS-4: neither the password nor what is sensitive stands in anything that was recorded',
    async () => {
      const { items } = await keyward.audit.page({ limit: 500, order: 'asc' })
      const recorded = JSON.stringify(items)
      assert.ok(items.length > 10)
      assert.ok(!recorded.includes(password) && !recorded.includes(hidden))
    },
  )
})
