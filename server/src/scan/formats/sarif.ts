import type { Confidence, GroupedFinding, Place } from '../finding.ts'

const levelOf: Record<Confidence, 'error' | 'warning' | 'note'> = {
  high: 'error',
  medium: 'warning',
  low: 'note',
}
/** What code scanning shows as severity. */
const severityOf: Record<Confidence, string> = { high: '8.8', medium: '6.5', low: '3.5' }

/** SARIF 2.1.0, as code scanning reads it: one result for each place, recognised by the value's fingerprint. */
export function asSarif(findings: readonly GroupedFinding[]): string {
  const rules = [...new Map(findings.map((finding) => [finding.rule, finding])).values()]
  const indexOf = new Map(rules.map(({ rule }, index) => [rule, index]))
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: { name: 'Keyward', rules: rules.map(descriptor) },
        },
        columnKind: 'utf16CodeUnits',
        originalUriBaseIds: { ROOT: { description: { text: 'The scanned folder' } } },
        results: findings.flatMap((finding) =>
          finding.places.map((place) => result(finding, place, indexOf.get(finding.rule) ?? 0)),
        ),
      },
    ],
  }
  return `${JSON.stringify(log, undefined, 2)}\n`
}

function descriptor({ rule, title, provider, confidence }: GroupedFinding): object {
  return {
    id: rule,
    name: rule.replace(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    shortDescription: { text: title },
    fullDescription: { text: `${title}: a value that gives access, written where others can read it.` },
    help: {
      text: 'Revoke the value where it was issued, keep the new one in the vault, and leave a reference here.',
    },
    defaultConfiguration: { level: levelOf[confidence] },
    properties: {
      tags: ['security', 'secret', provider],
      'security-severity': severityOf[confidence],
      precision: confidence,
    },
  }
}

function result(finding: GroupedFinding, place: Place, ruleIndex: number): object {
  const { rule, title, confidence, reasons, entropy, masked, fingerprint } = finding
  return {
    ruleId: rule,
    ruleIndex,
    level: levelOf[confidence],
    message: { text: `${title} (${masked})${place.commit ? ` in commit ${place.commit.slice(0, 12)}` : ''}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: {
            uri: place.file.split('/').map(encodeURIComponent).join('/'),
            uriBaseId: 'ROOT',
          },
          region: { startLine: place.line, startColumn: place.column, endLine: place.endLine },
        },
      },
    ],
    partialFingerprints: { 'keywardValue/v1': fingerprint },
    properties: {
      confidence,
      reasons,
      entropy,
      ...(place.commit && {
        commit: place.commit,
        author: place.author,
        committedAt: place.committedAt?.toISOString(),
      }),
    },
  }
}
