import { z } from 'zod'

const findings = z.array(z.object({ fingerprint: z.string().min(1) }))
const sarif = z.object({
  runs: z.array(
    z.object({ results: z.array(z.object({ partialFingerprints: z.record(z.string(), z.string()) })) }),
  ),
})

/** The fingerprints in the result of an earlier scan, in JSON, JSON lines or SARIF; undefined when it is none of them. */
export function baselineOf(text: string): ReadonlySet<string> | undefined {
  const value = parse(text) ?? parse(`[${text.trim().split('\n').join(',')}]`)
  const plain = findings.safeParse(value)
  if (plain.success) return new Set(plain.data.map(({ fingerprint }) => fingerprint))
  const log = sarif.safeParse(value)
  if (!log.success) return
  const results = log.data.runs.flatMap((run) => run.results)
  return new Set(results.flatMap(({ partialFingerprints }) => Object.values(partialFingerprints)))
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
