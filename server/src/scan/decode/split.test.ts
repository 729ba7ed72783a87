import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { createFullEngine } from '../full-engine.ts'
import { createScanner } from '../scan.ts'

const draws = createDraws('split')
const scanner = createScanner({ fingerprintKey: draws.bytes(32) })

type Told = { value: string; wrapping: string; at: string; line: number }
const found = (text: string, file: string): Told[] =>
  scanner.contents(Buffer.from(text), file).map(({ value, place }) => ({
    value: value.reveal(),
    wrapping: place.wrapping,
    at: Buffer.from(text).toString('utf8', place.start, place.end),
    line: place.line,
  }))

/** How a language writes a text in three pieces. */
const ways: Record<string, [file: string, write: (a: string, b: string, c: string) => string]> = {
  'JavaScript, with +': ['a.js', (a, b, c) => `const x = "${a}" + '${b}' + \`${c}\`;`],
  'JavaScript, + at the end of a line': ['a.ts', (a, b, c) => `f('${a}' +\n    '${b}' +\n    '${c}')`],
  'Java, + at the beginning of a line': [
    'A.java',
    (a, b, c) => `String x = "${a}"\n   + "${b}"\n   + "${c}";`,
  ],
  'Go, with +': ['a.go', (a, b, c) => `x := "${a}" +\r\n\t"${b}" +\r\n\t"${c}"`],
  'Python, side by side': ['a.py', (a, b, c) => `x = ("${a}"\n     "${b}"\n     f"${c}")`],
  'Python, with a backslash between': ['a.py', (a, b, c) => `x = "${a}" \\\n  "${b}" \\\n  "${c}"`],
  'C, on one line': ['a.c', (a, b, c) => `char *x = "${a}" "${b}" "${c}";`],
  'PHP, with dots': ['a.php', (a, b, c) => `$x = '${a}' . '${b}' . "${c}";`],
  'PHP, with dots and no blanks': ['a.php', (a, b, c) => `$x = '${a}'.'${b}'.'${c}';`],
  'Lua, with two dots': ['a.lua', (a, b, c) => `x = "${a}" .. "${b}" .. "${c}"`],
  'Basic, with &': ['a.vb', (a, b, c) => `x = "${a}" & "${b}" & "${c}"`],
  'SQL, with ||': ['a.sql', (a, b, c) => `select '${a}' || '${b}' || '${c}';`],
  'a shell, over lines': ['a.sh', (a, b, c) => `x=${a}\\\n${b}\\\n${c}\nnext`],
  'YAML, over lines in quotes': ['a.yaml', (a, b, c) => `x: "${a}\\\n    ${b}\\\n    ${c}"\n`],
}

for (const [name, [file, write]] of Object.entries(ways)) {
  test(`DISC-2: a token in pieces is found whole, at its first piece: ${name}`, () => {
    const value = draws.vaultToken()
    const [a, b, c] = [value.slice(0, 9), value.slice(9, 20), value.slice(20)]
    const seen = found(`# one\n${write(a, b, c)}\n`, file)
    assert.deepEqual(seen, [{ value, wrapping: 'split', at: a, line: 2 }])
  })
}

test('DISC-2: a folded block of YAML that holds one long word is read as one', () => {
  const value = draws.vaultToken()
  const text = `x:\n  key: >-\n    ${value.slice(0, 24)}\n    ${value.slice(24)}\n  other: 1\n`
  assert.deepEqual(
    found(text, 'a.yaml').map((one) => [one.value, one.line]),
    [[value, 3]],
  )
})

test('DISC-2: a password in pieces is judged with its key, and as a whole', () => {
  for (const text of [
    'password = "Sonnen" + "stich2019!"',
    'password = (\n  "Sonnen"\n  "stich2019!"\n)',
    'password = "Sonnenstich20" \\\n "19!"',
  ])
    assert.deepEqual(
      found(text, 'a.py').map(({ value }) => value),
      ['Sonnenstich2019!'],
      text,
    )
})

test('DISC-2: what one literal holds whole stays where it is, and a variable between two literals joins nothing', () => {
  const value = draws.vaultToken()
  assert.deepEqual(
    found(`x = "${value}" + "/path" + "more"`, 'a.js').map(({ wrapping, at }) => [wrapping, at]),
    [['none', value]],
  )
  const [a, b] = [value.slice(0, 9), value.slice(9)]
  for (const text of [
    `"${a}" + x + "${b}"`,
    `["${a}", "${b}"]`,
    `"${a}"\n"${b}"`,
    `'${a}' '${b}'`,
    `${a} \\\n${b}`,
  ])
    assert.deepEqual(found(text, 'a.sh'), [], text)
})

test('DISC-2: a file made of joints, broken or not, costs in proportion to its length', () => {
  const engine = createFullEngine({ fingerprintKey: draws.bytes(32), rules: { detectors: [], only: false } })
  const stepsFor = (text: string): number => {
    let steps = 0
    const spend = (used: number): boolean => {
      steps += used
      return true
    }
    const budget = { spend, found: () => true, exceeded: undefined }
    engine.detect({ bytes: Buffer.from(text), file: 'a.py', budget })
    return steps
  }
  for (const unit of [
    '"a" +\n',
    "'\n",
    '"a" "',
    '"a" + "b"\n',
    'a\\\n',
    'k: >-\n  aaaaaaaaaaaaaaaaaaaa\n',
    '`+`',
  ]) {
    const text = unit.repeat(100_000 / unit.length)
    const [once, twice] = [stepsFor(text), stepsFor(text + text)]
    assert.ok(twice <= 2.1 * once + 10_000, `${JSON.stringify(unit)}: ${once} and ${twice} steps`)
    assert.ok(once <= 60 * text.length, `${JSON.stringify(unit)}: ${once / text.length} steps for each byte`)
  }
})
