import { z } from 'zod'
import { json, operation, timestamp } from './operation.ts'

export const flowView = z.object({
  name: z.string(),
  title: z.string(),
  /** `code` comes with Keyward; `document` was saved here. */
  origin: z.enum(['code', 'document']),
  /** How a goal may be worded that starts it: `{slot}`, `[optional]`, `(one|or the other)`. */
  goals: z.array(z.string()),
  /** JSON Schema of its input. */
  input: json,
  /** Of a document: counts up with each save. */
  version: z.int().nullable(),
  savedBy: z.string().nullable(),
  savedAt: timestamp.nullable(),
})
export type FlowView = z.output<typeof flowView>

/** Where a document is wrong. */
export const flowProblem = z.object({
  line: z.int(),
  column: z.int(),
  message: z.string(),
})
export type FlowProblem = z.output<typeof flowProblem>

const flowName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/)
/** YAML or JSON. */
const text = z.string().min(1).max(200_000)

export const flowsApi = {
  list: operation({
    name: 'flows.list',
    method: 'GET',
    path: '/flows',
    summary: 'Every flow there is',
    result: z.object({ items: z.array(flowView) }),
  }),
  read: operation({
    name: 'flows.read',
    method: 'GET',
    path: '/flows/{flow}',
    summary: 'One flow; of a saved one its text',
    params: { flow: z.string() },
    result: flowView.extend({ text: z.string().nullable() }),
    fails: ['flow.not_found'],
  }),
  save: operation({
    name: 'flows.save',
    method: 'PUT',
    path: '/flows/{flow}',
    summary: 'Save a flow as a document; the version before stays with the runs that it started',
    params: { flow: flowName },
    body: {
      text,
      /** The version that this one follows, 0 for a new flow; what somebody else saved meanwhile is not lost. */
      after: z.int().min(0).optional(),
    },
    result: flowView,
    fails: ['flow.invalid', 'request.conflict'],
  }),
  remove: operation({
    name: 'flows.remove',
    method: 'DELETE',
    path: '/flows/{flow}',
    summary: 'Remove a saved flow; its runs stay',
    params: { flow: z.string() },
    result: z.object({ removed: z.boolean() }),
    fails: ['flow.not_found'],
  }),
  validate: operation({
    name: 'flows.validate',
    method: 'POST',
    path: '/flow-checks',
    summary: 'Check a document without saving it: every fault with its line and column',
    body: { text },
    result: z.object({ valid: z.boolean(), problems: z.array(flowProblem) }),
  }),
}
