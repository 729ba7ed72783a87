import { type Json, planDraft } from '@keyward/contract'
import { z } from 'zod'

const inputName = /^[a-z][A-Za-z0-9]{0,39}$/

const inputField = z.strictObject({
  type: z.enum(['string', 'integer', 'number', 'boolean']),
  title: z.string().min(1).max(200),
  oneOf: z
    .array(z.union([z.string(), z.number()]))
    .min(1)
    .max(100)
    .optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  maxLength: z.int().min(1).max(10_000).optional(),
  default: z.union([z.string(), z.number(), z.boolean()]).optional(),
})
type InputField = z.output<typeof inputField>
const fittingField = inputField.refine(
  (field) => field.default === undefined || shapeOfField(field).safeParse(field.default).success,
  { path: ['default'], message: 'does not fit the field itself' },
)

/** A flow as somebody writes it, in YAML or JSON: data, no code. Either tasks of its own, or another flow with part of its input. */
export const flowDocument = z
  .strictObject({
    version: z.literal(1),
    title: z.string().min(3).max(200),
    goals: z.array(z.string().min(3)).max(20).default([]),
    inputs: z.record(z.string().regex(inputName), fittingField).default({}),
    uses: z.string().min(1).max(100).optional(),
    with: z.record(z.string(), z.json()).optional(),
    tasks: planDraft.shape.tasks.optional(),
  })
  .refine(({ uses, tasks }) => (uses === undefined) !== (tasks === undefined), {
    message: "needs either 'tasks', or 'uses' with the name of another flow",
  })
  .refine((document) => document.with === undefined || document.uses !== undefined, {
    path: ['with'],
    message: "belongs to 'uses'",
  })
export type FlowDocument = z.output<typeof flowDocument>

/** `{ "$input": "name" }` stands for an input of the flow. */
export const inputOf = (value: object): string | undefined =>
  '$input' in value && typeof value.$input === 'string' && Object.keys(value).length === 1
    ? value.$input
    : undefined

/** A copy in which every `$input` is what was given. */
export function withInputs<T>(template: T, input: Readonly<Record<string, Json>>): T {
  const fill = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    const name = inputOf(value)
    if (name !== undefined) return input[name] ?? null
    if (Array.isArray(value)) return value.map(fill)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(one)]))
  }
  // The shape is the template's own: only values at leaves have changed.
  return fill(template) as T
}

/** What the inputs of a document must be. */
export function shapeOfInputs({ inputs }: FlowDocument): z.ZodType<Record<string, Json>> {
  const fields = Object.entries(inputs).map(([name, field]) => {
    const shape = shapeOfField(field)
    return [name, field.default === undefined ? shape : shape.default(field.default as never)] as const
  })
  return z.strictObject(Object.fromEntries(fields)) as z.ZodType<Record<string, Json>>
}

function shapeOfField({ type, oneOf, minimum, maximum, maxLength, title }: InputField): z.ZodType {
  const listed = (shape: z.ZodType): z.ZodType =>
    oneOf
      ? shape.refine((value) => oneOf.includes(value as never), `must be one of ${oneOf.join(', ')}`)
      : shape
  if (type === 'boolean') return z.boolean().describe(title)
  if (type === 'string') return listed(z.string().max(maxLength ?? 1000)).describe(title)
  const number = (type === 'integer' ? z.int() : z.number())
    .min(minimum ?? Number.MIN_SAFE_INTEGER)
    .max(maximum ?? Number.MAX_SAFE_INTEGER)
  return listed(number).describe(title)
}
