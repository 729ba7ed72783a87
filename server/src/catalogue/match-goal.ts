import type { Json } from '@keyward/contract'
import { z } from 'zod'
import type { Flow } from './catalogue.ts'
import { compileWording } from './grammar.ts'

/** A flow that the words of a goal mean, with the input that they give. */
export type Match = { readonly flow: Flow; readonly input: Json }

export type Matched =
  | { readonly kind: 'one'; readonly match: Match }
  | { readonly kind: 'several'; readonly matches: readonly Match[] }
  /** `nearest` has the flows that the words fit but whose input they do not, with why. */
  | { readonly kind: 'none'; readonly nearest: readonly string[] }

/** `… using NAME` at the end of a goal says which flow is meant. */
const named = /\s+using\s+([a-z][a-z0-9-]*)\s*[.!]?$/i
export const sayUsing = (text: string, flow: string): string => `${text.replace(named, '')} using ${flow}`

/** What fits word by word most counts. Several that fit equally well are several: nobody guesses between them. */
export function matchGoal(text: string, flows: readonly Flow[]): Matched {
  const [, wanted] = named.exec(text) ?? []
  const bare = text.replace(named, '')
  const among = wanted === undefined ? flows : flows.filter(({ name }) => name === wanted.toLowerCase())
  const found = among.flatMap((flow) => candidatesOf(flow, bare))
  const fitting = found.filter((one): one is Candidate & { input: Json } => one.input !== undefined)
  const most = Math.max(0, ...fitting.map(({ words }) => words))
  const best = ownFirst(onePerFlow(fitting.filter(({ words }) => words === most)))
  const [first, ...others] = best
  if (!first) return { kind: 'none', nearest: found.map(({ flow, problem }) => `${flow.name}: ${problem}`) }
  return others.length === 0 ? { kind: 'one', match: first } : { kind: 'several', matches: best }
}

type Candidate = {
  readonly flow: Flow
  readonly words: number
  readonly input: Json | undefined
  readonly problem: string
}

function candidatesOf(flow: Flow, text: string): Candidate[] {
  return flow.goals.flatMap((goal) => {
    const fit = compileWording(goal).fit(text)
    if (!fit) return []
    const parsed = flow.input.safeParse(typed(flow.input, fit.slots))
    const input = parsed.success ? (JSON.parse(JSON.stringify(parsed.data)) as Json) : undefined
    const problem = parsed.error?.issues
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .join('; ')
    return [{ flow, words: fit.words, input, problem: problem ?? '' }]
  })
}

/** What somebody saved here says more than a flow that comes with Keyward. */
function ownFirst<T extends { flow: Flow }>(found: readonly T[]): readonly T[] {
  const saved = found.filter(({ flow }) => flow.document !== undefined)
  return saved.length > 0 ? saved : found
}

function onePerFlow<T extends { flow: Flow }>(candidates: readonly T[]): T[] {
  return [...new Map([...candidates].reverse().map((one) => [one.flow.name, one])).values()].reverse()
}

/** Words are text; where the input is a number, digits are one: `#123` as well. */
function typed(input: z.ZodType, slots: Readonly<Record<string, string>>): Record<string, string | number> {
  const schema = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' })
  const properties = schema.properties ?? {}
  return Object.fromEntries(
    Object.entries(slots).map(([name, text]) => {
      const property = properties[name]
      const type = typeof property === 'object' ? property.type : undefined
      const digits = text.replace(/^#/, '')
      const isNumber = (type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?$/.test(digits)
      return [name, isNumber ? Number(digits) : text]
    }),
  )
}
