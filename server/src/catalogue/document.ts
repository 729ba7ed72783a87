import { type FlowProblem, type Json, planDraft } from '@keyward/contract'
import { isNode, LineCounter, parseDocument, type Document as YamlDocument } from 'yaml'
import { z } from 'zod'
import { compileWording } from './grammar.ts'

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
const flowDocument = z
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

export type ReadDocument =
  | { readonly document: FlowDocument; readonly problems: readonly [] }
  | { readonly document: undefined; readonly problems: readonly FlowProblem[] }

/** Reads a document and says of every fault where it is. Nothing of it is executed; there are no tags and no merging. */
export function readDocument(text: string): ReadDocument {
  const lines = new LineCounter()
  const yaml = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, schema: 'core' })
  const faults = [...yaml.errors, ...yaml.warnings]
  if (faults.length > 0) {
    return refused(
      faults.map(({ pos, message }) => ({ ...placeAt(lines, pos[0]), message: firstLine(message) })),
    )
  }
  const value: unknown = contentOf(yaml)
  if (value === undefined) return refused([{ line: 1, column: 1, message: 'too many aliases' }])
  const parsed = flowDocument.safeParse(value)
  if (!parsed.success) return refused(parsed.error.issues.map((issue) => problemOf(yaml, lines, issue)))
  const wrong = [...wrongWordings(parsed.data), ...wrongInputs(parsed.data)]
  if (wrong.length > 0)
    return refused(wrong.map(({ path, message }) => ({ ...placeOf(yaml, lines, path), message })))
  return { document: parsed.data, problems: [] }
}

const refused = (problems: readonly FlowProblem[]): ReadDocument => ({ document: undefined, problems })

function contentOf(yaml: YamlDocument): unknown {
  try {
    return yaml.toJS({ maxAliasCount: 20 }) ?? null
  } catch {
    // Aliases of aliases, which would grow without end.
    return undefined
  }
}

const firstLine = (message: string): string => message.split('\n')[0]?.replace(/ at line .*$/, '') ?? message

function problemOf(yaml: YamlDocument, lines: LineCounter, issue: z.core.$ZodIssue): FlowProblem {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const path = unknown === undefined ? issue.path : [...issue.path, unknown]
  const where = path.map(String).join('.') || 'document'
  return { ...placeOf(yaml, lines, path), message: `${where}: ${issue.message}` }
}

/** Of what stands at a path, or of the nearest thing around it that is there. */
function placeOf(yaml: YamlDocument, lines: LineCounter, path: readonly PropertyKey[]) {
  for (let depth = path.length; depth >= 0; depth--) {
    const node: unknown = depth === 0 ? yaml.contents : yaml.getIn(path.slice(0, depth), true)
    if (isNode(node) && node.range) return placeAt(lines, node.range[0])
  }
  return { line: 1, column: 1 }
}

function placeAt(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

type Wrong = { readonly path: readonly PropertyKey[]; readonly message: string }

function wrongWordings({ goals, inputs }: FlowDocument): Wrong[] {
  return goals.flatMap((goal, i) => {
    const path = ['goals', i]
    try {
      const unknown = compileWording(goal).slots.find((slot) => !Object.hasOwn(inputs, slot))
      return unknown === undefined ? [] : [{ path, message: `{${unknown}} is no input of this flow` }]
    } catch (error) {
      return [{ path, message: error instanceof Error ? error.message : 'is no wording' }]
    }
  })
}

function wrongInputs(document: FlowDocument): Wrong[] {
  const known = new Set(Object.keys(document.inputs))
  const among = (value: unknown, path: readonly PropertyKey[]): Wrong[] => {
    if (typeof value !== 'object' || value === null) return []
    const name = inputOf(value)
    if (name !== undefined)
      return known.has(name) ? [] : [{ path, message: `$input: there is no input '${name}'` }]
    return Object.entries(value).flatMap(([key, one]) =>
      among(one, [...path, Array.isArray(value) ? Number(key) : key]),
    )
  }
  return [...among(document.with ?? {}, ['with']), ...among(document.tasks ?? [], ['tasks'])]
}

/** `{ "$input": "name" }` stands for an input of the flow. */
const inputOf = (value: object): string | undefined =>
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
