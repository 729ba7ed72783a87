import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileWording } from './grammar.ts'

test('WORK-1: a wording fits its words in any case, with slots, with what may be left out and with choices', () => {
  const wording = compileWording('deploy [the feature of] (pull request|PR|pr) {number} [of {project}]')
  assert.deepEqual(wording.slots, ['number', 'project'])
  assert.deepEqual(wording.fit('Deploy the feature of pull request 123 of shop.'), {
    slots: { number: '123', project: 'shop' },
    words: 7,
  })
  assert.deepEqual(wording.fit('deploy PR #7'), { slots: { number: '#7' }, words: 2 })
  assert.ok(compileWording('look [at|into] {it}').fit('look into it'))
  assert.deepEqual(wording.fit('deploy pr 7 of "the shop"')?.slots, { number: '7', project: 'the shop' })
  for (const text of [
    'deploy',
    'deploy pr',
    'deploy the feature pr 7',
    'please deploy pr 7',
    'deploy pr 7 of',
    '',
  ])
    assert.equal(wording.fit(text), undefined, text)
})

test('WORK-1: a wording that says nothing, or two things, is refused with words', () => {
  const refused: [string, RegExp][] = [
    ['{all}', /a word of its own/],
    ['deploy {a', /'\{' stands where/],
    ['deploy [x', /'\]' is missing/],
    ['deploy x)', /stands where/],
    ['deploy {a} {a}', /twice/],
    ['deploy {1}', /stands where/],
    [`x ${'[y] '.repeat(13)}`, /at most 12 choices/],
    ['x'.repeat(301), /300 characters/],
  ]
  for (const [pattern, words] of refused) assert.throws(() => compileWording(pattern), words, pattern)
  assert.deepEqual(compileWording('rotate (key {name}|role {name})').slots, ['name'])
})

test('WORK-1: no goal takes long, whatever its words are', () => {
  const wording = compileWording(`go ${'[{a}] '.replace('a', 'a').repeat(1)}${'[x] '.repeat(11)}end`)
  assert.equal(wording.fit(`go ${'x '.repeat(200)}`), undefined)
})
