import { asksApi } from '@keyward/contract'
import { AppError, actorOf, Secret } from '../../core/index.ts'
import type { Lend } from '../../lend/index.ts'
import type { Store } from '../../store/index.ts'
import { type Call, type Resource, type Route, route } from '../route.ts'

type Needs = { store: Pick<Store, 'write'>; lend: Pick<Lend, 'asks'> }

/** What agents ask people for. */
export function askRoutes({ store, lend: { asks } }: Needs): Route[] {
  const askOf = async ({ askId }: { askId: string }): Promise<Resource> => {
    const ask = await asks.read(askId)
    const attributes = ask ? { agent: `agent:${ask.agentId}`, secretPath: ask.secretPath } : {}
    return { type: 'Lease', id: askId, attributes }
  }
  return [
    route(
      asksApi.create,
      (ask, { principal }) => {
        if (principal.kind !== 'agent')
          throw new AppError(
            'policy.denied',
            'only an agent asks for a secret, with its own API key; people store it and grant it',
          )
        return store.write((tx) => asks.create(tx, { ...ask, principal }))
      },
      (_, call) => ofCaller(call),
    ),
    route(
      asksApi.list,
      ({ agentId, ...query }, { principal }) =>
        asks.page({ ...query, agentId: principal.kind === 'agent' ? principal.id : agentId }),
      (_, call) => ofCaller(call),
    ),
    route(
      asksApi.read,
      async ({ askId }) => {
        const ask = await asks.read(askId)
        if (!ask) throw new AppError('ask.not_found', `No question for a secret has the id ${askId}.`)
        return ask
      },
      askOf,
    ),
    route(
      asksApi.answer,
      ({ askId, value, ...answer }, { principal }) =>
        store.write((tx) => asks.answer(tx, askId, { ...answer, value: new Secret(value) }, principal)),
      askOf,
    ),
    route(
      asksApi.deny,
      ({ askId, reason }, { principal }) =>
        store.write((tx) => asks.close(tx, askId, 'denied', reason, principal)),
      askOf,
    ),
    route(
      asksApi.withdraw,
      ({ askId, reason }, { principal }) =>
        store.write((tx) => asks.close(tx, askId, 'withdrawn', reason, principal)),
      askOf,
    ),
  ]
}

/** An agent asks for itself, and sees its own. */
const ofCaller = ({ principal }: Call): Resource => ({
  type: 'Lease',
  id: '*',
  attributes: principal.kind === 'agent' ? { agent: actorOf(principal) } : {},
})
