import type { GroupedFinding, Place } from '../finding.ts'

/** A place as it is printed: no offsets, which mean nothing once the file changes. */
type PlaceRecord = {
  file: string
  line: number
  endLine: number
  column: number
  commit: string | null
  author: string | null
  committedAt: string | null
}

/** A finding as it is printed: the first place at the top, all of them in `places`; never the value. */
export type FindingRecord = PlaceRecord & {
  rule: string
  provider: string
  title: string
  confidence: string
  reasons: readonly string[]
  entropy: number | null
  fingerprint: string
  masked: string
  places: PlaceRecord[]
}

function placeRecord(place: Place): PlaceRecord {
  const { file, line, endLine, column, commit, author, committedAt } = place
  return { file, line, endLine, column, commit, author, committedAt: committedAt?.toISOString() ?? null }
}

export function findingRecord(finding: GroupedFinding): FindingRecord {
  const places = finding.places.map(placeRecord)
  const { rule, provider, title, confidence, reasons = [], entropy = null, fingerprint, masked } = finding
  const [
    first = { file: '', line: 0, endLine: 0, column: 0, commit: null, author: null, committedAt: null },
  ] = places
  return { ...first, rule, provider, title, confidence, reasons, entropy, fingerprint, masked, places }
}

/** Names come from the scanned files: without control characters they can neither move a cursor nor break a line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\ufffd')
}
