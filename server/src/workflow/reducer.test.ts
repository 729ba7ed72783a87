import assert from 'node:assert/strict'
import { test } from 'node:test'
import { due } from './due.ts'
import { next } from './reducer.ts'
import {
  type Command,
  isEnded,
  isRunEnded,
  newRun,
  type RunEvent,
  type RunStatus,
  type TaskRules,
} from './run-status.ts'
import { isMissed } from './settle.ts'

const rules = (needs: string[] = [], more: Partial<TaskRules> = {}): TaskRules => ({
  needs,
  gated: false,
  maxAttempts: 1,
  backoffSeconds: 1,
  ...more,
})

/** A run after these events; fails when one of them does not fit. */
function after(tasks: Record<string, TaskRules>, ...events: RunEvent[]): [RunStatus, Command[]] {
  let [run, commands] = next(newRun, { type: 'RunStarted', tasks: new Map(Object.entries(tasks)) })
  for (const event of events) {
    const [changed, commanded] = next(run, event)
    assert.notEqual(changed, run, `${event.type} did not fit`)
    run = changed
    commands = commanded
  }
  return [run, commands]
}

type Failure = Extract<RunEvent, { retryable: boolean }>
const started = (taskId: string, attempt = 1): RunEvent => ({ type: 'TaskStarted', taskId, attempt })
const succeeded = (taskId: string, attempt = 1): RunEvent => ({ type: 'TaskSucceeded', taskId, attempt })
const failed = (taskId: string, more: Partial<Failure> = {}): RunEvent => ({
  type: 'TaskFailed',
  taskId,
  attempt: 1,
  reason: 'it broke',
  retryable: false,
  uncertain: false,
  at: 1000,
  jitter: 0,
  ...more,
})
const asked = (taskId: string, approvalId = 'apr'): RunEvent => ({
  type: 'ApprovalRequested',
  taskId,
  approvalId,
})
const decided = (
  decision: 'approved' | 'denied' | 'expired' | 'voided',
  taskId = 'a',
  approvalId = 'apr',
): RunEvent => ({ type: 'ApprovalDecided', taskId, approvalId, decision, reason: 'because' })
const lost = (repeatable: boolean, attempt = 1): RunEvent => ({
  type: 'HostLost',
  taskId: 'a',
  attempt,
  repeatable,
  reason: 'the server went down',
})
const stateOf = (run: RunStatus, id: string) => run.tasks.get(id)?.state

test('WORK-1: branches start in parallel, a join waits for both', () => {
  const diamond = { a: rules(), b: rules(['a']), c: rules(['a']), d: rules(['b', 'c']) }
  const [, first] = after(diamond)
  assert.deepEqual(first, [{ type: 'StartTask', taskId: 'a', attempt: 1 }])
  const [, branches] = after(diamond, started('a'), succeeded('a'))
  assert.deepEqual(
    branches.map((command) => 'taskId' in command && command.taskId),
    ['b', 'c'],
  )
  const halfway = [started('a'), succeeded('a'), started('b'), started('c'), succeeded('c')]
  assert.deepEqual(after(diamond, ...halfway)[1], [])
  assert.deepEqual(after(diamond, ...halfway, succeeded('b'))[1], [
    { type: 'StartTask', taskId: 'd', attempt: 1 },
  ])
})

test('WORK-1: a failure skips what depends on it and lets the other branch finish', () => {
  const tasks = { a: rules(), b: rules(['a']), c: rules(['b']), d: rules() }
  const [run] = after(tasks, started('a'), started('d'), failed('a'))
  assert.deepEqual([stateOf(run, 'b'), stateOf(run, 'c'), run.state], ['Skipped', 'Skipped', 'Running'])
  const [finished, commands] = next(run, succeeded('d'))
  assert.deepEqual([finished.state, finished.reason], ['Failed', 'a: it broke'])
  assert.deepEqual(commands, [{ type: 'FinishRun', state: 'Failed' }])
})

