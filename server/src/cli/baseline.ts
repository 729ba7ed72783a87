import { z } from 'zod'

const findings = z.array(z.object({ fingerprint: z.string().min(1) }))
const sarif = z.object({
  runs: z.array(
    z.object({ results: z.array(z.object({ partialFingerprints: z.record(z.string(), z.string()) })) }),
  ),
})

/** The fingerprints in the result of an earlier scan: a baseline, JSON, JSON lines or SARIF; undefined for anything else. */
export function baselineOf(text: string): ReadonlySet<string> | undefined {
  const lines = linesOf(text)
  if (lines) return lines
  const value = parse(text) ?? parse(`[${text.trim().split('\n').join(',')}]`)
  const plain = findings.safeParse(value)
  if (plain.success) return new Set(plain.data.map(({ fingerprint }) => fingerprint))
  const log = sarif.safeParse(value)
  if (!log.success) return
  const results = log.data.runs.flatMap((run) => run.results)
  return new Set(results.flatMap(({ partialFingerprints }) => Object.values(partialFingerprints)))
}

/** The marks that a merge leaves mean nothing here: what either side knew is known. */
const passedOver = /^(?:#|<{7}|\|{7}|={7}|>{7}|\s*$)/

/** One fingerprint a line, and words about it. */
function linesOf(text: string): ReadonlySet<string> | undefined {
  const lines = text.split(/\r?\n/).filter((line) => !passedOver.test(line))
  if (lines.length === 0 && text.trim() === '') return
  if (!lines.every((line) => /^kf1_[0-9a-f]{32}(?:\s|$)/.test(line))) return
  return new Set(lines.map((line) => line.slice(0, 36)))
}

/** One line of JSON lines is valid JSON as well, but no list. */
function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'fingerprint' in value ? [value] : value
  } catch {
    return
  }
}
