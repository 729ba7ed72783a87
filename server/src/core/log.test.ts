import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

test('OBS-1: a line has timestamp, level and message, and names a run and its task workflow_id and task_id', () => {
  const program = `
    const { createLog } = await import(${JSON.stringify(new URL('./log.ts', import.meta.url).href)})
    const log = createLog('warn')
    log.info({ runId: 'quiet' }, 'left out')
    log.warn({ runId: 'run_1', taskId: 'build', reason: 'full' }, 'a task failed')
    log.error({ runId: undefined, part: 'store' }, 'a part failed')`
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  })
  const lines = stderr
    .trim()
    .split('\n')
    .map((line): Record<string, string> => JSON.parse(line))
  for (const line of lines)
    assert.equal(new Date(line['timestamp'] ?? '').toISOString(), line['timestamp'], 'UTC, RFC 3339')
  assert.deepEqual(
    lines.map(({ timestamp: _, ...rest }) => rest),
    [
      {
        ...{ level: 'warn', message: 'a task failed', reason: 'full' },
        ...{ workflow_id: 'run_1', task_id: 'build' },
      },
      { level: 'error', message: 'a part failed', part: 'store' },
    ],
  )
})
