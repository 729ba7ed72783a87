import { formatFindings, groupByFingerprint, type RawFinding } from '../../scan/index.ts'
import { printable } from '../printable.ts'
import type { ScanNeeds, Scanning } from './scanning.ts'

/** Tells what stands in the folder, then each new value as a file brings it, until the user stops it. */
export async function watchProject(
  { terminal }: Pick<ScanNeeds, 'terminal'>,
  { scanner, sources, judge, baseline }: Scanning,
  path: string,
): Promise<void> {
  const end = new AbortController()
  const stop = (): void => end.abort()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const told = new Set<string>()
  const isNews = (finding: RawFinding): boolean => {
    const key = `${finding.fingerprint} ${finding.place.file}`
    if (told.has(key) || judge(finding) !== 'told') return false
    told.add(key)
    return true
  }
  try {
    const standing: RawFinding[] = []
    for await (const event of scanner.directory(path, { baseline, signal: end.signal }))
      if (event.kind === 'finding' && isNews(event.finding)) standing.push(event.finding)
    terminal.write(formatFindings('table', groupByFingerprint(standing)))
    terminal.note('keyward: watching. Ctrl+C ends it.')
    for await (const event of sources.changes(path, { baseline, signal: end.signal })) {
      if (event.kind === 'finding' && isNews(event.finding)) terminal.write(lineOf(event.finding))
    }
  } catch (error) {
    if (!end.signal.aborted) throw error
  } finally {
    process.removeListener('SIGINT', stop)
    process.removeListener('SIGTERM', stop)
  }
}

const lineOf = ({ place, title, masked, confidence }: RawFinding): string =>
  `${printable(`${place.file}:${place.line}`)}  ${title}  ${masked}  ${confidence}\n`
