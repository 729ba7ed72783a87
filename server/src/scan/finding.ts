import type { Secret } from '../core/index.ts'

export type Confidence = 'high' | 'medium' | 'low'

/** How the text around a value is written, which decides what may replace the value. */
export type Syntax = 'env' | 'yaml' | 'json' | 'toml' | 'ini' | 'shell' | 'code' | 'xml' | 'other'

export type Encoding = 'utf8' | 'utf16le' | 'utf16be'

export type Place = {
  /** Relative to the scanned root, with `/`. */
  readonly file: string
  /** Lines and columns count from 1; a column counts UTF-16 units, as editors and SARIF do. */
  readonly line: number
  readonly endLine: number
  readonly column: number
  /** The bytes [start, end) of the file (of the added lines' text, for a place in the history). */
  readonly start: number
  readonly end: number
  readonly encoding: Encoding
  readonly syntax: Syntax
  /** The quote that stands right before the value; empty for none. */
  readonly quote: string
  /**
   * What the value was taken out of. Other than `none`, a reference cannot replace it: the bytes at [start, end) are an
   * encoding that holds it or the first of several pieces, or the file is no text, or a file inside an archive, named
   * `archive!inner`.
   */
  readonly wrapping: 'none' | 'base64' | 'hex' | 'url' | 'split' | 'binary' | 'archive'
  readonly commit: string | null
  readonly author: string | null
  readonly committedAt: Date | null
}

/** One value at one place. The value is what the service expects: escapes of the file's syntax are undone. */
export type RawFinding = {
  readonly rule: string
  readonly provider: string
  readonly title: string
  readonly confidence: Confidence
  /** Why it is taken for a secret, in words for people; without the value. */
  readonly reasons?: readonly string[]
  /** Shannon entropy of the value, in bits a character. */
  readonly entropy?: number
  readonly masked: string
  readonly fingerprint: string
  readonly value: Secret
  readonly place: Place
}

/** One value with every place that holds it: the work tree first, then the history. */
export type GroupedFinding = Omit<RawFinding, 'place'> & { readonly places: readonly Place[] }

export type ScanEvent =
  | {
      readonly kind: 'progress'
      readonly filesScanned: number
      /** Unknown while the folder is still being listed. */
      readonly filesTotal: number | null
      readonly bytesScanned: number
      readonly commitsScanned: number
    }
  | { readonly kind: 'problem'; readonly file: string; readonly reason: string }
  | { readonly kind: 'finding'; readonly finding: RawFinding }

const rankOf: Record<Confidence, number> = { high: 2, medium: 1, low: 0 }

/** One entry for each value; among the rules that saw it, the most confident one names it. */
export function groupByFingerprint(findings: Iterable<RawFinding>): GroupedFinding[] {
  const groups = new Map<string, { best: RawFinding; places: Place[]; seen: Set<string> }>()
  for (const finding of findings) {
    const { place } = finding
    const key = `${place.commit ?? ''}:${place.file}:${place.start}:${place.line}`
    const group = groups.get(finding.fingerprint)
    if (!group) {
      groups.set(finding.fingerprint, { best: finding, places: [place], seen: new Set([key]) })
      continue
    }
    if (rankOf[finding.confidence] > rankOf[group.best.confidence]) group.best = finding
    if (!group.seen.has(key)) group.places.push(place)
    group.seen.add(key)
  }
  return [...groups.values()].map(({ best: { place: _, ...finding }, places }) => ({
    ...finding,
    places: places.toSorted((a, b) => Number(a.commit !== null) - Number(b.commit !== null)),
  }))
}
