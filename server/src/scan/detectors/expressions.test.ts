// Patterns run on stretches around keywords, so their cost is their own. These checks read the expressions and count the
// work; that no expression can read one text in several ways is checked beside settings/growth.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBudget } from '../budget.ts'
import type { Detector } from '../detector.ts'
import { createEngine, type Engine } from '../engine.ts'
import { exampleOf } from './example.ts'
import { detectors, groups } from './index.ts'

/** Quantifiers of an expression, outside of classes, with how deep in quantified groups they stand. */
function quantifiersOf(source: string): { text: string; depth: number }[] {
  const bare = source
    .replace(/\\./g, 'e')
    .replace(/\[(?:[^\]])*\]/g, 'c')
    .replace(/\(\?(?:[:=!]|<[=!]|<\w+>)/g, '(')
  const all: { text: string; depth: number }[] = []
  const stack: number[] = []
  for (const { 0: token, index } of bare.matchAll(/[()]|\{\d+(?:,\d*)?\}|[*+?]/g)) {
    if (token === '(') stack.push(all.length)
    else if (token === ')') {
      const first = stack.pop() ?? 0
      const repeated = /^(?:\*|\+|\{\d+,)/.test(bare.slice(index + 1))
      if (repeated) for (const inner of all.slice(first)) inner.depth++
    } else all.push({ text: token, depth: 0 })
  }
  return all
}

test('DISC-2: no pattern holds an unbounded quantifier, and none repeats a repetition but by a few times', () => {
  const nested: string[] = []
  for (const { pattern, rule } of detectors) {
    for (const { text, depth } of quantifiersOf(pattern.source)) {
      assert.doesNotMatch(text, /^[*+]$|,\}/, `${rule}: ${pattern.source}`)
      if (depth > 0 && text !== '?' && /,/.test(text)) nested.push(rule)
    }
  }
  // They repeat at most a dozen times what begins with its own letter or digit and ends with its own separator.
  assert.deepEqual([...new Set(nested)].sort(), ['azure-sas-token', 'slack-token', 'user-and-password'])
})

test('DISC-2: the check above sees a planted violation', () => {
  assert.deepEqual(
    quantifiersOf('(?:a+[b*]){2,5}').map(({ text, depth }) => `${text}${depth}`),
    ['+1', '{2,5}0'],
  )
})

const engineOf = (of: readonly Detector[]): Engine =>
  createEngine({ detectors: of, fingerprintKey: Buffer.alloc(32) })

/** What `detect` spends on a text, in bytes that patterns ran over. */
function stepsFor(engine: Engine, text: string, file = 'a.env'): number {
  const budget = createBudget(0)
  let steps = 0
  engine.detect({
    bytes: Buffer.from(text),
    file,
    budget: {
      spend: (used) => {
        steps += used
        return budget.spend(0)
      },
      found: budget.found,
      exceeded: undefined,
    },
  })
  return steps
}

test('DISC-2: on its own keywords and broken beginnings, twice the text costs a detector twice the steps', () => {
  const sizeBytes = 16_000
  for (const detector of detectors) {
    const engine = engineOf([detector])
    for (const filler of ['', '=', 'a1B2c3D4', '="', '\n', '_key_key_key_key', ': { ']) {
      const unit = detector.keywords.map((keyword) => keyword + filler).join('')
      const text = unit.repeat(Math.ceil((2 * sizeBytes) / unit.length))
      const once = stepsFor(engine, text.slice(0, sizeBytes))
      const twice = stepsFor(engine, text.slice(0, 2 * sizeBytes))
      const window = (detector.reach?.before ?? 0) + (detector.reach?.after ?? 200) + 100
      assert.ok(
        twice <= 2.2 * once + 20 * window,
        `${detector.rule} after ${filler}: ${once} and ${twice} steps`,
      )
    }
  }
})

test('DISC-2: megabytes of values that nearly have a form cost a bounded number of steps', () => {
  let next = 7
  const below = (limit: number): number => {
    next = (next * 48_271) % 2_147_483_647
    return next % limit
  }
  const lines = groups.flatMap(({ rows }) =>
    rows.flatMap(({ form, after }) =>
      (typeof form === 'string' ? [form] : form).map(
        (each) => `${after ? `${after[0]}_key=` : ''}${exampleOf(each, below).slice(0, -1)}!`,
      ),
    ),
  )
  const unit = `${lines.join('\n')}\n`
  const text = unit.repeat(Math.ceil(3e6 / unit.length)).slice(0, 3e6)
  const steps = stepsFor(engineOf(detectors), text)
  assert.ok(steps <= 24 * text.length, `${steps / text.length} steps for each byte`)
})
