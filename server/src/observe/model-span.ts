import type { AuditEntry } from '@keyward/contract'
import { z } from 'zod'
import { about, modelContextOf, type Span } from './spans.ts'

const said = z
  .object({
    server: z.string(),
    code: z.string(),
    answers: z.int(),
    inputTokens: z.int(),
    outputTokens: z.int(),
  })
  .partial()
  .catch({})

/**
 * The question to a language model about a goal, as its entries in the audit log tell it: all its answers are one span. Names, counts
 * and a code; never a word of what was asked or answered. Undefined while it has not ended.
 * Attributes: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/#inference
 * @param entries of one goal, oldest first.
 */
export function modelSpanOf(goalId: string, entries: readonly AuditEntry[]): Span | undefined {
  const asked = entries.filter(({ type }) => type === 'goal.model_asked')
  const [begun] = asked
  const ended = asked.find(({ outcome }) => outcome !== 'intent')
  if (!begun || !ended) return undefined
  const { server = '' } = said.parse(begun.detail)
  const { code, answers, inputTokens, outputTokens } = said.parse(ended.detail)
  const [, address, port] = /^(.+):(\d+)$/.exec(server) ?? []
  const model = begun.target.replace(/^model:/, '')
  const { traceId, spanId } = modelContextOf(goalId)
  const failed = ended.outcome === 'failed'
  return {
    ...{ traceId, spanId, name: `chat ${model}`, kind: 'client', failed, links: [], events: [] },
    startAt: Date.parse(begun.at),
    endAt: Date.parse(ended.at),
    attributes: about({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': address === 'api.openai.com' ? 'openai' : 'openai_compatible',
      'gen_ai.request.model': model,
      'gen_ai.output.type': 'json',
      'gen_ai.usage.input_tokens': inputTokens,
      'gen_ai.usage.output_tokens': outputTokens,
      'server.address': address,
      'server.port': port === undefined ? undefined : Number(port),
      'error.type': failed ? (code ?? '_OTHER') : undefined,
      'keyward.goal.id': goalId,
      'keyward.planner.answers': answers,
    }),
  }
}
