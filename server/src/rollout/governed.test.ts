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

test('POL-3: what an action is, it says itself; what nobody has called a look is a change of high risk', async () => {
  const environment = async () => 'production'
  const natures = [undefined, action(), action({ effect: 'read' }), action({ offered, environment })]
  assert.deepEqual(await Promise.all(natures.map((one) => natureOf(one, {}))), [
    { risk: 'high', effect: 'write', environment: undefined },
    { risk: 'high', effect: 'write', environment: undefined },
    { risk: 'low', effect: 'read', environment: undefined },
    { risk: 'medium', effect: 'write', environment: 'production' },
  ])
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
