import { type Json, type PlanDraft, planDraft } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../../core/index.ts'

/** What a model may say: one of the flows with its input, tasks of its own, or that it cannot be done. */
export type ModelAnswer =
  | { readonly kind: 'flow'; readonly flow: string; readonly input: Json }
  | { readonly kind: 'tasks'; readonly tasks: PlanDraft['tasks'] }
  | { readonly kind: 'none'; readonly why: string }

/** Characters; longer ones are not looked at. */
const longestAnswer = 64_000
/** A person has to read what is proposed. */
const mostTasks = 20
const deepest = 32
const longestWhy = 300

/**
 * As little as makes a plan. Titles, risks, secrets and approvals are what the actions say of themselves: words of a model
 * neither make a task look like another one nor ask for less.
 */
const whole = planDraft.shape.tasks.element.shape
const task = z.strictObject({
  id: whole.id,
  action: z.string().min(1).max(200),
  args: z.record(z.string(), z.json()),
  needs: whole.needs,
})
const answer = z.union([
  z.strictObject({ flow: z.string().min(1).max(100), input: z.record(z.string(), z.json()) }),
  z.strictObject({ tasks: z.array(task).min(1).max(mostTasks) }),
  z.strictObject({ none: z.string().min(1) }),
])

/** Throws `goal.model_failed` with what is wrong, in words that a model can mend it by. */
export function readAnswer(text: string): ModelAnswer {
  if (text.length > longestAnswer) throw unusable(`it has more than ${longestAnswer} characters`)
  const value = parsed(text)
  if (depthExceeds(value, deepest)) throw unusable(`it is nested deeper than ${deepest}`)
  const kind = kinds.find((name) => typeof value === 'object' && value !== null && Object.hasOwn(value, name))
  if (!kind) throw unusable("it is no object with 'flow', 'tasks' or 'none'")
  const read = answer.options[kinds.indexOf(kind)]?.safeParse(value)
  if (!read?.success) throw unusable(read ? misfit(read.error) : 'it is empty')
  const said = read.data
  if ('flow' in said) return { kind: 'flow', flow: said.flow, input: said.input as Json }
  if ('none' in said) return { kind: 'none', why: printable(said.none) }
  return { kind: 'tasks', tasks: planDraft.shape.tasks.parse(said.tasks) }
}

const kinds = ['flow', 'tasks', 'none'] as const

export const unusable = (why: string): AppError => new AppError('goal.model_failed', why)

/** Models like to put a fence around what they were asked for. */
function parsed(text: string): unknown {
  const bare = text.trim().replace(/^```(?:json)?\s*([\s\S]*?)\s*```$/, '$1')
  try {
    return JSON.parse(bare)
  } catch {
    throw unusable('it is no JSON')
  }
}

/** Without calling itself: what is checked may be nested as deep as its text is long. */
function depthExceeds(value: unknown, most: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; depth <= most; depth++) {
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []))
    if (level.length === 0) return false
  }
  return true
}

const misfit = (error: z.ZodError): string =>
  printable(
    error.issues
      .slice(0, 5)
      .map(({ path, message }) => `${path.map(String).join('.') || 'it'}: ${message}`)
      .join('; '),
  )

/** What a model wrote, for people: one line, without what could pass for something else in a terminal or on a page. */
export const printable = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, longestWhy)
