import type { GroupedFinding, Place } from '../finding.ts'
import { printable } from './record.ts'

/** For test reports of CI systems: one failed case for each place. A clean scan is one case that passed. */
export function asJunit(findings: readonly GroupedFinding[]): string {
  const cases = findings.flatMap((finding) => finding.places.map((place) => failedCase(finding, place)))
  const failures = cases.length
  const listed = failures > 0 ? cases : ['    <testcase classname="keyward" name="no secrets"/>']
  const counts = `tests="${listed.length}" failures="${failures}" errors="0"`
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="Keyward" ${counts}>`,
    `  <testsuite name="keyward scan" ${counts} skipped="0">`,
    ...listed,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

function failedCase({ rule, title, masked, confidence, fingerprint }: GroupedFinding, place: Place): string {
  const where = `${place.file}:${place.line}${place.commit ? ` in commit ${place.commit}` : ''}`
  const text = `${title} (${masked}), confidence ${confidence}\n${where}\nrule ${rule}, ${fingerprint}`
  return [
    `    <testcase classname="${xml(rule)}" name="${xml(where)}" file="${xml(place.file)}" line="${place.line}">`,
    `      <failure type="${xml(rule)}" message="${xml(`${title} (${masked})`)}">${text.split('\n').map(xml).join('\n')}</failure>`,
    '    </testcase>',
  ].join('\n')
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** Lone surrogates and U+FFFE are no characters of XML, escaped or not. */
const xml = (text: string): string =>
  printable(text)
    .toWellFormed()
    .replace(/[\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => entities[character] ?? '')