test('WORK-1: a retry waits twice as long each time, spread by the jitter, and ends with the last attempt', () => {
  const tasks = { a: rules([], { maxAttempts: 3, backoffSeconds: 10 }) }
  const [, first] = after(tasks, started('a'), failed('a', { retryable: true }))
  assert.deepEqual(first, [{ type: 'SetTimer', taskId: 'a', attempt: 1, at: 6000 }])
  const second = [
    started('a'),
    failed('a', { retryable: true }),
    { type: 'RetryDue', taskId: 'a', attempt: 1 } as const,
    started('a', 2),
    failed('a', { attempt: 2, retryable: true, jitter: 0.5 }),
  ]
  assert.deepEqual(after(tasks, ...second)[1], [{ type: 'SetTimer', taskId: 'a', attempt: 2, at: 16_000 }])
  const third: RunEvent[] = [
    { type: 'RetryDue', taskId: 'a', attempt: 2 },
    started('a', 3),
    failed('a', { attempt: 3, retryable: true }),
  ]
  assert.equal(after(tasks, ...second, ...third)[0].state, 'Failed')
})

test('CONN-1: a retry waits as long as the other side said, and its own time on top, so that not all come at once', () => {
  const tasks = { a: rules([], { maxAttempts: 3, backoffSeconds: 10 }) }
  const told = (retryAfterSeconds: number) =>
    after(tasks, started('a'), failed('a', { retryable: true, retryAfterSeconds }))[1]
  assert.deepEqual(told(60), [{ type: 'SetTimer', taskId: 'a', attempt: 1, at: 66_000 }])
  assert.deepEqual(told(1e9), [{ type: 'SetTimer', taskId: 'a', attempt: 1, at: 3_606_000 }])
})

test('APPR-1: a gated task asks, waits, and starts only when approved', () => {
  const tasks = { a: rules([], { gated: true }) }
  assert.deepEqual(after(tasks)[1], [{ type: 'RequestApproval', taskId: 'a' }])
  const [waiting, none] = after(tasks, asked('a'))
  assert.deepEqual([waiting.state, none], ['AwaitingApproval', []])
  assert.equal(next(waiting, started('a'))[0], waiting)
  const [, approved] = after(tasks, asked('a'), decided('approved'))
  assert.deepEqual(approved, [{ type: 'StartTask', taskId: 'a', attempt: 1 }])
})

test('APPR-2: denied, expired, void and cancelled are different ends', () => {
  const tasks = { a: rules([], { gated: true }), b: rules(['a']) }
  const ends = (['denied', 'expired', 'voided'] as const).map((decision) => {
    const [run] = after(tasks, asked('a'), decided(decision))
    return [run.state, stateOf(run, 'a'), stateOf(run, 'b'), run.reason]
  })
  assert.deepEqual(ends, [
    ['Cancelled', 'Cancelled', 'Skipped', 'a: approval.denied: because'],
    ['Cancelled', 'Cancelled', 'Skipped', 'a: approval.expired: because'],
    ['Failed', 'Failed', 'Skipped', 'a: approval.void: because'],
  ])
  const [run] = after(tasks, asked('a'), { type: 'CancelRequested', reason: 'run.cancelled: enough' })
  assert.deepEqual(
    [run.state, stateOf(run, 'b'), run.reason],
    ['Cancelled', 'Cancelled', 'run.cancelled: enough'],
  )
})

test('APPR-1: a decision for another approval, or a second one, changes nothing', () => {
  const tasks = { a: rules([], { gated: true }) }
  const [waiting] = after(tasks, asked('a'))
  assert.equal(next(waiting, decided('approved', 'a', 'other'))[0], waiting)
  const [approved] = after(tasks, asked('a'), decided('approved'))
  assert.equal(next(approved, decided('denied'))[0], approved)
})

test('WORK-2: a lost attempt runs again if it may, keeps its approval, and is ambiguous if it may not', () => {
  const gated = { a: rules([], { gated: true }) }
  const [, again] = after(gated, asked('a'), decided('approved'), started('a'), lost(true))
  assert.deepEqual(again, [{ type: 'StartTask', taskId: 'a', attempt: 2 }])
  const [run] = after({ a: rules() }, started('a'), lost(false))
  assert.deepEqual(
    [run.state, stateOf(run, 'a'), run.reason],
    ['AwaitingPerson', 'Ambiguous', 'a: the server went down'],
  )
  assert.deepEqual(due(run), [{ type: 'Reconcile', taskId: 'a', attempt: 1 }])
})

