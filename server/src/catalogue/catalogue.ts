import type { FlowView, Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError, type Principal } from '../core/index.ts'
import type { Plan } from '../workflow/index.ts'

/** Something that a run can be started from: code of Keyward, or a document that somebody saved. */
export type Flow = {
  readonly name: string
  readonly title: string
  /** How goals may be worded that mean it; see grammar.ts. */
  readonly goals: readonly string[]
  readonly input: z.ZodType
  /** `input` has been checked. Throws when it cannot be planned as things are now. */
  plan(input: Json, by: Principal): Promise<Plan>
  readonly document?: {
    readonly version: number
    readonly savedBy: string
    readonly savedAt: Date
    readonly text: string
  }
}

export type Catalogue = {
  all(): Promise<readonly Flow[]>
  /** Throws `flow.not_found`. */
  find(name: string): Promise<Flow>
  /** Throws `run.plan_invalid` for an unknown flow, an input that does not fit it, and what cannot be planned. */
  plan(name: string, input: Json, by: Principal): Promise<Plan>
}

type Needs = {
  /** Flows in code; they are found before documents of the same name. */
  readonly own: readonly Flow[]
  readonly saved: () => Promise<readonly Flow[]>
}

export function createCatalogue({ own, saved }: Needs): Catalogue {
  const all = async (): Promise<readonly Flow[]> => {
    const names = new Set(own.map(({ name }) => name))
    return [...own, ...(await saved()).filter(({ name }) => !names.has(name))]
  }
  const known = (flows: readonly Flow[]): string => flows.map(({ name }) => name).join(', ')

  return {
    all,
    async find(name) {
      const flows = await all()
      const flow = flows.find((one) => one.name === name)
      if (!flow) throw new AppError('flow.not_found', `there is no flow '${name}'. Known: ${known(flows)}`)
      return flow
    },
    async plan(name, input, by) {
      const flows = await all()
      const flow = flows.find((one) => one.name === name)
      if (!flow) throw new AppError('run.plan_invalid', `there is no flow '${name}'. Known: ${known(flows)}`)
      return flow.plan(fitting(flow, input), by)
    },
  }
}

function fitting({ input }: Flow, given: Json): Json {
  const parsed = input.safeParse(given)
  if (parsed.success) return JSON.parse(JSON.stringify(parsed.data)) as Json
  const words = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
  throw new AppError('run.plan_invalid', `input: ${words}`)
}

export const flowViewOf = ({ name, title, goals, input, document }: Flow): FlowView => ({
  name,
  title,
  origin: document ? 'document' : 'code',
  goals: [...goals],
  input: JSON.parse(JSON.stringify(z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }))) as Json,
  version: document?.version ?? null,
  savedBy: document?.savedBy ?? null,
  savedAt: document?.savedAt.toISOString() ?? null,
})
