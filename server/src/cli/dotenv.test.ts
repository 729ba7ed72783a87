import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDotenv } from './dotenv.ts'

test('DISC-5: a reference in a .env file keeps its field, quoted or not', () => {
  const reference = 'keyward://secret/shop/stripe#value'
  const text = `A=${reference}\nB="${reference}"\nC='${reference}'\nexport D = ${reference} # note\n`
  assert.deepEqual(parseDotenv(text), { A: reference, B: reference, C: reference, D: reference })
})

test('DISC-5: a .env file is read as people write it', () => {
  const cases: [string, Record<string, string>][] = [
    ['', {}],
    ['# A=1\n  # B=2\n', {}],
    ['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
    ['\ufeffA=1', { A: '1' }],
    ['A=\nB=# empty', { A: '', B: '' }],
    ['A= two words  ', { A: 'two words' }],
    ['A=a=b#c', { A: 'a=b#c' }],
    ["A='single $B \\n'", { A: 'single $B \\n' }],
    ['A="line\\nline" # note', { A: 'line\nline' }],
    ['A="over\nlines"\nB=1', { A: 'over\nlines', B: '1' }],
    ['A="quote \\" and \\\\ and \\x"', { A: 'quote " and \\ and \\x' }],
    ['A="not closed\nB=1', { A: '"not closed', B: '1' }],
    ['A=1\nA=2', { A: '2' }],
    ['no equals sign\n1X=2\nA.b-c=3', { 'A.b-c': '3' }],
  ]
  for (const [text, variables] of cases) assert.deepEqual(parseDotenv(text), variables, JSON.stringify(text))
})
