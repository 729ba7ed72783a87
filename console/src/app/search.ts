// What may stand in the address of each page. Anything else is dropped, so a damaged link opens the plain page.

type Raw = Record<string, unknown>
type Optional<T> = { [K in keyof T]?: T[K] }

/** A link may leave any of them out. */
const optional = <T>(search: T): Optional<T> => search

const findingStates = ['open', 'importing', 'imported', 'ignored', 'restored', 'fixed'] as const
const runStates = [
  'Running',
  'AwaitingApproval',
  'AwaitingPerson',
  'Paused',
  'Succeeded',
  'Failed',
  'Cancelled',
] as const
const approvalStates = [
  'pending',
  'approved',
  'denied',
  'expired',
  'cancelled',
  'voided',
  'superseded',
] as const
const requestOutcomes = ['allowed', 'denied', 'misused', 'failed'] as const

const text = (raw: unknown): string | undefined =>
  typeof raw === 'string' && raw !== '' ? raw : typeof raw === 'number' ? String(raw) : undefined

const oneOf = <T extends string>(raw: unknown, options: readonly T[]): T | undefined =>
  options.find((option) => option === raw)

const texts = (raw: unknown): string[] | undefined => {
  const kept = Array.isArray(raw) ? raw.filter((item) => typeof item === 'string') : []
  return kept.length > 0 ? kept : undefined
}

export const findingsSearch = (raw: Raw) =>
  optional({
    state: oneOf(raw['state'], [...findingStates, 'all']),
    confidence: oneOf(raw['confidence'], ['high', 'medium', 'low']),
    provider: text(raw['provider']),
    rule: text(raw['rule']),
    project: text(raw['project']),
    path: text(raw['path']),
    text: text(raw['text']),
    sort: oneOf(raw['sort'], ['seen', 'confidence', 'places']),
    finding: text(raw['finding']),
    pick: texts(raw['pick']),
  })
export const trendSearch = (raw: Raw) =>
  optional({
    project: text(raw['project']),
    days: oneOf(text(raw['days']), ['90', '365']),
    folder: text(raw['folder']),
  })
export const importSearch = (raw: Raw) => optional({ pick: texts(raw['pick']) })
export const vaultSearch = (raw: Raw) => optional({ secret: text(raw['secret']) })
export const runsSearch = (raw: Raw) => optional({ state: oneOf(raw['state'], runStates) })
export const runSearch = (raw: Raw) =>
  optional({
    task: text(raw['task']),
    view: oneOf(raw['view'], ['graph', 'steps', 'time']),
  })
export const goalSearch = (raw: Raw) => {
  const number = Number(raw['proposal'])
  return optional({ proposal: Number.isInteger(number) && number > 0 ? number : undefined })
}
export const approvalsSearch = (raw: Raw) =>
  optional({ state: oneOf(raw['state'], [...approvalStates, 'all']) })
export const approvalSearch = (raw: Raw) => optional({ view: oneOf(raw['view'], ['hashed']) })
export const agentsSearch = (raw: Raw) => optional({ agent: text(raw['agent']) })
export const egressSearch = (raw: Raw) =>
  optional({
    agent: text(raw['agent']),
    outcome: oneOf(raw['outcome'], requestOutcomes),
    host: text(raw['host']),
    run: text(raw['run']),
    entry: text(raw['entry']),
  })
export const auditSearch = (raw: Raw) =>
  optional({
    type: text(raw['type']),
    correlation: text(raw['correlation']),
    entry: text(raw['entry']),
  })
export const policiesSearch = (raw: Raw) => optional({ policy: text(raw['policy']) })
export const peopleSearch = (raw: Raw) => optional({ person: text(raw['person']) })
export const aclPoliciesSearch = (raw: Raw) => optional({ policy: text(raw['policy']) })
export const appRolesSearch = (raw: Raw) => optional({ role: text(raw['role']) })
