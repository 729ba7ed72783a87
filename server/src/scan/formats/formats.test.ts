import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type GroupedFinding, groupByFingerprint, type RawFinding } from '../finding.ts'
import { createScanner } from '../scan.ts'
import { formatFindings, formats } from './index.ts'

const scanner = createScanner({ fingerprintKey: randomBytes(32) })
const value = `hvs.${randomBytes(18).toString('hex')}Qz7`
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
    else if (format === 'jsonl') assert.equal(text, '')
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

/** The parts of the SARIF 2.1.0 schema that code scanning requires. */
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
