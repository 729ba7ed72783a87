import { lookup as lookUp } from 'node:dns/promises'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { callService } from '../core/index.ts'
import { addressRefusal } from '../proxy/index.ts'
import type { Call } from './channel.ts'

type Rule = {
  /** The name may lead to an address that is not public, and plain HTTP will do. */
  readonly allowPrivate: boolean
  readonly caPem?: string | undefined
}

const connectTimeoutMs = 20_000

/**
 * Requests to an address that somebody has configured. The address is judged when the name has been looked up, for each connection: a
 * name that leads into one's own network an hour later is refused then.
 */
export function createGuardedCall({ allowPrivate, caPem }: Rule): {
  call: Call
  /** Connects to whichever address of the name answers first, for protocols other than HTTP. */
  open(host: string, port: number): Promise<Socket>
} {
  const judge = (host: string, address: string): void => {
    const refusal = allowPrivate ? undefined : addressRefusal(address)
    if (refusal !== undefined)
      throw new Error(
        `${host} leads to ${address}, which is ${refusal}: an owner has to allow that for the channel`,
      )
  }

  const lookup: LookupFunction = (host, options, answer) => {
    lookUp(host, { all: true, family: options.family ?? 0 })
      .then((found) => {
        for (const { address } of found) judge(host, address)
        const [first] = found
        if (options.all) answer(null, found)
        else answer(null, first?.address ?? '', first?.family)
      })
      .catch((error: unknown) => answer(error instanceof Error ? error : new Error('lookup failed'), '', 0))
  }

  /** Without the brackets of an IPv6 address. A literal is judged here: it is never looked up. */
  function bareHost(host: string): string {
    const bare = host.replace(/^\[|\]$/g, '')
    if (isIP(bare) !== 0) judge(host, bare)
    return bare
  }

  return {
    open: (host, port) =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: bareHost(host), port, lookup, autoSelectFamily: true })
        socket.setTimeout(connectTimeoutMs, () =>
          socket.destroy(new Error(`${host} does not answer in time`)),
        )
        socket.once('error', reject)
        socket.once('connect', () => {
          socket.removeAllListeners('timeout').setTimeout(0)
          resolve(socket)
        })
      }),
    async call({ url, method = 'POST', headers = {}, body = '', signal }) {
      const { protocol, hostname } = new URL(url)
      if (protocol !== 'https:' && !(protocol === 'http:' && allowPrivate))
        throw new Error(`${hostname} is not addressed by https`)
      bareHost(hostname)
      return callService({ url, method, headers, body, caPem, lookup, signal })
    },
  }
}
