// What the tasks of a run print, at the command line.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { api, type OutputChunk, type RunDetail, type TaskView } from '@keyward/contract'
import { openContractServer } from '../../test/support/contract-server.ts'
import { openShell } from '../../test/support/keyward-command.ts'

const at = (second: number): string => new Date(Date.UTC(2026, 0, 2, 3, 4, second)).toISOString()

const task = (id: string, more: Partial<TaskView> = {}): TaskView => ({
  ...{ id, title: id, action: 'sandbox.command', needs: [], risk: 'medium', reversible: true, secrets: [] },
  ...{ state: 'Running', attempt: 1, reason: null, output: null, approvalId: null },
  ...{ startedAt: at(0), finishedAt: null },
  ...more,
})

const runOf = (state: RunDetail['state'], tasks: TaskView[]): RunDetail => ({
  ...{ id: 'run_1', flow: 'plan', title: 'Build', state, requestedBy: 'person:ada', unattended: false },
  ...{ planDigest: 'e'.repeat(64), createdAt: at(0), finishedAt: null, taskCount: 3, doneCount: 0 },
  tasks,
})

const chunk = (seq: number, second: number, text: string, more: Partial<OutputChunk> = {}): OutputChunk => ({
  ...{ seq, at: at(second), attempt: 1, stream: 'stdout' },
  text,
  ...more,
})

/** Two tasks that print at the same time, and one that has not begun. */
async function open(t: TestContext) {
  const server = await openContractServer(t)
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const printed: Record<string, OutputChunk[]> = {
    unit: [chunk(1, 1, 'ok 1\nok'), chunk(2, 3, ' 2\n'), chunk(3, 4, 'slow\n', { stream: 'stderr' })],
    lint: [chunk(1, 2, 'clean'), chunk(2, 5, ' all over\n\u001b[31mred')],
  }
  const tasks = [task('unit'), task('lint'), task('deploy', { state: 'Pending', attempt: 0 })]
  const looks: RunDetail['state'][] = []
  server.answer(api.runs.read, () => runOf(looks.shift() ?? 'Succeeded', tasks))
  const shownTo = { unit: 1, lint: 1 }
  server.answer(api.runs.output, ({ taskId, after }) => {
    const all = printed[String(taskId)] ?? []
    const most = shownTo[taskId === 'unit' ? 'unit' : 'lint']++
    const kept = looks.length === 0 ? all : all.slice(0, most)
    const chunks = kept.filter(({ seq }) => seq > Number(after ?? 0))
    return {
      chunks,
      last: chunks.at(-1)?.seq ?? Number(after ?? 0),
      missed: false,
      ended: looks.length === 0,
    }
  })
  const asked = () =>
    server.calls.filter(({ name }) => name === 'runs.output').map(({ input }) => input['taskId'])
  return { server, keyward, printed, looks, asked }
}

test('WORK-1: the logs of a run are those of all its tasks, whole lines in the order of time, behind the name of the task', async (t) => {
  const { keyward, asked } = await open(t)
  const { code, stdout, stderr } = await keyward(['runs', 'logs', 'run_1'])
  assert.equal(code, 0, stderr)
  assert.equal(
    stdout,
    ['unit | ok 1', 'unit | ok 2', 'lint | clean all over', 'lint | \\u001b[31mred', ''].join('\n'),
  )
  assert.equal(stderr, 'unit | slow\n')
  assert.deepEqual(asked(), ['unit', 'lint'], 'what has not begun is not asked for')
})

test('WORK-1: logs that are followed end with the run, and no line is told twice', async (t) => {
  const { keyward, looks } = await open(t)
  looks.push('Running', 'AwaitingApproval', 'Running')
  const { code, stdout, stderr } = await keyward(['runs', 'logs', 'run_1', '--follow'])
  assert.equal(code, 0, stderr)
  assert.deepEqual(stdout.split('\n').toSorted(), [
    '',
    'lint | \\u001b[31mred',
    'lint | clean all over',
    'unit | ok 1',
    'unit | ok 2',
  ])
  assert.equal(stderr, 'unit | slow\n')
})

test('WORK-1: as JSON each chunk names its task; of one task that is named there is no name; of none it is said', async (t) => {
  const { keyward, printed } = await open(t)
  const json = await keyward(['runs', 'logs', 'run_1', '--json'])
  assert.deepEqual(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as OutputChunk & { taskId: string })
      .map(({ taskId, seq }) => `${taskId} ${seq}`),
    ['unit 1', 'lint 1', 'unit 2', 'unit 3', 'lint 2'],
  )
  const one = await keyward(['runs', 'logs', 'run_1', '--task', 'unit'])
  assert.deepEqual([one.stdout, one.stderr], ['ok 1\nok 2\n', 'slow\n'])
  printed['unit'] = []
  printed['lint'] = []
  const none = await keyward(['runs', 'logs', 'run_1'])
  assert.deepEqual([none.code, none.stdout], [0, ''])
  assert.match(none.stderr, /no task of run_1 has printed anything/)
})
