import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ApiNeeds, authorise } from './api.ts'
import type { StreamNeeds } from './event-stream.ts'
import { streamEvents } from './live.ts'
import { assertTask, streamOutput } from './output-stream.ts'
import type { Resource } from './route.ts'
import { runResource } from './run-resource.ts'

type Needs = Omit<Parameters<typeof streamEvents>[1], keyof StreamNeeds> &
  Omit<Parameters<typeof streamOutput>[2], keyof StreamNeeds> &
  Pick<StreamNeeds, 'clock'> & { api: ApiNeeds; headers: Readonly<Record<string, string>> }

/** Answers that go on. They are no operations of the contract, but policy decides on them as on those. */
export function mountStreams(
  app: FastifyInstance,
  { api, headers, clock, bus, taskOutput, workflow }: Needs,
): void {
  const begin = async (request: FastifyRequest, reply: FastifyReply, action: string, resource?: Resource) => {
    const stillAllowed = (): Promise<unknown> => authorise(action, request, reply, api, resource)
    await stillAllowed()
    for (const [name, value] of Object.entries(headers)) reply.raw.setHeader(name, value)
    return { bus, taskOutput, workflow, clock, log: api.log, stillAllowed }
  }
  app.get('/api/v1/events', async (request, reply) => {
    const needs = await begin(request, reply, 'system.status')
    reply.hijack()
    await streamEvents(reply.raw, needs, lastSeen(request))
  })
  app.get<{ Params: { runId: string; taskId: string } }>(
    '/api/v1/runs/:runId/tasks/:taskId/output/stream',
    async (request, reply) => {
      const { runId } = request.params
      const needs = await begin(request, reply, 'runs.output', await runResource(workflow, runId))
      await assertTask(workflow, request.params)
      reply.hijack()
      streamOutput(reply.raw, request.params, needs, lastSeen(request))
    },
  )
}

/** What a client that comes back has seen, by the header that browsers send. */
function lastSeen({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined {
  const last = Number(headers['last-event-id'] ?? Number.NaN)
  return Number.isSafeInteger(last) ? last : undefined
}
