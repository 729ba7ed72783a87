import type { CompiledSchema, Value } from './engine.ts'

/** What the schema says, in the form that requests are checked with. */
export type Shapes = {
  /** Every action that policy decides on, groups left out. */
  readonly actions: ReadonlyMap<string, ActionShape>
  /** The attributes of an entity type. */
  entity(type: string): Shape | undefined
}

export type ActionShape = {
  readonly principals: ReadonlySet<string>
  readonly resources: ReadonlySet<string>
  readonly context: Shape
  /** The groups that the action is in, however deep. */
  readonly groups: ReadonlySet<string>
}

export type Shape =
  | { readonly kind: 'string' | 'number' | 'boolean' | 'time' }
  | { readonly kind: 'set'; readonly element: Shape }
  | { readonly kind: 'record'; readonly fields: ReadonlyMap<string, { shape: Shape; required: boolean }> }

type Node = CompiledSchema[string]
type TypeNode = {
  type: string
  name?: string
  element?: TypeNode
  attributes?: Record<string, TypeNode & { required?: boolean }>
}

const empty: Shape = { kind: 'record', fields: new Map() }

export function readShapes(schema: CompiledSchema): Shapes {
  const root = schema['']
  if (!root) throw new Error('the policy schema has no default namespace')
  const entities = new Map<string, Shape>()
  for (const [type, entity] of Object.entries(root.entityTypes)) {
    const shape = 'shape' in entity && entity.shape ? shapeOf(entity.shape as TypeNode, root) : empty
    entities.set(type, shape)
  }
  const actions = new Map<string, ActionShape>()
  for (const [name, action] of Object.entries(root.actions)) {
    const applies = action.appliesTo
    if (!applies || applies.resourceTypes.length === 0) continue
    actions.set(name, {
      principals: new Set(applies.principalTypes),
      resources: new Set(applies.resourceTypes),
      context: applies.context ? shapeOf(applies.context as TypeNode, root) : empty,
      groups: groupsOf(name, root),
    })
  }
  return { actions, entity: (type) => entities.get(type) }
}

function groupsOf(action: string, root: Node): Set<string> {
  const groups = new Set<string>()
  const visit = (name: string): void => {
    for (const group of root.actions[name]?.memberOf ?? []) {
      if (groups.has(group.id)) continue
      groups.add(group.id)
      visit(group.id)
    }
  }
  visit(action)
  return groups
}

function shapeOf(node: TypeNode, root: Node): Shape {
  const name = node.type === 'EntityOrCommon' ? (node.name ?? '') : node.type
  const common = root.commonTypes?.[name]
  if (common) return shapeOf(common as TypeNode, root)
  if (name === 'Set' && node.element) return { kind: 'set', element: shapeOf(node.element, root) }
  if (name === 'Record') {
    const fields = Object.entries(node.attributes ?? {}).map(
      ([key, field]) => [key, { shape: shapeOf(field, root), required: field.required !== false }] as const,
    )
    return { kind: 'record', fields: new Map(fields) }
  }
  const kind = kinds[name]
  if (!kind) throw new Error(`the policy schema uses the type ${name}, which requests cannot carry`)
  return { kind }
}

const kinds: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'time'>> = {
  String: 'string',
  Long: 'number',
  Bool: 'boolean',
  Boolean: 'boolean',
  datetime: 'time',
}

/** Why a value does not fit, in words, or undefined. Times are added by the engine, so a request must not bring its own. */
export function misfit(value: Value | undefined, shape: Shape, place: string): string | undefined {
  switch (shape.kind) {
    case 'set':
      if (!Array.isArray(value)) return `${place} must be a list`
      return firstOf(value, (item, i) => misfit(item, shape.element, `${place}[${i}]`))
    case 'record':
      return recordMisfit(value, shape.fields, place)
    case 'number':
      return Number.isSafeInteger(value) ? undefined : `${place} must be a whole number`
    case 'time':
      return `${place} is set by the server`
    case 'string':
    case 'boolean':
      return typeof value === shape.kind ? undefined : `${place} must be a ${shape.kind}`
  }
}

function recordMisfit(
  value: Value | undefined,
  fields: ReadonlyMap<string, { shape: Shape; required: boolean }>,
  place: string,
): string | undefined {
  if (typeof value !== 'object' || Array.isArray(value)) return `${place} must be an object`
  const record = value as Readonly<Record<string, Value>>
  const unknown = Object.keys(record).find((key) => !fields.has(key))
  if (unknown !== undefined) return `${place} has no field ${unknown}`
  return firstOf([...fields], ([key, { shape, required }]) => {
    if (Object.hasOwn(record, key)) return misfit(record[key], shape, `${place}.${key}`)
    return required && shape.kind !== 'time' ? `${place} lacks ${key}` : undefined
  })
}

function firstOf<T>(
  items: readonly T[],
  look: (item: T, i: number) => string | undefined,
): string | undefined {
  for (const [i, item] of items.entries()) {
    const found = look(item, i)
    if (found !== undefined) return found
  }
  return undefined
}
