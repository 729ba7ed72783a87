import type { Clock } from '../core/index.ts'
import type { VaultRequest, VaultResponse } from './request-context.ts'

type InFlight = Pick<VaultRequest, 'path' | 'method' | 'remoteAddress'> & {
  readonly id: string
  readonly startedAt: number
}

/** Requests since the start, and those that wait for their answer. */
export type RequestCounts = {
  total(): number
  inFlight(): readonly InFlight[]
  around(
    handle: (request: VaultRequest) => Promise<VaultResponse>,
  ): (request: VaultRequest) => Promise<VaultResponse>
}

export function createRequestCounts({ now }: Pick<Clock, 'now'>): RequestCounts {
  let total = 0
  const open = new Map<number, { request: VaultRequest; startedAt: number }>()
  return {
    total: () => total,
    inFlight: () =>
      [...open].map(([number, { request, startedAt }]) => ({
        id: String(number),
        path: request.path,
        method: request.method,
        remoteAddress: request.remoteAddress,
        startedAt,
      })),
    around: (handle) => (request) => {
      const number = ++total
      open.set(number, { request, startedAt: now().getTime() })
      const close = (): boolean => open.delete(number)
      const answered = handle(request)
      answered.then(close, close)
      return answered
    },
  }
}
