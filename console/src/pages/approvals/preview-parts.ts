import type { Budget, Destination, Injection, Json } from '@keyward/contract'
import type { FileChange } from '../../ui/file-diff.tsx'
import type { SecretMove } from '../../ui/secret-moves.tsx'

type Record = { [key: string]: Json }
/** A command that an agent would run in a sandbox with a lent secret. */
export type AgentWork = {
  agentId: string
  title: string
  secretPath: string
  field: string
  variable: string
  command: string[]
  workspace: string | null
  environment: { [name: string]: string }
  destinations: Destination[]
  injection?: Injection
  budget?: Budget
  route: { address: string; caPem: string } | null
}
/** `historyOnly`: titles of secrets that stand in no file any more. */
export type PreviewParts = {
  files: FileChange[]
  moves: SecretMove[]
  historyOnly: string[]
  work: AgentWork[]
  rest: Record
}

const isRecord = (value: Json | undefined): value is Record =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
const hasTexts = (value: Json, names: readonly string[]): value is Record =>
  isRecord(value) && names.every((name) => typeof value[name] === 'string')

const isLine = (value: Json): boolean =>
  hasTexts(value, ['before', 'after']) && typeof value['line'] === 'number'
const isFile = (value: Json): value is Record & FileChange =>
  hasTexts(value, ['file', 'sha256Before', 'sha256After']) &&
  Array.isArray(value['lines']) &&
  value['lines'].every(isLine)
const isMove = (value: Json): value is Record & SecretMove =>
  hasTexts(value, ['title', 'masked', 'reference'])
const isText = (value: Json): value is string => typeof value === 'string'

const workFields = [
  'agentId',
  'title',
  'secretPath',
  'field',
  'variable',
  'command',
  'workspace',
  'environment',
  'destinations',
  'injection',
  'budget',
  'route',
]

/** Only when each of its fields is one that the view draws: nothing that is hashed may be left out. */
function isWork(value: Json | undefined): value is Record & AgentWork {
  if (!isRecord(value) || Object.keys(value).some((name) => !workFields.includes(name))) return false
  const { command, workspace, environment, destinations, injection, budget, route } = value
  return (
    hasTexts(value, ['agentId', 'title', 'secretPath', 'field', 'variable']) &&
    Array.isArray(command) &&
    command.every(isText) &&
    (workspace === null || typeof workspace === 'string') &&
    isRecord(environment) &&
    Object.values(environment).every(isText) &&
    Array.isArray(destinations) &&
    destinations.every((place) => hasTexts(place, ['host'])) &&
    (injection === undefined || hasTexts(injection, ['kind'])) &&
    (budget === undefined || isRecord(budget)) &&
    (route === null || (isRecord(route) && hasTexts(route, ['address', 'caPem'])))
  )
}

/** An entry of the preview when all of it is of the kind that a view knows; otherwise it is shown as plain data. */
function listOf<T extends Json>(value: Json | undefined, fits: (item: Json) => item is T): T[] | undefined {
  return Array.isArray(value) && value.every(fits) ? value : undefined
}

/**
 * Sorts a preview into the parts that can be drawn well, one level deep. Whatever is not understood stays in `rest` and is
 * shown as it is: an approver sees everything that is hashed.
 */
export function previewParts(preview: Json): PreviewParts {
  if (!isRecord(preview)) return { files: [], moves: [], historyOnly: [], work: [], rest: { preview } }
  const parts = sort(preview)
  for (const [name, value] of Object.entries(parts.rest)) {
    const inner = isRecord(value) ? sort(value) : undefined
    if (inner && drawsSomething(inner) && !collides(inner.rest, parts.rest, name)) lift(parts, name, inner)
  }
  return parts
}

function sort(preview: Record): PreviewParts {
  const files = listOf(preview['files'], isFile)
  const moves = listOf(preview['secrets'], isMove)
  const historyOnly = listOf(preview['historyOnly'], isText)
  const task = preview['agentTask']
  const work = isWork(task) ? [task] : undefined
  const drawn = { files, secrets: moves, historyOnly, agentTask: work }
  const rest = Object.entries(preview).filter(([name]) => Reflect.get(drawn, name) === undefined)
  return {
    files: files ?? [],
    moves: moves ?? [],
    historyOnly: (historyOnly ?? []).map((id) => titleIn(preview['secrets'], id) ?? id),
    work: work ?? [],
    rest: Object.fromEntries(rest),
  }
}

function titleIn(secrets: Json | undefined, findingId: string): string | undefined {
  const found = Array.isArray(secrets)
    ? secrets.find((one) => isRecord(one) && one['findingId'] === findingId)
    : undefined
  return isRecord(found) && isText(found['title'] ?? null) ? String(found['title']) : undefined
}

const drawsSomething = ({ files, moves, work }: PreviewParts): boolean =>
  files.length + moves.length + work.length > 0

const collides = (inner: Record, outer: Record, lifted: string): boolean =>
  Object.keys(inner).some((name) => name in outer && name !== lifted)

function lift(parts: PreviewParts, name: string, inner: PreviewParts): void {
  parts.files.push(...inner.files)
  parts.moves.push(...inner.moves)
  parts.historyOnly.push(...inner.historyOnly)
  parts.work.push(...inner.work)
  delete parts.rest[name]
  Object.assign(parts.rest, inner.rest)
}
