import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import Ajv from 'ajv-draft-04'
import addFormats from 'ajv-formats'
import { createDraws } from '../../../test/support/draws.ts'
import { type GroupedFinding, groupByFingerprint, type RawFinding } from '../finding.ts'
import { createScanner } from '../scan.ts'
import { formatFindings, formats } from './index.ts'

const draws = createDraws('formats')
const scanner = createScanner({ fingerprintKey: draws.bytes(32) })
const value = draws.vaultToken()
const sarifSchema = new URL('../../../test/support/sarif/sarif-schema-2.1.0.json', import.meta.url)
const hostileName = '=HYPERLINK("x")\u001b[2Jb\u202e.txt'

async function grouped(): Promise<GroupedFinding[]> {
  const findings: RawFinding[] = []
  for (const [file, text] of [
    [hostileName, `a\n${value}`],
    ['src/b, c.ts', `const t = '${value}'`],
  ] as const) {
    for await (const event of scanner.text(file, text))
      if (event.kind === 'finding') findings.push(event.finding)
  }
  const [first] = findings
  assert.ok(first)
  const commit = 'c'.repeat(40)
  const committedAt = new Date('2026-01-02T03:04:05Z')
  findings.unshift({
    ...first,
    place: { ...first.place, file: 'old.txt', commit, author: '@Eve', committedAt },
  })
  return groupByFingerprint(findings)
}

test('DISC-3: one value in many places is one finding, the work tree first', async () => {
  const findings = await grouped()
  assert.equal(findings.length, 1)
  assert.deepEqual(
    findings[0]?.places.map(({ file }) => file),
    [hostileName, 'src/b, c.ts', 'old.txt'],
  )
})

for (const format of formats) {
  test(`DISC-4: ${format} never holds a value`, async () => {
    const text = formatFindings(format, await grouped())
    assert.ok(text.length > 0 && !text.includes(value))
  })

  test(`DISC-4: ${format} of no findings is well formed`, () => {
    const text = formatFindings(format, [])
    if (format === 'json') assert.deepEqual(JSON.parse(text), [])
    else if (format === 'sarif') assert.deepEqual(JSON.parse(text).runs[0].results, [])
    else if (format === 'jsonl' || format === 'github') assert.equal(text, '')
    else assert.ok(text.endsWith('\n'))
  })
}

test('DISC-4: json is an array whose findings hold the agreed fields', async () => {
  const [finding] = JSON.parse(formatFindings('json', await grouped()))
  for (const name of [
    'file',
    'line',
    'endLine',
    'column',
    'rule',
    'provider',
    'confidence',
    'reasons',
    'entropy',
    'fingerprint',
    'masked',
  ]) {
    assert.ok(name in finding, name)
  }
  assert.equal(finding.file, hostileName)
  assert.equal(finding.line, 2)
  assert.equal(finding.places.length, 3)
  assert.equal(finding.places[2].committedAt, '2026-01-02T03:04:05.000Z')
})

test('DISC-4: jsonl is one object a line', async () => {
  const lines = formatFindings('jsonl', await grouped())
    .trimEnd()
    .split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).rule),
    ['vault-token'],
  )
})

test('DISC-4: csv has one row a place and nothing that a spreadsheet would run', async () => {
  const text = formatFindings('csv', await grouped())
  const rows = text.split('\r\n')
  assert.equal(rows.length, 5)
  assert.match(rows[1] ?? '', /^"'=HYPERLINK\(""x""\)/)
  assert.match(rows[2] ?? '', /^"src\/b, c\.ts",1,/)
  assert.match(rows[3] ?? '', /,"'@Eve",/)
  assert.ok(!text.includes('\u001b'))
})

test('DISC-4: the table lets no control character of a file name through', async () => {
  const text = formatFindings('table', await grouped())
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
  assert.match(text, /1 secret in 2 files\./)
})

test('DISC-4: junit has a failed case for each place, and one that passed when there is none', async () => {
  const text = formatFindings('junit', await grouped())
  assert.equal(text.match(/<testcase /g)?.length, 3)
  assert.equal(text.match(/<failure /g)?.length, 3)
  assert.match(text, /<testsuites name="Keyward" tests="3" failures="3" errors="0">/)
  assert.match(text, /file="=HYPERLINK\(&quot;x&quot;\)/)
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]|&(?!amp;|lt;|gt;|quot;|apos;)/u)
  assert.match(formatFindings('junit', []), /tests="1" failures="0".*<testcase [^>]*\/>/s)
})

test('DISC-4: github annotations stand on one line each, and no file name ends their properties', async () => {
  const text = formatFindings('github', await grouped())
  const lines = text.trimEnd().split('\n')
  assert.equal(lines.length, 3)
  assert.match(lines[1] ?? '', /^::error file=src\/b%2C c\.ts,line=1,endLine=1,col=\d+,title=[^:]+::/)
  assert.match(lines[2] ?? '', /^::error title=[^:]+::.* old\.txt:\d+ in commit c{40}$/)
})

test('DISC-3: a baseline has one line a finding, sorted, without the value', async () => {
  const text = formatFindings('baseline', await grouped())
  const lines = text.trimEnd().split('\n')
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', /^kf1_[0-9a-f]{32} vault-token /)
})

test('DISC-4: sarif is valid by the schema of the standard', async () => {
  const schema: object = JSON.parse(readFileSync(sarifSchema, 'utf8'))
  const checker = new Ajv.default({ strict: false, allErrors: true })
  addFormats.default(checker)
  const check = checker.compile(schema)
  for (const findings of [await grouped(), []]) {
    assert.ok(check(JSON.parse(formatFindings('sarif', findings))), JSON.stringify(check.errors))
  }
  assert.equal(check({ version: '2.1.0', runs: [{}] }), false)
})

test('DISC-4: sarif has the shape that code scanning requires', async () => {
  const log = JSON.parse(formatFindings('sarif', await grouped()))
  assert.equal(log.version, '2.1.0')
  const [run] = log.runs
  assert.equal(run.tool.driver.name, 'Keyward')
  assert.equal(run.results.length, 3)
  for (const result of run.results) {
    const rule = run.tool.driver.rules[result.ruleIndex]
    assert.equal(rule.id, result.ruleId)
    assert.match(rule.properties['security-severity'], /^\d\.\d$/)
    assert.ok(['error', 'warning', 'note'].includes(result.level))
    assert.ok(result.message.text.length > 0)
    const { artifactLocation, region } = result.locations[0].physicalLocation
    assert.doesNotMatch(artifactLocation.uri, /[\s"<>\\^`{|}]/)
    assert.ok(region.startLine >= 1 && region.endLine >= region.startLine && region.startColumn >= 1)
    assert.equal(typeof result.partialFingerprints['keywardValue/v1'], 'string')
    assert.ok(run.originalUriBaseIds[artifactLocation.uriBaseId])
  }
})
