import type { Confidence } from './finding.ts'

/**
 * What one kind of credential looks like, as a value. The engine looks for `keywords` in every byte of a file, and runs
 * `pattern` only on the text around a hit. Every quantifier of a pattern is bounded, and so is the work.
 */
export type Detector = {
  /** Stable name, kebab-case: people write it into baselines and allow lists. */
  readonly rule: string
  readonly provider: string
  readonly title: string
  readonly confidence: Confidence
  /** Compared without case; a match must hold at least one of them. */
  readonly keywords: readonly string[]
  /** The group `value`, or else the whole match, is the credential. */
  readonly pattern: RegExp
  /** How far a match may reach before and after a keyword, in bytes. */
  readonly reach?: { readonly before?: number; readonly after?: number }
  /** A byte that must follow a keyword before any blank, quote or line end: spares the pattern most hits. */
  readonly leadsTo?: string
  /** Fits right after a keyword wherever the pattern matches from it, and is sticky: spares the pattern most hits. */
  readonly follows?: RegExp
  /** Of a prefixed one: it is written just as a keyword is, and so many bytes of a token follow at least. */
  readonly leastAfter?: number
  /** A second look at a match: `false` drops it, a confidence replaces the detector's own. */
  readonly judge?: (value: string) => Confidence | false | undefined
  /** At one place the highest wins: a provider's own form (3) before a URL (2) before an assignment (1). */
  readonly rank?: number
  /** The keyword is the value's own beginning, so it is also looked for inside base64. */
  readonly prefixed?: boolean
}

/** A detector whose credential begins with its keyword: the kind that needs no words around it. */
export function prefixed(
  detector: Omit<Detector, 'confidence' | 'prefixed'> & { confidence?: Confidence },
): Detector {
  return { confidence: 'high', prefixed: true, ...detector }
}