test('WORK-2: a task that takes the server down each time is not tried for ever', () => {
  const events: RunEvent[] = []
  for (let attempt = 1; attempt <= 25; attempt++) events.push(started('a', attempt), lost(true, attempt))
  const [run] = after({ a: rules() }, ...events)
  assert.equal(run.state, 'Failed')
  assert.match(run.reason ?? '', /25 times/)
})

test('WORK-1: a cancel stops what runs, and the run ends when that has ended', () => {
  const tasks = { a: rules(), b: rules(['a']) }
  const cancel: RunEvent = { type: 'CancelRequested', reason: 'run.cancelled' }
  const [run, commands] = after(tasks, started('a'), cancel)
  assert.deepEqual(commands, [{ type: 'CancelTask', taskId: 'a', attempt: 1 }])
  assert.deepEqual([run.state, stateOf(run, 'b')], ['Running', 'Cancelled'])
  assert.equal(next(run, failed('a', { retryable: true }))[0].state, 'Cancelled')
  assert.deepEqual(stateOf(next(run, succeeded('a'))[0], 'a'), 'Succeeded')
  assert.deepEqual(stateOf(next(run, failed('a', { uncertain: true }))[0], 'a'), 'Ambiguous')
})

/** Numbers that look random and are the same each time (mulberry32). */
function dice(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

function randomPlan(roll: (below: number) => number): Map<string, TaskRules> {
  const tasks = new Map<string, TaskRules>()
  const count = 1 + roll(12)
  for (let i = 0; i < count; i++) {
    const needs = [...tasks.keys()].filter(() => roll(3) === 0)
    const other = roll(6) === 0 ? [...tasks.keys()].find((id) => !needs.includes(id)) : undefined
    const free = other !== undefined && ![...tasks.values()].some(({ fallbackFor }) => fallbackFor === other)
    tasks.set(
      `t${i}`,
      rules(needs, {
        gated: roll(4) === 0,
        maxAttempts: 1 + roll(3),
        ...(roll(4) === 0 ? { evaluated: true } : {}),
        ...(roll(6) === 0 ? { afterEnd: true } : {}),
        ...(roll(3) === 0 ? { undo: { gated: roll(3) === 0, maxAttempts: 1, backoffSeconds: 1 } } : {}),
        ...(free ? { fallbackFor: other } : {}),
      }),
    )
  }
  return tasks
}

const evaluated = (taskId: string, roll: (below: number) => number): RunEvent => ({
  type: 'TaskEvaluated',
  taskId,
  found: (
    [
      { kind: 'go' },
      { kind: 'fan', items: roll(4) },
      { kind: 'skip', reason: 'not now' },
      { kind: 'refuse', reason: 'no list' },
    ] as const
  )[roll(12) === 0 ? 2 + roll(2) : roll(2)] ?? { kind: 'go' },
})

/** Something that could happen now: any event about any task, likely or not. */
function randomEvent(run: RunStatus, roll: (below: number) => number): RunEvent {
  const ids = [...run.tasks.keys()]
  const taskId = ids[roll(ids.length)] ?? ''
  const attempt = (run.tasks.get(taskId)?.attempt ?? 0) + (roll(8) === 0 ? roll(3) - 1 : 0)
  const approvalId = roll(10) === 0 ? 'another' : `apr-${taskId}`
  const choices: RunEvent[] = [
    { type: 'TaskStarted', taskId, attempt: attempt + 1 },
    { type: 'TaskSucceeded', taskId, attempt },
    failed(taskId, { attempt, retryable: roll(2) === 0, uncertain: roll(10) === 0 }),
    { type: 'RetryDue', taskId, attempt },
    { type: 'ApprovalRequested', taskId, approvalId: `apr-${taskId}` },
    {
      type: 'ApprovalDecided',
      taskId,
      approvalId,
      reason: null,
      decision:
        (['approved', 'approved', 'approved', 'denied', 'expired', 'voided'] as const)[roll(6)] ?? 'denied',
    },
    { type: 'HostLost', taskId, attempt, repeatable: roll(4) > 0, reason: 'lost' },
    { type: 'TaskResolved', taskId, attempt, effect: roll(2) === 0 ? 'done' : 'none', reason: 'found out' },
    evaluated(taskId, roll),
    { type: 'StartTimedOut', taskId, attempt: attempt + (roll(9) === 0 ? 1 : 7), reason: 'too late' },
  ]
  if (roll(30) === 0) return { type: 'PauseRequested', reason: 'run.paused' }
  if (roll(6) === 0) return { type: 'ResumeRequested' }
  if (roll(200) === 0) return { type: 'CancelRequested', reason: 'run.cancelled' }
  if (roll(100) === 0) return { type: 'TaskRefused', taskId, reason: 'no preview' }
  return choices[roll(choices.length)] ?? { type: 'CancelRequested', reason: 'run.cancelled' }
}

function checkStep(before: RunStatus, event: RunEvent, run: RunStatus): void {
  for (const [id, task] of run.tasks) {
    const was = before.tasks.get(id)
    if (task.state === 'Running' && was?.state !== 'Running') {
      assert.ok(before.pauseReason === null, `${id} began in a pause`)
      assert.ok(
        task.rules.needs.every((need) =>
          task.rules.afterEnd ? isEnded(stateOf(run, need) ?? 'Pending') : stateOf(run, need) === 'Succeeded',
        ),
        `${id} before its needs`,
      )
      const { fallbackFor } = task.rules
      assert.ok(fallbackFor === undefined || isMissed(run.tasks.get(fallbackFor)), `${id} was not needed`)
      assert.ok(!task.rules.gated || was?.approved, `${id} ran unapproved`)
      assert.equal(task.attempt, (was?.attempt ?? 0) + 1)
    }
    if (was && isEnded(was.state)) assert.equal(task, was, `${id} changed after its end`)
  }
  assert.equal(next(run, event)[0], run, `${event.type} twice is not once`)
  assert.deepEqual(next(run, event)[1], [])
  assert.ok(isRunEnded(run.state) || canGoOn(run), 'the run is stuck')
}

/** A host or a person can always do something about a run that has not ended. */
const canGoOn = (run: RunStatus): boolean =>
  due(run).length > 0 ||
  run.pauseReason !== null ||
  [...run.tasks.values()].some(({ state }) => state === 'Running' || state === 'AwaitingApproval')

test('WORK-2: random plans told random events in any order never break a rule and always end', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const roll = dice(seed)
    let [run] = next(newRun, { type: 'RunStarted', tasks: randomPlan(roll) })
    let steps = 0
    while (!isRunEnded(run.state)) {
      const event = randomEvent(run, roll)
      const [changed, commands] = next(run, event)
      if (changed === run) assert.deepEqual(commands, [])
      else checkStep(run, event, changed)
      run = changed
      assert.ok(++steps < 20_000, `seed ${seed} does not end`)
    }
    assert.deepEqual(due(run), [], `seed ${seed}: an ended run still asks for something`)
  }
})

