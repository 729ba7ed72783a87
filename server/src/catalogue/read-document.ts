import type { FlowProblem } from '@keyward/contract'
import { isNode, LineCounter, parseDocument, type Document as YamlDocument } from 'yaml'
import type { z } from 'zod'
import { type FlowDocument, flowDocument, inputOf } from './document.ts'
import { compileWording } from './grammar.ts'

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
