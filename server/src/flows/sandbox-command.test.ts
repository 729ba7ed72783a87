import assert from 'node:assert/strict'
import { test } from 'node:test'
import { borrowedBy, sandboxCommandAction } from './sandbox-command.ts'
import type { LentCommand } from './sandboxed-commands.ts'

test('LEND-1: what a command of a plan borrows is written out, so that who brings the plan can be asked', () => {
  const secrets = [{ secretPath: 'secret/a' }, { secretPath: 'secret/b' }]
  assert.deepEqual(borrowedBy({ secrets }), ['secret/a', 'secret/b'])
  assert.deepEqual(borrowedBy({}), [])
  const reference = { $from: 'before', path: 'secret' }
  for (const args of [
    { secrets: reference },
    { secrets: [reference] },
    { secrets: [{ secretPath: reference }] },
  ])
    assert.throws(() => borrowedBy(args), { code: 'run.plan_invalid', detail: /written out/ })
})

test('WORK-3: a command has what an earlier task left, fails with its own words, and reads no folder of the host', async () => {
  const seen: LentCommand[] = []
  const action = sandboxCommandAction({
    runnerOf: () => async (command) => {
      seen.push(command)
      const failed = command.title === 'Fails'
      const ended = {
        signal: null,
        limit: null,
        durationMs: 5,
        stderrTail: failed ? 'no such test' : '',
        files: new Map(),
      }
      return {
        ...ended,
        exitCode: failed ? 1 : 0,
        stdoutTail: 'all passed',
        artifact: { id: 'art_2', digest: 'b', sizeBytes: 1 },
      }
    },
    ended: async () => undefined,
  })
  const execute = async (more: object) =>
    (
      await action.execute({
        ...{ runId: 'run_1', taskId: 'test', attempt: 1, idempotencyKey: 'run_1:test', outputs: {} },
        ...{ approvedPreview: null, risk: 'medium', requestedBy: 'person:ada', heartbeat: () => undefined },
        signal: new AbortController().signal,
        args: JSON.parse(
          JSON.stringify({ agentId: 'agt_1', title: 'Tests', command: ['npm', 'test'], ...more }),
        ),
      })
    ).output
  const artifact = { id: 'art_1', digest: 'a', sizeBytes: 3 }
  assert.deepEqual(await execute({ artifact, keep: ['coverage'] }), {
    ...{ exitCode: 0, signal: null, limit: null, durationMs: 5, output: 'all passed' },
    artifact: { id: 'art_2', digest: 'b', sizeBytes: 1 },
  })
  assert.deepEqual(seen[0], {
    title: 'Tests',
    command: ['npm', 'test'],
    keep: ['coverage'],
    workspace: { artifact },
  })
  await assert.rejects(execute({ title: 'Fails' }), {
    code: 'task.failed',
    detail: /exited with 1: no such test/,
  })
  await assert.rejects(execute({ folder: '/etc' }), /folder/)
})