const fanned = (roll: (below: number) => number) =>
  roll(2) === 0 ? ({ kind: 'go' } as const) : ({ kind: 'fan', items: roll(4) } as const)

test('WORK-2: obeying only the commands brings every plan to its end', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const roll = dice(seed)
    let [run, commands] = next(newRun, { type: 'RunStarted', tasks: randomPlan(roll) })
    const open: RunEvent[] = []
    const obey = (command: Command): void => {
      if (command.type === 'StartTask') open.push(started(command.taskId, command.attempt))
      if (command.type === 'RequestApproval') open.push(asked(command.taskId, `apr-${command.taskId}`))
      if (command.type === 'SetTimer') open.push({ ...command, type: 'RetryDue' })
      if (command.type === 'Evaluate')
        open.push({ type: 'TaskEvaluated', taskId: command.taskId, found: fanned(roll) })
    }
    commands.forEach(obey)
    while (open.length > 0) {
      const [event] = open.splice(roll(open.length), 1)
      if (!event) break
      ;[run, commands] = next(run, event)
      commands.forEach(obey)
      if (event.type === 'TaskStarted') open.push(succeeded(event.taskId, event.attempt))
      if (event.type === 'ApprovalRequested') open.push(decided('approved', event.taskId, event.approvalId))
    }
    assert.equal(run.state, 'Succeeded', `seed ${seed}`)
  }
})
