import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstAttempt } from '../../test/support/connector-world.ts'
import { AppError } from '../core/index.ts'
import type { Action } from '../workflow/index.ts'
import { governed, type JudgedTask, natureOf } from './index.ts'

const action = (more: Partial<Action> = {}): Action => ({
  name: 'shop.change',
  idempotent: true,
  execute: async () => ({ output: 'done' }),
  ...more,
})
const offered = { title: 'Change', risk: 'medium', reversible: true, permissions: [] } as const

test('POL-3: a task risks what its plan says, and no less than its action says; what nobody has called a look changes something', async () => {
  const environment = async () => 'production'
  const natures = [undefined, action(), action({ effect: 'read' }), action({ offered, environment })]
  assert.deepEqual(await Promise.all(natures.map((one) => natureOf(one, { args: {}, risk: 'low' }))), [
    { risk: 'low', effect: 'write', environment: undefined },
    { risk: 'low', effect: 'write', environment: undefined },
    { risk: 'low', effect: 'read', environment: undefined },
    { risk: 'medium', effect: 'write', environment: 'production' },
  ])
  for (const one of natures)
    assert.equal((await natureOf(one, { args: {}, risk: 'critical' })).risk, 'critical')
})

test('POL-3: right before it runs, a task is judged with the environment of now; what is refused is not executed', async () => {
  const judged: JudgedTask[] = []
  let belongs = 'staging'
  let executed = 0
  const change = action({
    offered,
    environment: async () => belongs,
    async execute() {
      executed += 1
      return { output: 'done' }
    },
  })
  const [guarded] = governed([change], {
    async allowTask(_, __, task) {
      judged.push(task)
      if (task.environment === 'production') throw new AppError('policy.denied', 'not there')
    },
  })
  await guarded?.execute(firstAttempt({ connection: 'main' }))
  belongs = 'production'
  await assert.rejects(async () => guarded?.execute(firstAttempt({ connection: 'main' })), {
    code: 'policy.denied',
  })
  assert.deepEqual([executed, judged.map(({ environment }) => environment)], [1, ['staging', 'production']])
})

test('POL-3: an attempt is judged by the risk that its plan has shown, by its own where that is higher', async () => {
  const judged: string[] = []
  const allowTask = async (_: string, __: string, { risk }: JudgedTask) => void judged.push(risk)
  const [own, brought] = governed([action(), action({ offered })], { allowTask })
  for (const one of [own, brought])
    for (const risk of ['low', 'medium', 'critical'] as const)
      await one?.execute({ ...firstAttempt({}), risk })
  assert.deepEqual(judged, ['low', 'medium', 'critical', 'medium', 'medium', 'critical'])
})
