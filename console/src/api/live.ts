import type { QueryClient } from '@tanstack/react-query'

/** What a change of one noun makes stale: the first parts of query keys. */
const touches: Record<string, readonly string[]> = {
  vault: ['status', 'secrets'],
  secret: ['secrets'],
  agent: ['agents', 'reach', 'status'],
  person: ['people', 'session'],
  factor: ['factors'],
  lease: ['leases', 'grants', 'reach', 'agents', 'status'],
  certificate: ['certificates'],
  ask: ['asks', 'status'],
  scan: ['scans', 'findings', 'schedules', 'status'],
  finding: ['findings', 'status'],
  schedule: ['schedules'],
  push: ['schedules'],
  hook: ['hooks'],
  trigger: ['triggers'],
  file: ['findings'],
  run: ['runs', 'goals', 'findings', 'schedules', 'status'],
  flow: ['flows'],
  goal: ['goals'],
  task: ['runs'],
  approval: ['approvals', 'runs', 'status'],
  policy: ['policies'],
  connection: ['connections', 'hooks', 'status'],
  sandbox: ['status', 'sandboxes'],
  channel: ['channels'],
  image: ['sandboxes'],
}

export type Connection = 'connecting' | 'live' | 'lost'
type Needs = {
  client: Pick<QueryClient, 'invalidateQueries'>
  onConnection: (state: Connection) => void
}

const gatherMilliseconds = 150
const pollMilliseconds = 10_000

/**
 * Listens to the server's event stream and marks what changed as stale. Events are gathered for a moment, so that a run of
 * ten tasks causes one reading. While the stream is lost everything visible is read again now and then.
 */
export function followEvents({ client, onConnection }: Needs): () => void {
  const stale = new Set<string>()
  let gathering: ReturnType<typeof setTimeout> | undefined
  let polling: ReturnType<typeof setInterval> | undefined
  const readAgain = (): void => void client.invalidateQueries()
  const flush = (): void => {
    gathering = undefined
    const nouns = [...stale]
    stale.clear()
    void client.invalidateQueries({ predicate: ({ queryKey }) => nouns.includes(String(queryKey[0])) })
  }
  const note = (type: string): void => {
    for (const noun of touches[type.split('.')[0] ?? ''] ?? []) stale.add(noun)
    stale.add('audit')
    gathering ??= setTimeout(flush, gatherMilliseconds)
  }
  const source = new EventSource('/api/v1/events')
  source.onopen = () => {
    onConnection('live')
    // What was read before the server knew of the listener may have changed in between.
    readAgain()
    clearInterval(polling)
    polling = undefined
  }
  source.onerror = () => {
    onConnection(source.readyState === EventSource.CLOSED ? 'lost' : 'connecting')
    polling ??= setInterval(readAgain, pollMilliseconds)
  }
  source.onmessage = ({ data }) => note(typeOf(data))
  return () => {
    source.close()
    clearTimeout(gathering)
    clearInterval(polling)
  }
}

function typeOf(data: unknown): string {
  try {
    const event: unknown = JSON.parse(String(data))
    return event && typeof event === 'object' ? String(Reflect.get(event, 'type')) : ''
  } catch {
    return ''
  }
}
