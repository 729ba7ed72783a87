import { codes, type Operation } from '@keyward/contract'
import { z } from 'zod'

type Shape = Record<string, z.ZodType>

/** The OpenAPI 3.1 document of the operations, from the very shapes that requests are checked with. */
export function openApiDocument(operations: readonly Operation[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    const path = `/api/v1${operation.path}`
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describe(operation) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Keyward', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: 'keyward_session' },
      },
    },
    paths,
  }
}

function describe(operation: Operation): unknown {
  const place = (shape: Shape, where: 'path' | 'query') =>
    Object.entries(shape).map(([name, type]) => ({
      name,
      in: where,
      required: where === 'path' || !type.safeParse(undefined).success,
      schema: schemaOf(type, 'input'),
    }))
  const body = Object.keys(operation.body).length > 0
  return {
    operationId: operation.name,
    summary: operation.summary,
    tags: [operation.name.split('.')[0]],
    security: operation.access === 'public' ? [] : [{ bearer: [] }, { session: [] }],
    parameters: [...place(operation.params, 'path'), ...place(operation.query, 'query')],
    ...(body ? { requestBody: { required: true, content: content(z.object(operation.body), 'input') } } : {}),
    responses: {
      200: { description: 'Done', content: content(operation.result, 'output') },
      ...failuresOf(operation),
    },
  }
}

/** The failures that an operation names, by status. Every operation can also answer 400, 401 and 403. */
function failuresOf(operation: Operation): Record<string, unknown> {
  const common = operation.access === 'public' ? [] : (['session.required', 'policy.denied'] as const)
  const all = [...new Set(['request.invalid' as const, ...common, ...operation.fails])]
  const byStatus = Map.groupBy(all, (code) => codes[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      {
        description: names.map((code) => `\`${code}\`: ${codes[code].message}`).join('; '),
        content: { 'application/problem+json': {} },
      },
    ]),
  )
}

const schemaOf = (type: z.ZodType, io: 'input' | 'output') =>
  z.toJSONSchema(type, { io, unrepresentable: 'any' })
const content = (type: z.ZodType, io: 'input' | 'output') => ({
  'application/json': { schema: schemaOf(type, io) },
})
